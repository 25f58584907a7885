"""A small real HTTP server that answers as OpenAI's API does."""

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

USAGE = {
    "prompt_tokens": 100,
    "completion_tokens": 20,
    "total_tokens": 120,
    "prompt_tokens_details": {"cached_tokens": 64, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 12, "audio_tokens": 0},
}


class Provider(ThreadingHTTPServer):
    """What a model name makes it do: limited, flaky, slow, broken, cut (a stream), silent (no usage)."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests: list[dict[str, Any]] = []
        self.released = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"


class Handler(BaseHTTPRequestHandler):
    server: Provider
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        sent = self.rfile.read(int(self.headers["content-length"]))
        if "multipart" in self.headers["content-type"]:
            body = {"model": re.findall(rb'name="model"\r\n\r\n(.*?)\r\n', sent)[0].decode()}
        else:
            body = json.loads(sent)
        self.server.requests.append(body)
        model, first = body["model"], sum(one["model"] == body["model"] for one in self.server.requests) == 1
        if model == "limited" or (model == "flaky" and first):
            self.answer({"error": {"message": "slow down"}}, 429)
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
            message = {"role": "assistant", "content": "hello"}
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

    def do_GET(self) -> None:
        self.answer({"object": "list", "data": []})

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

    def response(self, model: str) -> dict[str, Any]:
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
            "model": model,
            "output": [],
            "usage": usage,
            "status": "completed",
        }

    def stream(self, body: dict[str, Any]) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("connection", "close")
        self.end_headers()
        model = body["model"]
        if self.path == "/v1/responses":
            self.event({"type": "response.output_text.delta", "delta": "hel", "sequence_number": 1})
            self.event({"type": "response.completed", "response": self.response(model), "sequence_number": 2})
            return
        for piece in ("hel", "lo"):
            ended = "stop" if piece == "lo" and model != "cut" else None
            choices = [{"index": 0, "delta": {"content": piece}, "finish_reason": ended}]
            self.event(self.chat(model, "chat.completion.chunk", choices, None))
        if model == "cut":
            self.event({"error": {"message": "overloaded"}})
            return
        if (body.get("stream_options") or {}).get("include_usage"):
            self.event(self.chat(model, "chat.completion.chunk", [], USAGE))
        self.wfile.write(b"data: [DONE]\n\n")

    def event(self, data: Any) -> None:
        self.wfile.write(f"data: {json.dumps(data)}\n\n".encode())

    def answer(self, data: Any, status: int = 200) -> None:
        body = data if isinstance(data, bytes) else json.dumps(data).encode()
        self.send_response(status)
        for name, text in (
            ("content-type", "application/json"),
            ("content-length", str(len(body))),
            ("retry-after-ms", "1"),
        ):
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(body)

    def handle(self) -> None:
        try:
            super().handle()
        except ConnectionError:
            self.close_connection = True  # the client hung up, as some of the tests do

    def log_message(self, *_: Any) -> None: ...
