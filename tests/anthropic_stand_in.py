"""A small real HTTP server that answers as Anthropic's API does."""

from typing import Any

import provider_stand_in
from provider_stand_in import Handler

# litellm #9812: 3 in, 12,304 written to the cache, 550 out; here with an hour's share and some read
USAGE = {
    "input_tokens": 3,
    "cache_creation_input_tokens": 12_304,
    "cache_creation": {"ephemeral_5m_input_tokens": 12_000, "ephemeral_1h_input_tokens": 304},
    "cache_read_input_tokens": 1_000,
    "output_tokens": 550,
    "service_tier": "standard",
}
COUNTED = {"input": 13_307, "output": 550, "cache_read": 1_000, "cache_write_5m": 12_000, "cache_write_1h": 304}


class Provider(provider_stand_in.Provider):
    """What a model name makes it do: limited, flaky, broken, cut (a stream that errs half-way)."""

    def __init__(self) -> None:
        super().__init__(Messages)


class Messages(Handler):
    def post(self, model: str, body: dict[str, Any]) -> None:
        if self.path.startswith("/v1/messages/count_tokens"):
            self.answer({"input_tokens": 3})
        elif model == "limited" or (model == "flaky" and self.server.asked(model) == 1):
            self.answer({"type": "error", "error": {"type": "rate_limit_error", "message": "slow down"}}, 429)
        elif model == "broken":
            self.answer({"type": "error", "error": {"type": "api_error", "message": "sorry"}}, 400)
        elif body.get("stream"):
            self.stream(model)
        else:
            self.answer({**self.message(model, USAGE), "content": [{"type": "text", "text": "hello"}]})

    def message(self, model: str, usage: Any) -> dict[str, Any]:
        told = {"id": "msg_1", "type": "message", "role": "assistant", "model": model, "content": []}
        return {**told, "stop_reason": None, "stop_sequence": None, "usage": usage}

    def stream(self, model: str) -> None:
        self.begin_stream()
        self.send("message_start", message=self.message(model, {**USAGE, "output_tokens": 1}))
        self.send("content_block_start", index=0, content_block={"type": "text", "text": ""})
        for piece in ("hel", "lo"):
            self.send("content_block_delta", index=0, delta={"type": "text_delta", "text": piece})
        if model == "cut":
            self.send("error", error={"type": "overloaded_error", "message": "overloaded"})
            return
        self.send("content_block_stop", index=0)
        ended = {"stop_reason": "end_turn", "stop_sequence": None}
        self.send("message_delta", delta=ended, usage={"output_tokens": 550})
        self.send("message_stop")

    def send(self, kind: str, **data: Any) -> None:
        self.event({"type": kind, **data}, kind)
