"""A real HTTP server for tests that answers everything with one answer, and remembers what it was asked."""

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Stub:
    """What it answers, and what it was asked: (method, path with query, body)."""

    url: str
    answer: bytes = b'{"status": "success"}'
    status: int = 200
    hold: threading.Event = field(default_factory=threading.Event)
    """Set (the default): answer at once. Cleared: wait for it."""
    asked: list[tuple[str, str, bytes]] = field(default_factory=list)


@contextmanager
def serving(tls: ssl.SSLContext | None = None) -> Iterator[Stub]:
    """Serve on a free port of loopback until the context is left; with `tls` as https://localhost."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            made.asked.append((self.command, self.path, body))
            made.hold.wait(10)
            self.send_response(made.status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(made.answer)))
            self.end_headers()
            self.wfile.write(made.answer)

        do_POST = do_GET  # noqa: N815 - as above
        do_DELETE = do_GET  # noqa: N815 - as above

        def log_message(self, format: str, *args: object) -> None:
            """Keep quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made = Stub(f"http://127.0.0.1:{server.server_port}")
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
        made.url = f"https://localhost:{server.server_port}"
    made.hold.set()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield made
    finally:
        made.hold.set()
        server.shutdown()
        server.server_close()
        thread.join()
