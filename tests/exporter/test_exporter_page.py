"""docs/exporter.md: its web configuration, served by the real process with a worker behind it."""

import base64
import json
import os
import re
import socket
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest
import trustme
from topmast_exporter.registry import Registry
from topmast_exporter.workers.push import Pusher

PAGE = Path(__file__).parents[2] / "docs" / "exporter.md"


@pytest.fixture
def served(tmp_path, eventually):
    """Start the exporter as the page says; return what asks it: (path, user and password) -> (status, text)."""
    authority = trustme.CA()
    pair = authority.issue_cert("localhost")
    pair.cert_chain_pems[0].write_to_path(tmp_path / "exporter.crt")
    pair.private_key_pem.write_to_path(tmp_path / "exporter.key")
    (block,) = re.findall(r"```yaml\n(# exporter\.web\.yml\n.*?)```", PAGE.read_text(), re.S)
    (tmp_path / "exporter.web.yml").write_text(block)
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as two:
        port, usage = one.getsockname()[1], two.getsockname()[1]
    tmp_path.chmod(0o700)
    section = {
        "listen": f"127.0.0.1:{port}",
        "data": str(tmp_path / "data"),
        "ingest": {"listen": f"127.0.0.1:{usage}"},
        "workers": {"socket": str(tmp_path / "workers.sock")},
        "web_config_file": str(tmp_path / "exporter.web.yml"),
    }
    (tmp_path / "topmast.yml").write_text(json.dumps({"exporter": section}))
    context = ssl.create_default_context()
    authority.configure_trust(context)

    def ask(path, login=None):
        request = urllib.request.Request(f"https://localhost:{port}{path}")
        if login is not None:
            request.add_header("Authorization", "Basic " + base64.b64encode(login.encode()).decode())
        try:
            with urllib.request.urlopen(request, timeout=30, context=context) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()
        except OSError:
            return 0, ""

    argv = [sys.executable, "-m", "topmast_exporter", "-c", str(tmp_path / "topmast.yml")]
    with (tmp_path / "log").open("ab") as log:
        process = subprocess.Popen(argv, stdout=log, stderr=log, env=dict(os.environ))
    eventually(lambda: ask("/healthz")[0] == 401, "the exporter answers", 30)
    yield ask
    process.terminate()
    process.wait(20)


def test_an_apps_workers_are_scraped_with_tls_and_a_password(served, tmp_path):
    registry = Registry()
    registry.counter("app_things_total", "Things.").labels().inc(3)
    pusher = Pusher(registry, "shop", tmp_path / "workers.sock")
    pusher.begin()
    assert pusher.flush(30)

    status, text = served("/apps/shop/metrics", "prometheus:a long one")

    pusher.close()
    assert (status, "app_things_total 3.0" in text) == (200, True)
    assert served("/apps/shop/metrics")[0] == 401
    assert served("/apps/shop/metrics", "prometheus:another")[0] == 401
