"""A small real HTTP server that answers as OpenAI's API does."""

from collections.abc import Sequence
from typing import Any

import provider_stand_in
from provider_stand_in import Handler

USAGE = {
    "prompt_tokens": 100,
    "completion_tokens": 20,
    "total_tokens": 120,
    "prompt_tokens_details": {"cached_tokens": 64, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 12, "audio_tokens": 0},
}
COUNTED = {"input": 100, "output": 20, "cache_read": 64, "reasoning": 12}
CALL = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}


class Provider(provider_stand_in.Provider):
    """What a model name makes it do.

    limited, flaky… (limited once), broken, shaky… (refused once), slow, cut (a stream), silent (no usage).
    """

    prefix = "/v1"

    def __init__(self) -> None:
        super().__init__(Api)
        self.script: Sequence[tuple[Any, Any]] = ()
        """(choices, usage) of each chunk of every chat's stream, in place of what it says by itself."""


class Api(Handler):
    server: Provider

    def post(self, model: str, body: dict[str, Any]) -> None:
        if model == "limited" or (model.startswith("flaky") and self.server.asked(model) == 1):
            self.answer({"error": {"message": "slow down"}}, 429)
        elif model.startswith("shaky") and self.server.asked(model) == 1:
            self.answer({"error": {"message": "not like that"}}, 400)
        elif model == "broken":
            self.answer({"error": {"message": "sorry"}}, 500)
        elif model == "slow":
            self.server.released.wait(10)
            self.close_connection = True
        elif body.get("stream"):
            self.stream(body)
        elif self.path == "/v1/embeddings":
            data = [{"object": "embedding", "index": 0, "embedding": [0.5]}]
            self.answer(
                {"object": "list", "model": model, "data": data, "usage": {"prompt_tokens": 7, "total_tokens": 7}}
            )
        elif self.path == "/v1/responses":
            self.answer(self.response(model))
        elif self.path.startswith("/v1/audio/") or self.path.startswith("/v1/images/"):
            self.media(model)
        else:
            message: dict[str, Any] = {"role": "assistant", "content": "hello"}
            if body.get("tools"):
                message = {"role": "assistant", "content": None, "tool_calls": [CALL]}
            choices = [{"index": 0, "finish_reason": "stop", "message": message}]
            self.answer(self.chat(model, "chat.completion", choices, None if model == "silent" else USAGE))

    def media(self, model: str) -> None:
        if self.path == "/v1/audio/speech":
            self.answer(b"sound")
        elif self.path.startswith("/v1/audio/"):
            seconds = {"type": "duration", "seconds": 3}
            tokens = {"type": "tokens", "input_tokens": 40, "output_tokens": 9, "total_tokens": 49}
            tokens["input_token_details"] = {"audio_tokens": 31, "text_tokens": 9}
            self.answer({"text": "hello", "usage": seconds if model == "whisper-1" else tokens})
        else:
            usage = {"input_tokens": 50, "output_tokens": 1056, "total_tokens": 1106}
            usage["input_tokens_details"] = {"image_tokens": 20, "text_tokens": 30}
            self.answer({"created": 1, "data": [{"b64_json": "aGk="}], "usage": usage})

    def chat(self, model: str, kind: str, choices: Any, usage: Any) -> dict[str, Any]:
        answer = {
            "id": "chatcmpl-1",
            "object": kind,
            "created": 1,
            "model": model,
            "choices": choices,
            "usage": usage,
        }
        return {**answer, "service_tier": "flex"}

    def response(self, model: str, status: str = "completed") -> dict[str, Any]:
        usage = {
            "input_tokens": 100,
            "output_tokens": 20,
            "total_tokens": 120,
            "input_tokens_details": {"cached_tokens": 64},
            "output_tokens_details": {"reasoning_tokens": 12},
        }
        return {
            "id": "resp_1",
            "object": "response",
            "created_at": 1,
            "model": model,
            "output": [],
            "parallel_tool_calls": True,
            "tool_choice": "auto",
            "tools": [],
            "usage": None if status == "in_progress" else usage,
            "status": status,
        }

    def stream_response(self, model: str) -> None:
        item = {"id": "msg_1", "type": "message", "role": "assistant", "status": "in_progress", "content": []}
        part = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
        where = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
        whole = {**part, "text": "hello"}
        done = {**item, "status": "completed", "content": [whole]}
        began = [
            ("response.created", {"response": self.response(model, "in_progress")}),
            ("response.output_item.added", {"output_index": 0, "item": item}),
            ("response.content_part.added", {**where, "part": part}),
            ("response.output_text.delta", {**where, "delta": "hello", "logprobs": []}),
        ]
        ended = [
            ("response.output_text.done", {**where, "text": "hello", "logprobs": []}),
            ("response.content_part.done", {**where, "part": whole}),
            ("response.output_item.done", {"output_index": 0, "item": done}),
            ("response.completed", {"response": {**self.response(model), "output": [done]}}),
        ]
        if model == "cut":
            ended = [("response.failed", {"response": self.response(model, "failed")})]
        for number, (kind, data) in enumerate([*began, *ended]):
            self.event({"type": kind, "sequence_number": number, **data}, kind)

    def stream(self, body: dict[str, Any]) -> None:
        self.begin_stream()
        model = body["model"]
        if self.path == "/v1/responses":
            self.stream_response(model)
            return
        if self.server.script:
            for choices, usage in self.server.script:
                self.event(self.chat(model, "chat.completion.chunk", choices, usage))
            self.wfile.write(b"data: [DONE]\n\n")
            return
        for piece in ("hel", "lo"):
            ended = "stop" if piece == "lo" and model != "cut" else None
            delta = {"tool_calls": [{"index": 0, **CALL}]} if body.get("tools") else {"content": piece}
            choices = [{"index": 0, "delta": delta, "finish_reason": ended}]
            self.event(self.chat(model, "chat.completion.chunk", choices, None))
        if model == "cut":
            self.event({"error": {"message": "overloaded"}})
            return
        if (body.get("stream_options") or {}).get("include_usage") and model != "silent":
            self.event(self.chat(model, "chat.completion.chunk", [], USAGE))
        self.wfile.write(b"data: [DONE]\n\n")
