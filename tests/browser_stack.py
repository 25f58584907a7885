"""What the browser tests open: the page's own server on a real Prometheus with half an hour of the made-up world.

Our recording rules are evaluated over it; beside it lie a log store that the shipper's sink wrote, and an inbox.
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import browser_world as world
import orjson
import pytest
from playwright.sync_api import Page
from running import wait_for
from topmast import probe
from topmast.binaries import Program
from topmast.engines.alertmanager import relocated
from topmast.layout import Layout
from topmast.page.inbox import Inbox, Notification, now
from topmast_shipper.event import Event, Origin, Position
from topmast_shipper.sinks.sqlite import Config, SqliteSink

HISTORY_SECONDS = 1800
STEP_SECONDS = 15
# The deepest chain of recording rules that read recording rules.
RULE_LEVELS = 4


@dataclass(frozen=True)
class Stack:
    """A page to open, and its state folder where the test may write."""

    url: str
    state: Path | None


@dataclass
class Shown:
    """A tab, and what it complained about."""

    page: Page
    complaints: list[str] = field(default_factory=list)

    def open(self, url: str) -> Page:
        self.page.goto(url)
        return self.page


def program(variable: str, *names: str) -> str:
    found = os.environ.get(variable) or next((path for name in names if (path := shutil.which(name))), None)
    if not found:
        pytest.skip(f"no {names[0]}: `./topmast test --suite browser` gets it")
    return found


def answers(layout: Layout, name: str) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", layout.port(name)), timeout=1):
            return True
    except OSError:
        return False


@contextlib.contextmanager
def started(argv: list[str], layout: Layout, name: str, cwd: Path | None = None) -> Iterator[None]:
    log = layout.state / f"{name}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(argv, stdout=output, stderr=subprocess.STDOUT, cwd=cwd)
    try:
        wait_for(f"{name} listens ({log})", lambda: answers(layout, name) or process.poll() is not None, 30)
        if process.poll() is not None:
            pytest.fail(f"{name} ended: {log.read_text()[-2000:]}")
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


def page_server(layout: Layout) -> list[str]:
    where = ["--state", str(layout.state), "--home", str(layout.home), "--port-offset", str(layout.port_offset)]
    return [sys.executable, "-m", "topmast.page", *where]


def prometheus_argv(program: str, layout: Layout) -> list[str]:
    rules = layout.monitoring / "prometheus"
    config = layout.state / "prometheus.yml"
    # Nothing is evaluated while the tests run: the store already reaches a little into the future.
    config.write_text(f"global: {{evaluation_interval: 1h}}\nrule_files: ['{rules}/alerts/*.yml']\n")
    return [
        program,
        f"--config.file={config}",
        f"--storage.tsdb.path={layout.data / 'prometheus'}",
        f"--web.listen-address={layout.address('prometheus')}",
        "--storage.tsdb.retention.time=60d",
        "--log.level=error",
    ]


@contextlib.contextmanager
def alertmanager(beside: Path, layout: Layout) -> Iterator[None]:
    """Run the real Alertmanager that was unpacked beside promtool (else the one on PATH); it sends to nobody."""
    unpacked = beside.with_name("prometheus-alertmanager")
    found = unpacked if unpacked.is_file() else Path(program("TOPMAST_ALERTMANAGER", "alertmanager"))
    here = layout.state / "alertmanager"
    here.mkdir()
    (here / "alertmanager.yml").write_text("route: {receiver: nobody}\nreceivers: [{name: nobody}]\n")
    templates = found.parents[1] / "share" / "prometheus" / "alertmanager"
    for template in templates.glob("*.tmpl"):
        shutil.copyfile(template, here / template.name)
    argv = [
        str(relocated(Program(found, "package"), here)),
        f"--config.file={here / 'alertmanager.yml'}",
        f"--storage.path={here}",
        f"--web.listen-address={layout.address('alertmanager')}",
        "--cluster.listen-address=",
        "--log.level=error",
    ]
    with started(argv, layout, "alertmanager", here):
        yield


def fill_store(promtool: str, engine: list[str], layout: Layout, history_seconds: int = HISTORY_SECONDS) -> None:
    """Write the world into the store, then the recording rules over it, level by level."""
    store, fresh = layout.data / "prometheus", layout.state / "fresh"
    store.mkdir(parents=True)
    end = time.time() + 600
    start = end - 600 - history_seconds
    text = layout.state / "world.om"
    with text.open("w") as file:
        file.writelines(world.grow(7, start, end, STEP_SECONDS).text())
    subprocess.run(
        [promtool, "tsdb", "create-blocks-from", "openmetrics", "-q", str(text), str(store)],
        check=True, capture_output=True, timeout=120,
    )  # fmt: skip
    recorded = sorted(str(path) for path in (layout.monitoring / "prometheus" / "recording").glob("*.yml"))
    span = ["--start", f"{start:.0f}", "--end", f"{end:.0f}", "--eval-interval", f"{STEP_SECONDS}s"]
    for _ in range(RULE_LEVELS):
        with started(engine, layout, "prometheus"):
            # It listens before it has read its blocks, and answers 503 until then.
            wait_for("Prometheus is ready", lambda: probe.answers(f"{layout.url('prometheus')}/-/ready"), 60)
            subprocess.run(
                [promtool, "tsdb", "create-blocks-from", "rules", *span, "--url", layout.url("prometheus"),
                 "--output-dir", str(fresh), *recorded],
                check=True, capture_output=True, timeout=120,
            )  # fmt: skip
        for block in fresh.iterdir():
            block.rename(store / block.name)


def write_logs(layout: Layout) -> None:
    sink = SqliteSink(Config(layout.log_store))
    sink.send([line(number) for number in range(60)])
    sink.close()


def line(number: int) -> Event:
    """Return one line, `number` times ten seconds ago."""
    at = datetime.fromtimestamp(time.time() - number * 10, UTC)
    level = "error" if number % 6 == 0 else "info"
    message = f"<b>checkout</b> failed for order {number}" if level == "error" else f"request {number} finished"
    document = {
        "@timestamp": at.isoformat().replace("+00:00", "Z"),
        "log": {"level": level},
        "service": {"name": "shop" if number % 2 else "nginx"},
        "message": message,
    }
    position = Position("0123456789abcdef", 0, 1000 - number)
    told, moment = orjson.dumps(document), int(at.timestamp() * 1_000_000)
    service = "shop" if number % 2 else "nginx"
    return Event(message.encode(), position, 0, Origin("test"), at.timestamp(), (), told, moment, level, service)


def write_inbox(layout: Layout) -> None:
    text = "[FIRING:1] CRITICAL HostCpuSaturated\n97 % busy <img src=x onerror=alert(1)>"
    Inbox(layout.inbox).append(
        Notification(now(), "slack-critical", "slack", "firing", ("HostCpuSaturated",), text, {"text": text})
    )
