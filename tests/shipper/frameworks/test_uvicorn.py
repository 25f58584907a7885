"""uvicorn itself, in a process of its own: its access lines as fields, with those of the application."""

import subprocess
import sys
from pathlib import Path

APP = """
import asyncio, logging, threading, urllib.request
import uvicorn
from topmast_shipper.frameworks.asgi import RequestContext
from topmast_shipper.frameworks.uvicorn import log_config

async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    logging.getLogger("shop").info("in the request")
    await send({"type": "http.response.start", "status": 404, "headers": []})
    await send({"type": "http.response.body", "body": b"no"})

class Server(uvicorn.Server):
    async def startup(self, sockets=None):
        await super().startup(sockets)
        port = self.servers[0].sockets[0].getsockname()[1]
        def ask():
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/x?token=geheim", timeout=10)
            except Exception:
                pass
            self.should_exit = True
        threading.Thread(target=ask).start()

config = uvicorn.Config(RequestContext(app), port=0, lifespan="off", log_config=log_config("shop", spool="spool"))
Server(config).run()
"""


def test_access_lines_are_fields(tmp_path: Path, records) -> None:
    (tmp_path / "app.py").write_text(APP)

    subprocess.run([sys.executable, "app.py"], cwd=tmp_path, check=True, timeout=60, capture_output=True)

    found = records()
    (access,) = [each for each in found if each["log"]["logger"] == "uvicorn.access"]
    assert (access["http.request.method"], access["url.path"], access["http.response.status_code"]) == (
        "GET",
        "/v1/x",
        404,
    )
    assert access["url.query"] == "token=[redacted]"
    assert "geheim" not in access["message"]
    assert {"shop", "uvicorn.error"} <= {each["log"]["logger"] for each in found}
    assert all(each["service"]["name"] == "shop" for each in found)
