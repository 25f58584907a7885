"""The server as a whole: status, health, and a clean end."""

import json
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from running import free_offset
from starlette.testclient import TestClient
from topmast.layout import Layout, find_home


def test_the_supervisors_status_is_handed_out(client: TestClient, layout: Layout) -> None:
    layout.run.mkdir(parents=True)
    (layout.run / "status.json").write_text(json.dumps({"ready": True, "components": []}))

    assert client.get("/api/status").json() == {"ready": True, "components": []}


@pytest.mark.parametrize(("content", "status"), [(None, 404), ("{", 500)])
def test_without_a_status_it_says_so(client: TestClient, layout: Layout, content: str | None, status: int) -> None:
    if content is not None:
        layout.run.mkdir(parents=True)
        (layout.run / "status.json").write_text(content)

    assert client.get("/api/status").status_code == status


def test_it_serves_on_loopback_and_ends_cleanly_on_sigterm(tmp_path: Path) -> None:
    layout = Layout(find_home(), tmp_path, free_offset())
    argv = [sys.executable, "-m", "topmast.page", "--state", str(tmp_path), "--home", str(layout.home)]
    process = subprocess.Popen([*argv, "--port-offset", str(layout.port_offset)], stderr=subprocess.PIPE)
    try:
        assert eventually_answers(f"{layout.url('page')}/healthz", process)
        with socket.create_connection(("127.0.0.1", layout.port("inbox-smtp")), timeout=5) as mail:
            assert mail.recv(64).startswith(b"220 ")
        process.send_signal(signal.SIGTERM)
        code = process.wait(10)
    finally:
        process.kill()
        _, errors = process.communicate()

    assert (code, errors) == (0, b"")


def eventually_answers(url: str, process: subprocess.Popen[bytes]) -> bool:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return bool(answer.status == 200)
        except urllib.error.URLError:
            time.sleep(0.02)  # the step of a polled condition
    return False
