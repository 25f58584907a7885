"""The Lumberjack client of npm (lumberjack-client, ISC): written by others, it meets our server and our bytes.

It needs Node.js and npm, which a plain machine lacks.
"""

import json
import os
import shutil
import socket
import ssl
import subprocess
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme
from topmast_shipper.lumberjack import encode_window
from topmast_shipper.testing_lumberjack import LumberjackServer, Mode

VERSION = "1.0.3"
SCRIPT = Path(__file__).with_name("lumberjack_client.js")
FIRST = [{"n": 1, "text": "Grüße 😀"}, {"n": 2, "nested": {"list": [1, None, True]}}, {"n": 3}]
LATER = [{"n": 4}, {"n": 5}]


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the client in its node_modules."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if not node or not npm:
        pytest.skip("no Node.js with npm here")
    folder = tmp_path_factory.mktemp("npm")
    argv = [npm, "install", "--ignore-scripts", "--no-audit", "--no-fund", f"lumberjack-client@{VERSION}"]
    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, timeout=120)
    if done.returncode != 0:
        pytest.skip(f"npm brings no package here: {done.stderr.strip().splitlines()[:1]}")
    return folder


@pytest.fixture
def client(packages: Path) -> Callable[..., Any]:
    @contextmanager
    def running(port: int, ca: str = "", first: Any = FIRST, later: Any = LATER) -> Iterator[None]:
        argv = ["node", SCRIPT, str(port), ca, json.dumps({"first": first, "later": later})]
        environment = {**os.environ, "NODE_PATH": str(packages / "node_modules")}
        with subprocess.Popen(argv, env=environment) as process:
            try:
                yield
            finally:
                process.kill()

    return running


@pytest.mark.parametrize("mode", ["logstash", "go-lumber"])
def test_the_server_understands_it(client: Callable[..., Any], mode: Mode) -> None:
    with LumberjackServer(mode) as server, client(server.port):
        server.wait_for(lambda: len(server.events) == 5)

        assert server.events == FIRST + LATER
        assert (server.windows, server.connections) == ([3, 1, 1], 1)


def test_the_server_understands_it_over_tls(client: Callable[..., Any], tmp_path: Path) -> None:
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")

    with LumberjackServer(tls=context) as server, client(server.port, str(tmp_path / "ca.pem")):
        server.wait_for(lambda: len(server.events) == 5)

        assert server.events == FIRST + LATER


def test_its_bytes_are_ours(client: Callable[..., Any]) -> None:
    """Its compressed window holds, byte for byte, the frames that we write for the same documents."""
    with socket.create_server(("127.0.0.1", 0)) as listener, client(listener.getsockname()[1], later=[]):
        connection, _ = listener.accept()
        with connection:
            connection.settimeout(30)
            head = _exactly(connection, 12)
            body = zlib.decompress(_exactly(connection, int.from_bytes(head[8:12], "big")))

    documents = [json.dumps(each, separators=(",", ":"), ensure_ascii=False).encode() for each in FIRST]
    plain = encode_window(documents, compress=False)
    assert (head[:6], head[6:8], body) == (plain[:6], b"2C", plain[6:])


def _exactly(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = connection.recv(size - len(data))
        assert part, f"{len(data)} of {size} bytes"
        data += part
    return data
