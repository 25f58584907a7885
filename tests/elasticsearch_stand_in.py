"""A stand-in for the security, lifecycle and template APIs of Elasticsearch 9: it is no Elasticsearch.

It keeps what is put, answers in the shapes of the real one's documentation (an object keyed by the name; settings
come back nested and as strings, with defaults added), checks the login, and records every call that changes.
"""

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOKEN_PATH = "/_security/service/elastic/kibana/credential"


@dataclass
class StandIn:
    """What the stand-in knows, and what was asked of it."""

    passwords: dict[str, str]
    things: dict[str, Any] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)
    changes: list[str] = field(default_factory=list)
    url: str = ""

    def answer(self, method: str, path: str, login: tuple[str, str], body: Any) -> tuple[int, Any]:
        if self.passwords.get(login[0]) != login[1]:
            return 401, {"error": {"type": "security_exception"}, "status": 401}
        if path == "/_security/_authenticate":
            return 200, {"username": login[0]}
        if method != "GET":
            self.changes.append(f"{method} {path}")
        if path.startswith(TOKEN_PATH):
            return self.credential(method, path.removeprefix(TOKEN_PATH).removeprefix("/token/"))
        if method == "GET":
            return self.get(path)
        self.things[path] = body
        if path.endswith("/_password"):
            self.passwords[path.split("/")[3]] = body["password"]
        elif path.startswith("/_security/user/"):
            self.passwords[path.rpartition("/")[2]] = body["password"]
        return 200, {"acknowledged": True}

    def get(self, path: str) -> tuple[int, Any]:
        if path == "/_index_template":
            found = [self.get(each)[1]["index_templates"][0] for each in self.things if each.startswith(path)]
            return 200, {"index_templates": found}
        if path not in self.things:
            return 404, {"error": "not found", "status": 404}
        kind, _, name = path.removeprefix("/").rpartition("/")
        body = as_stored(self.things[path])
        if kind == "_index_template":
            return 200, {"index_templates": [{"name": name, "index_template": {**body, "composed_of": []}}]}
        if kind == "_ilm/policy":
            return 200, {name: {"version": 1, "modified_date": "2026-01-01T00:00:00Z", "policy": body["policy"]}}
        added = {"applications": [], "run_as": [], "transient_metadata": {"enabled": True}}
        return 200, {name: {**added, **body}}

    def credential(self, method: str, name: str) -> tuple[int, Any]:
        if method == "GET":
            return 200, {"service_account": "elastic/kibana", "tokens": {name: {} for name in self.tokens}}
        if method == "DELETE":
            return (200, {"found": True}) if self.tokens.pop(name, None) else (404, {"found": False})
        self.tokens[name] = f"AAEAAWVsYXN0aWM{len(self.changes)}"
        return 200, {"created": True, "token": {"name": name, "value": self.tokens[name]}}


def as_stored(value: Any, below: str = "") -> Any:
    """Return a body as the server gives it back: settings nested, their scalars as strings."""
    if isinstance(value, dict) and below == "settings":
        nested: dict[str, Any] = {}
        for key, each in value.items():
            at = nested
            *path, last = key.split(".")
            for part in path:
                at = at.setdefault(part, {})
            at[last] = (
                [str(x) for x in each] if isinstance(each, list) else str(each).lower() if each is True else str(each)
            )
        return nested
    if isinstance(value, dict):
        return {key: as_stored(each, key) for key, each in value.items()}
    return value


@contextmanager
def serve(known: StandIn, address: tuple[str, int] = ("127.0.0.1", 0)) -> Iterator[StandIn]:
    """Serve `known`, by default on a free port of 127.0.0.1; its `url` is set."""

    class Handler(BaseHTTPRequestHandler):
        def handle_any(self) -> None:
            size = int(self.headers.get("content-length") or 0)
            body = json.loads(self.rfile.read(size)) if size else None
            kind, _, code = self.headers.get("authorization", "").partition(" ")
            name, _, password = base64.b64decode(code).decode().partition(":") if kind == "Basic" else ("", "", "")
            status, answer = known.answer(self.command, self.path, (name, password), body)
            text = json.dumps(answer, separators=(",", ":")).encode()  # as compact as the real one
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("x-elastic-product", "Elasticsearch")  # the official client asks for it
            self.send_header("content-length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_PUT = do_POST = do_DELETE = handle_any  # noqa: N815 - http.server looks for these names

        def log_message(self, format: str, *arguments: object) -> None:
            """Say nothing: the calls are recorded."""

    server = ThreadingHTTPServer(address, Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    known.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield known
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
