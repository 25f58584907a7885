"""`topmast export`: a thin door to the exporter."""

import json
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from topmast.cli import topmast

EVENT = b'{"id": "%d", "provider": "acme", "model": "big", "usage": {"input": 10, "output": 1}}'


@pytest.fixture
def ports() -> list[int]:
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    numbers = [int(probe.getsockname()[1]) for probe in probes]
    for probe in probes:
        probe.close()
    return numbers


@pytest.fixture
def config(tmp_path: Path, ports: list[int]) -> Path:
    path = tmp_path / "topmast.yml"
    path.write_text(
        f"exporter:\n  listen: 127.0.0.1:{ports[0]}\n  data: {tmp_path}/data\n  workers: {{socket: ''}}\n"
        f"  ingest: {{listen: 127.0.0.1:{ports[1]}}}\n  dependencies: [redis]\n"
    )
    return path


@pytest.fixture
def running(config: Path, ports: list[int]) -> Iterator[subprocess.Popen[bytes]]:
    with (
        config.with_name("log").open("wb") as log,
        subprocess.Popen([sys.executable, "-m", "topmast", "export", "-c", str(config)], stderr=log) as process,
    ):
        try:
            until(lambda: bool(scrape(ports[0])), "it answers")
            yield process
        finally:
            if process.poll() is None:
                process.terminate()


def until(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, f"not in time: {what}"
        time.sleep(0.01)


def scrape(port: int) -> str:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            return str(answer.read().decode())
    except (urllib.error.URLError, OSError):
        return ""


def test_check(config: Path) -> None:
    result = CliRunner().invoke(topmast, ["export", "-c", str(config), "--check"])

    assert result.exit_code == 0
    assert result.stdout == f"{config}: ok, 0 servers\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("exporter: {x: 7}", "$.exporter: no such option: 'x'", id="an option"),
        pytest.param("exporter: {listen: '0.0.0.0:9470'}", "beyond this machine only with TLS", id="an open door"),
    ],
)
def test_check_of_a_wrong_file(config: Path, text: str, message: str) -> None:
    config.write_text(text)

    result = CliRunner().invoke(topmast, ["export", "-c", str(config), "--check", "--json"])

    assert result.exit_code == 78
    assert message in json.loads(result.stdout)["checks"][0]["message"]


def test_once_prints_what_the_servers_say(config: Path) -> None:
    config.write_text("exporter:\n  collectors: [{redis: {target: cache, url: 'redis://127.0.0.1:1'}}]\n")

    done = subprocess.run(
        [sys.executable, "-m", "topmast", "export", "-c", str(config), "--once"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 1  # nobody is there
    assert "redis_up 0.0" in done.stdout


def test_a_reload_under_load_loses_no_sample(
    config: Path, ports: list[int], running: subprocess.Popen[bytes]
) -> None:
    accepted = 0
    for number in range(60):
        if number % 20 == 10:
            config.write_text(config.read_text().replace("[redis]", f"[redis, {('mysql', 'app')[number % 3 > 0]}]"))
            running.send_signal(signal.SIGHUP)
        request = urllib.request.Request(f"http://127.0.0.1:{ports[1]}/v1/usage", EVENT % number)
        with urllib.request.urlopen(request, timeout=10) as answer:
            accepted += json.load(answer)["accepted"]
    until(lambda: config.with_name("log").read_text().count("read again") == 3, "three reloads")

    counted = [line for line in scrape(ports[0]).splitlines() if line.startswith("llm_requests_total")]

    assert accepted == 60
    assert sum(float(line.rpartition(" ")[2]) for line in counted) == 60
    running.terminate()
    assert running.wait(20) == 0
