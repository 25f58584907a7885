"""The applications of docs/connect-your-app.md, run as the page runs them, and what is counted of them."""

import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import yaml
from docs_blocks import ROOT, blocks_of

# The page's commands; 8000 becomes a port that is free.
FASTAPI = ["uvicorn", "shop:app", "--port", "8000"]
FLASK = ["gunicorn", "--threads", "8", "--bind", "127.0.0.1:8000", "shop_flask:app"]
WORKERS = ["TOPMAST_APP=shop", "gunicorn", "--workers", "4", "shop_flask:app"]
CELERY = ["celery", "--app", "tasks", "worker", "--concurrency", "2"]


def fetch(port: int, path: str) -> str:
    with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
        return str(answer.read().decode())
    return ""


class Machine:
    """A folder with the page's files in it, and the processes started there."""

    def __init__(self, folder: Path, ports: Iterator[int], eventually: Callable[..., None]) -> None:
        self.folder = folder
        self.ports = ports
        self.eventually = eventually
        self.processes: list[subprocess.Popen[bytes]] = []
        folder.chmod(0o700)
        for block in blocks_of((ROOT / "docs/connect-your-app.md").read_text(), "connect-your-app.md"):
            named = re.match(r"# (\w+\.py)\n", block.text)
            if named:
                (folder / named[1]).write_text(block.text)

    def start(self, words: list[str], port: int | None = None, **variables: str) -> None:
        """Start a command of the page: variables before it, the program of this environment."""
        words = [word.replace("8000", str(port)) for word in words]
        given = dict(word.split("=", 1) for word in words if word.startswith("TOPMAST_"))
        program, *options = (word for word in words if not word.startswith("TOPMAST_"))
        environment = {
            **os.environ,
            "TOPMAST_WORKERS_SOCKET": str(self.folder / "workers.sock"),
            "PYTHONPATH": str(self.folder),
            **given,
            **variables,
        }
        with (self.folder / "log").open("ab") as log:
            self.processes.append(
                subprocess.Popen(
                    [sys.executable, "-m", program, *options],
                    cwd=self.folder,
                    env=environment,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
            )

    def start_exporter(self) -> int:
        port, usage = next(self.ports), next(self.ports)
        section = {
            "listen": f"127.0.0.1:{port}",
            "data": str(self.folder / "data"),
            "ingest": {"listen": f"127.0.0.1:{usage}"},
            "workers": {"socket": str(self.folder / "workers.sock")},
        }
        (self.folder / "topmast.yml").write_text(yaml.safe_dump({"exporter": section}))
        self.start(["topmast_exporter", "-c", "topmast.yml"])
        self.eventually(lambda: fetch(port, "/healthz") != "", "the exporter answers")
        return port

    def until(self, port: int, path: str, line: str) -> None:
        """Wait until this line is in what is answered there."""
        self.eventually(
            lambda: line in fetch(port, path).splitlines(), f"{line}\n{(self.folder / 'log').read_text()}"
        )

    def stop(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
        for process in self.processes:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


@pytest.fixture
def machine(tmp_path: Path, eventually: Callable[..., None]) -> Iterator[Machine]:
    import socket

    def free() -> Iterator[int]:
        while True:
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                number = int(probe.getsockname()[1])
            yield number

    one = Machine(tmp_path, free(), eventually)
    yield one
    one.stop()


def counted(route: str) -> str:
    return f'app_http_requests_total{{method="GET",route="{route}",route_class="api",status="200"}} 1.0'


def test_fastapi(machine: Machine) -> None:
    port = next(machine.ports)
    machine.start(FASTAPI, port)
    machine.eventually(lambda: fetch(port, "/items/7") == '"7"', "the shop answers")

    text = fetch(port, "/metrics")

    assert counted("/items/{item}") in text
    assert 'app_http_requests_total{method="POST",route="/ask",route_class="llm",status="200"} 0.0' in text
    assert 'app_build_info{version="1.4.0"' in text


def test_flask(machine: Machine) -> None:
    port = next(machine.ports)
    machine.start(FLASK, port)
    machine.eventually(lambda: fetch(port, "/items/7") == "7", "the shop answers")

    assert counted("/items/<item>") in fetch(port, "/metrics")


def test_several_workers(machine: Machine) -> None:
    exporter, port = machine.start_exporter(), next(machine.ports)
    machine.start([*WORKERS, "--bind", "127.0.0.1:8000"], port)
    machine.eventually(lambda: fetch(port, "/items/7") == "7", "the shop answers")

    machine.until(exporter, "/apps/shop/metrics", counted("/items/<item>"))


def test_celery(machine: Machine, valkey: str) -> None:
    exporter = machine.start_exporter()
    machine.start(CELERY, BROKER=valkey)

    publish = "import tasks; tasks.thumbnail.delay('cat.png')"
    environment = {**os.environ, "BROKER": valkey}
    subprocess.run([sys.executable, "-c", publish], cwd=machine.folder, env=environment, check=True, timeout=60)

    path = "/apps/shop-tasks/metrics"
    machine.until(exporter, path, 'agent_executions_total{agent="tasks.thumbnail",status="success"} 1.0')
    machine.until(exporter, path, 'agent_task_queue_wait_seconds_count{agent="tasks.thumbnail"} 1')
    machine.until(exporter, path, 'agent_pool_max{pool="celery"} 2.0')
