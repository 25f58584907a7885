"""gunicorn itself, with two workers: the master's, the workers' and the access records in one spool."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

APP = """
import logging
def app(environ, start_response):
    logging.getLogger("shop").warning("in the request")
    start_response("201 Created", [("content-type", "text/plain")])
    return [b"ok"]
"""


def test_every_process_writes_into_the_spool(tmp_path: Path, records) -> None:
    (tmp_path / "app.py").write_text(APP)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    argv = [sys.executable, "-m", "gunicorn", "-b", f"127.0.0.1:{port}", "-w", "2", "--access-logfile", "-"]
    argv += ["--logger-class", "topmast_shipper.frameworks.gunicorn.Logger", "app:app"]
    environment = {**os.environ, "TOPMAST_SPOOL": "spool", "TOPMAST_SERVICE": "shop"}
    server = subprocess.Popen(
        argv, cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/v1?a=1", timeout=5) as answer:
                    assert answer.status == 201
                break
            except (urllib.error.URLError, ConnectionError):
                assert server.poll() is None and time.monotonic() < deadline
                time.sleep(0.1)
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(30)

    found = records()
    (access,) = [each for each in found if each["log"]["logger"] == "gunicorn.access"]
    assert (access["url.path"], access["http.response.status_code"]) == ("/v1", 201)
    assert access["event.duration"] > 0
    assert any("Booting worker" in each["message"] for each in found)
    assert "in the request" in [each["message"] for each in found]
    assert len({each["process"]["pid"] for each in found}) >= 2
