"""Real servers with several workers, the real exporter, and what is killed between them."""

import collections
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest
import yaml

APP = """
import os
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from topmast_exporter.instrument.asgi import instrument

async def work(request):
    return PlainTextResponse(str(os.getpid()))

app = instrument(Starlette(routes=[Route("/work", work)]), workers="shop")
"""

WSGI = """
import os
from topmast_exporter.registry import default_registry
from topmast_exporter.workers import push

things = default_registry().counter("app_things_total", "Things.", ("a",)).labels("b")
things.inc(1000)  # the master's own, before the fork: none of a worker's

def app(environ, start_response):
    push.begin(default_registry())
    things.inc()
    start_response("200 OK", [("content-type", "text/plain")])
    return [str(os.getpid()).encode()]
"""


def fetch(port, path):
    """Return (status, text); 0 when there is no answer."""
    try:
        # patient: a request that its sender gave up on waits in the backlog, and is counted when the machine has time
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=60) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()
    except OSError:
        return 0, ""


class Stack:
    """One exporter, one application server, on free ports, killed at the end."""

    def __init__(self, folder, ports, eventually):
        self.folder = folder
        self.exporter_port, usage, self.app_port = ports
        self.eventually = eventually
        folder.chmod(0o700)
        self.config = folder / "topmast.yml"
        self.environment = {
            **os.environ,
            "PYTHONPATH": str(folder),
            "TOPMAST_WORKERS_SOCKET": str(folder / "workers.sock"),
        }
        section = {
            "listen": f"127.0.0.1:{self.exporter_port}",
            "data": str(folder / "data"),
            "ingest": {"listen": f"127.0.0.1:{usage}"},
            "workers": {"socket": str(folder / "workers.sock")},
        }
        self.config.write_text(yaml.safe_dump({"exporter": section}))
        self.processes = []
        self.others = collections.Counter()  # what came in place of an answer: it may have been counted

    def start(self, *argv, environment=()):
        with (self.folder / "log").open("ab") as log:
            options = {"stdout": log, "stderr": log, "start_new_session": True}
            process = subprocess.Popen(
                [sys.executable, "-m", *argv], env={**self.environment, **dict(environment)}, **options
            )
        self.processes.append(process)
        return process

    def start_exporter(self):
        process = self.start("topmast_exporter", "-c", str(self.config))
        self.eventually(lambda: fetch(self.exporter_port, "/healthz")[0] == 200, "the exporter answers")
        return process

    def ask(self, count):
        """Ask the application that often; return the pids that answered."""
        pids = collections.Counter()
        while pids.total() < count:
            status, text = fetch(self.app_port, "/work")
            if status == 200:
                pids[int(text)] += 1
            else:
                self.others[status] += 1
        return pids

    def value(self, sample):
        found = re.search(rf"^{re.escape(sample)} (.*)$", fetch(self.exporter_port, "/apps/shop/metrics")[1], re.M)
        return None if found is None else float(found[1])

    def counts(self, sample, wanted):
        """Wait until the sample has this value; what it has instead is the failure's text."""
        deadline = time.monotonic() + 60
        while self.value(sample) != wanted and time.monotonic() < deadline:
            time.sleep(0.05)
        told = f"beside the answers: {dict(self.others)}\n{(self.folder / 'log').read_text()[-2_000:]}"
        assert self.value(sample) == wanted, told

    def stop(self):
        # the last started first: a worker hands over what is left, and waits for an exporter that is gone
        for process in reversed(self.processes):
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


@pytest.fixture
def stack(tmp_path, free_ports, eventually):
    one = Stack(tmp_path, free_ports(3), eventually)
    yield one
    one.stop()


REQUESTS = 'app_http_requests_total{method="GET",route="/work",route_class="api",status="200"}'


def test_four_uvicorn_workers_are_one_app_through_kill_9_and_a_restart(stack, eventually):
    (stack.folder / "shop.py").write_text(APP)
    exporter = stack.start_exporter()
    assert fetch(stack.exporter_port, "/apps/shop/metrics")[0] == 503
    stack.start("uvicorn", "shop:app", "--workers", "4", "--port", str(stack.app_port), "--log-level", "warning")
    eventually(lambda: fetch(stack.app_port, "/work")[0] == 200, "the application answers", 60)

    asked = 1 + stack.ask(60).total()
    stack.counts(REQUESTS, asked)
    assert stack.value("app_http_requests_in_flight") == 0
    assert fetch(stack.app_port, "/metrics")[0] == 404  # one worker's numbers tell nothing

    exporter.kill()
    exporter.wait()
    pids = stack.ask(30)
    asked += 30
    stack.start_exporter()
    stack.counts(REQUESTS, asked)  # nothing is lost or doubled by the exporter's death

    os.kill(next(iter(pids)), signal.SIGKILL)
    asked += stack.ask(30).total()
    stack.counts(REQUESTS, asked)  # the dead worker's past stays


def test_gunicorn_with_preload_counts_no_fork_twice(stack, eventually):
    (stack.folder / "shop.py").write_text(WSGI)
    stack.start_exporter()
    argv = (
        "gunicorn",
        "shop:app",
        "--preload",
        "--no-control-socket",
        "-w",
        "3",
        "-b",
        f"127.0.0.1:{stack.app_port}",
    )
    stack.start(*argv, environment={"TOPMAST_APP": "shop"})
    eventually(lambda: fetch(stack.app_port, "/work")[0] == 200, "the application answers", 60)

    asked = 1 + stack.ask(40).total()

    stack.counts('app_things_total{a="b"}', asked)  # every request, and no more


def test_gunicorns_asgi_workers_with_preload(stack, eventually):
    (stack.folder / "shop.py").write_text(APP)
    stack.start_exporter()
    # without the control socket: it lies in the home folder, where every gunicorn of this user has its own
    asgi = ("-w", "2", "-k", "asgi", "-b", f"127.0.0.1:{stack.app_port}")
    stack.start("gunicorn", "shop:app", "--preload", "--no-control-socket", *asgi)
    eventually(lambda: fetch(stack.app_port, "/work")[0] == 200, "the application answers", 60)

    asked = 1 + stack.ask(40).total()

    stack.counts(REQUESTS, asked)


def test_a_worker_that_ends_hands_over_what_is_left(stack, eventually):
    (stack.folder / "shop.py").write_text(APP)
    stack.start_exporter()
    server = stack.start("uvicorn", "shop:app", "--port", str(stack.app_port), "--log-level", "warning")
    eventually(lambda: fetch(stack.app_port, "/work")[0] == 200, "the application answers", 60)
    asked = 1 + stack.ask(20).total()

    server.send_signal(signal.SIGTERM)
    server.wait(20)

    assert stack.value(REQUESTS) == asked
