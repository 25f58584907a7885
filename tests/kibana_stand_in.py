"""A stand-in for Kibana's saved objects API: it is no Kibana.

It answers in the shapes of the real one's documentation: nothing without `kbn-xsrf`, no file that is not .ndjson,
nothing for an object whose reference is missing, and an export of what is not there is a 400. It checks the login by
asking whom it is given, and records every import.
"""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

IMPORT, EXPORT = "/api/saved_objects/_import", "/api/saved_objects/_export"


@dataclass
class StandIn:
    """What the stand-in knows, and what was imported into it."""

    accepts: Callable[[str], bool]
    """Whether a request's `Authorization` is somebody's."""
    objects: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By `TYPE:ID`."""
    imports: list[str] = field(default_factory=list)
    """The query of each import."""
    url: str = ""

    def post(self, path: str, headers: Any, body: bytes) -> tuple[int, Any]:
        """Return the status and the answer: an object, or text as it is."""
        if not self.accepts(headers.get("authorization", "")):
            return 401, {"statusCode": 401, "error": "Unauthorized", "message": "Unauthorized"}
        if not headers.get("kbn-xsrf"):
            return 400, _bad("Request must contain a kbn-xsrf header.")
        place, _, query = path.partition("?")
        if place == EXPORT:
            return self.export(json.loads(body)["objects"])
        if place == IMPORT:
            return self.take(query, headers["content-type"], body)
        return 404, {"statusCode": 404, "error": "Not Found", "message": "Not Found"}

    def export(self, wanted: list[dict[str, str]]) -> tuple[int, Any]:
        keys = [f"{each['type']}:{each['id']}" for each in wanted]
        missing = [each for each, key in zip(wanted, keys, strict=True) if key not in self.objects]
        if missing:
            return 400, {**_bad("Error fetching objects to export"), "attributes": {"objects": missing}}
        # The server adds what it knows.
        added = {"created_at": "2026-01-01T00:00:00.000Z", "version": "WzEsMV0="}
        return 200, "\n".join(json.dumps({**self.objects[key], **added}) for key in keys)

    def take(self, query: str, content_type: str, body: bytes) -> tuple[int, Any]:
        form = message_from_bytes(b"content-type: " + content_type.encode() + b"\r\n\r\n" + body, policy=policy.HTTP)
        (part,) = form.iter_parts()  # type: ignore[attr-defined] - an EmailMessage by that policy
        if not str(part.get_filename()).endswith(".ndjson"):
            return 400, _bad(f"Invalid file extension {part.get_filename()}")
        self.imports.append(query)
        good, errors = [], []
        incoming = [json.loads(line) for line in part.get_payload(decode=True).splitlines() if line]
        known = self.objects.keys() | {f"{each['type']}:{each['id']}" for each in incoming}
        for each in incoming:
            key = f"{each['type']}:{each['id']}"
            lost = [ref for ref in each.get("references", []) if f"{ref['type']}:{ref['id']}" not in known]
            if lost:
                errors.append({"type": each["type"], "id": each["id"],
                               "error": {"type": "missing_references", "references": lost}})  # fmt: skip
            elif key in self.objects and "overwrite=true" not in query:
                errors.append({"type": each["type"], "id": each["id"], "error": {"type": "conflict"}})
            else:
                good.append({"type": each["type"], "id": each["id"], "meta": {"title": each["attributes"]["title"]}})
                self.objects[key] = each
        told: dict[str, Any] = {"successCount": len(good), "success": not errors, "warnings": []}
        return 200, told | ({"successResults": good} if good else {}) | ({"errors": errors} if errors else {})


def _bad(message: str) -> dict[str, Any]:
    return {"statusCode": 400, "error": "Bad Request", "message": message}


def handler(known: StandIn, other: dict[str, str] | None = None) -> type[BaseHTTPRequestHandler]:
    """Return what answers a request; `other` are pages by their path."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            self.say(*known.post(self.path, self.headers, body))

        def do_GET(self) -> None:
            found = (other or {}).get(self.path)
            self.say(*((200, found) if found is not None else (404, {"statusCode": 404})))

        def say(self, status: int, answer: Any) -> None:
            text = answer.encode() if isinstance(answer, str) else json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("content-type", "application/ndjson" if isinstance(answer, str) else "application/json")
            self.send_header("content-length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, format: str, *arguments: object) -> None:
            """Say nothing: the imports are recorded."""

    return Handler


@contextmanager
def serve(known: StandIn) -> Iterator[StandIn]:
    """Serve `known` on a free port of 127.0.0.1; its `url` is set."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler(known))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    known.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield known
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
