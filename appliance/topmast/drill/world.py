"""One world of the drill: a private Prometheus with the real rules, a private Alertmanager with the real routes.

The rules' expressions are untouched; each `for` is shortened, and rules are evaluated once a second. What a disaster
needs of the past lies in blocks; the present is scraped from here once a second. A world is healed by telling the
end of each disaster and deleting what was recorded of it: windows of hours need not be waited for.
"""

import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import requests
import yaml

from topmast import guard, promql, promtool
from topmast.drill import scenes as stories
from topmast.drill.receivers import Capture
from topmast.drill.rerouted import rerouted
from topmast.drill.scenes import Scene
from topmast.errors import TopmastError
from topmast.layout import LOOPBACK

_READY_SECONDS = 60.0
_ERROR = re.compile(r'\berr="((?:[^"\\]|\\.)*)"')
_TOLD, _COMPLAINTS = 200, 5
FOLDERS = ("alerts", "self", "recording")


@dataclass(frozen=True)
class Kit:
    """What every world is made of."""

    prometheus: Path
    alertmanager: Path
    alertmanager_folder: Path
    """Its working directory: Debian's build looks for its templates there."""
    promtool: Path
    rules: Path
    """prometheus/ as rendered: alerts/, self/, recording/."""
    routes: Path
    """alertmanager.yml as rendered, its templates beside it."""
    environment: str
    links: tuple[str, str] = ("http://localhost:9090/", "http://localhost:9093/")
    """Where messages say that Prometheus and the Alertmanager are: production's addresses."""


@dataclass(frozen=True)
class Clocks:
    """How fast a world's clocks run. `speed` 1 and the real intervals are production's."""

    speed: float = 120.0
    shortest_for: int = 8000
    """Milliseconds; an alert without a `for` has none. Prometheus learns of its Alertmanager up to five seconds after
    its start: an alert that fired before is late, and nothing waits for the critical that would mute it."""
    interval: str = "1s"
    resend: str = "1s"


@dataclass
class World:
    """A running world."""

    name: str
    scenes: Sequence[Scene]
    routes: Mapping[str, Any]
    """The Alertmanager's configuration."""
    prometheus: str = ""
    alertmanager: str = ""
    began: float = 0.0
    """Monotonic seconds at which the disasters were first told."""
    armed: float = 0.0
    """Monotonic seconds from which on the rules were evaluated."""
    healed: float | None = None
    scrapes: int = 0
    first_sick: float | None = None
    """When the first scrape saw a disaster (monotonic seconds)."""
    folder: Path = Path()
    """Where its engines' logs are."""
    extra: Sequence[stories.Series] = ()
    told: threading.Condition = field(default_factory=threading.Condition)

    def page(self) -> str:
        """Return what a scrape sees now."""
        now = time.monotonic()
        with self.told:
            self.scrapes += 1
            self.told.notify_all()
            well = self.healed is not None
            if not well and self.first_sick is None:
                self.first_sick = now
            elapsed = now - (self.healed if self.healed is not None else self.began)
        return stories.exposition(self.scenes, elapsed, well=well, extra=self.extra)

    def strike(self) -> None:
        """Let the disasters begin."""
        with self.told:
            self.began, self.healed = time.monotonic(), None

    def heal(self) -> None:
        """End every cause: what is told is well from now on, and what was recorded is gone."""
        with self.told:
            self.healed = time.monotonic()
            seen = self.scrapes
            # The scrape under way may still tell the disaster: one that began later must have been answered.
            if not self.told.wait_for(lambda: self.scrapes >= seen + 2, _READY_SECONDS):
                raise TopmastError(f"drill: {self.name}: Prometheus scrapes no more")
        names = sorted({series.name for scene in self.scenes for series in [*scene.sick, *scene.well]})
        answer = requests.post(
            f"{self.prometheus}/api/v1/admin/tsdb/delete_series",
            data={"match[]": [f"{{__name__={json.dumps(name)}}}" for name in names]},
            timeout=30,
        )
        if answer.status_code != 204:
            raise TopmastError(f"drill: {self.name}: Prometheus deletes nothing: {answer.text[:200]}")

    def firing(self) -> list[dict[str, Any]]:
        """Return the alerts that the Alertmanager holds: labels, annotations, `status.inhibitedBy`."""
        answer = requests.get(f"{self.alertmanager}/api/v2/alerts", timeout=30)
        answer.raise_for_status()
        return list(answer.json())

    def complaints(self) -> list[str]:
        """Return what its Alertmanager could not do, each reason once, its numbers left out."""
        found: dict[str, str] = {}
        for path in self.folder.glob("*alertmanager.log"):
            for error in _ERROR.findall(path.read_text(encoding="utf-8", errors="replace")):
                told = error.replace('\\"', '"')
                told = told if len(told) <= _TOLD else f"…{told[-_TOLD:]}"
                found.setdefault(re.sub(r"[0-9]+", "", told), told)
        return list(found.values())[:_COMPLAINTS]


@contextmanager
def started(
    kit: Kit,
    name: str,
    scenes: Sequence[Scene],
    capture: Capture,
    clocks: Clocks,
    pipe: int,
    *,
    only: bool,
    calm: bool = False,
) -> Iterator[World]:
    """Yield a world in which these disasters have begun. With `only`, no other alert is loaded.

    With `calm` all is well until `strike()`, and nothing was before.

    Raises TopmastError when an engine does not start.
    """
    with tempfile.TemporaryDirectory(prefix="topmast-drill-") as temporary, ExitStack() as stack:
        folder = Path(temporary)
        world = World(name, scenes, rerouted(kit.routes, name, capture, clocks.speed), folder=folder)
        world.extra = () if only else stories.around()
        page = stack.enter_context(serving(world.page))
        _write_rules(folder, kit, clocks, {scene.alert for scene in scenes} if only else None)
        (folder / "alertmanager.yml").write_text(yaml.safe_dump(dict(world.routes), allow_unicode=True))
        address = free_address()
        argv = _alertmanager(kit, folder, address)
        world.alertmanager = stack.enter_context(running(argv, kit.alertmanager_folder, address, folder, pipe))
        config = configuration(folder, kit.environment, clocks, page=page, alertmanager=address)
        (folder / "prometheus.yml").write_text(json.dumps(config))  # JSON is YAML
        past, world.began = time.time(), time.monotonic()
        if calm:
            world.healed = world.began
        else:
            make_blocks(kit.promtool, stories.history(scenes, past), folder)
        address = free_address()
        argv = _prometheus(kit, clocks, folder, address)
        world.prometheus = stack.enter_context(running(argv, folder, address, folder, pipe))
        world.armed = time.monotonic()
        yield world


def configuration(folder: Path, environment: str, clocks: Clocks, *, page: str, alertmanager: str) -> dict[str, Any]:
    """Return a prometheus.yml: the rules below the folder, the world's page, the world's Alertmanager."""
    return {
        "global": {
            "scrape_interval": clocks.interval,
            "scrape_timeout": clocks.interval,
            "evaluation_interval": clocks.interval,
            "external_labels": {"environment": environment},
        },
        "rule_files": [str(folder / kind / "*.yml") for kind in FOLDERS],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": [alertmanager]}]}]},
        "scrape_configs": [
            {
                "job_name": "drill",
                "honor_labels": True,
                "static_configs": [{"targets": [page], "labels": {"instance": "drill"}}],
                # A series of a scene that has no job, or no instance, has none: as in its history.
                "metric_relabel_configs": [
                    {"source_labels": [label], "regex": "drill", "target_label": label, "replacement": ""}
                    for label in ("job", "instance")
                ],
            }
        ],
    }


def _write_rules(folder: Path, kit: Kit, clocks: Clocks, names: set[str] | None) -> None:
    for kind in FOLDERS:
        (folder / kind).mkdir()
        for path in sorted((kit.rules / kind).glob("*.yml")):
            document = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
            (folder / kind / path.name).write_text(json.dumps(quickened(document, clocks, names)))


def quickened(document: Mapping[str, Any], clocks: Clocks, names: set[str] | None) -> dict[str, Any]:
    """Return a rule file with every `for` shortened and no group interval; of the alerts only `names`, if given."""
    groups = []
    for group in document.get("groups") or ():
        kept = []
        for rule in group.get("rules") or ():
            if names is not None and "alert" in rule and rule["alert"] not in names:
                continue
            changed = dict(rule)
            for key in ("for", "keep_firing_for"):
                if key in changed:
                    length = promql.milliseconds(str(changed[key]))
                    changed[key] = promql.duration(
                        max(int(length / clocks.speed), clocks.shortest_for) if length else 0
                    )
            kept.append(changed)
        groups.append({"name": group["name"], "rules": kept} if clocks.speed != 1 else {**group, "rules": kept})
    return {"groups": groups}


def make_blocks(program: Path, text: str, folder: Path) -> None:
    """Write OpenMetrics as blocks into FOLDER/data. Raises TopmastError with what promtool said."""
    (folder / "history.txt").write_text(text, encoding="utf-8")
    answer = promtool.run(
        program, ["tsdb", "create-blocks-from", "openmetrics", "history.txt", "data"], folder=folder
    )
    if answer.code != 0:
        raise TopmastError(f"{program}: no blocks: {answer.output.strip()[-300:]}")


def _prometheus(kit: Kit, clocks: Clocks, folder: Path, address: str) -> list[str]:
    return [
        *(
            str(kit.prometheus),
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'data'}",
        ),
        *(f"--web.listen-address={address}", "--web.enable-admin-api", "--log.level=error"),
        *(
            f"--web.external-url={kit.links[0]}",
            "--web.route-prefix=/",
            "--storage.tsdb.retention.time=30d",
            f"--rules.alert.resend-delay={clocks.resend}",
        ),
    ]


def _alertmanager(kit: Kit, folder: Path, address: str) -> list[str]:
    return [
        *(str(kit.alertmanager), f"--config.file={folder / 'alertmanager.yml'}"),
        *(f"--storage.path={folder / 'alertmanager'}", f"--web.listen-address={address}"),
        *(f"--web.external-url={kit.links[1]}", "--web.route-prefix=/"),
        *("--cluster.listen-address=", "--log.level=warn"),
    ]


def free_address() -> str:
    """Return a loopback address on which nobody listens now."""
    with socket.socket() as plug:
        plug.bind((LOOPBACK, 0))
        return f"{LOOPBACK}:{plug.getsockname()[1]}"


@contextmanager
def running(argv: Sequence[str], cwd: Path, address: str, folder: Path, pipe: int) -> Iterator[str]:
    """Yield the URL of an engine that answers at the address; it is gone afterwards, its log stays in the folder."""
    log = folder / f"{Path(argv[0]).name}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            argv,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    guard.watch(pipe, process.pid, "SIGTERM")
    try:
        deadline = time.monotonic() + _READY_SECONDS
        while not _ready(f"http://{address}"):
            if process.poll() is not None or time.monotonic() > deadline:
                raise TopmastError(f"{argv[0]}: did not start: {log.read_text(errors='replace').strip()[-400:]}")
            time.sleep(0.05)
        yield f"http://{address}"
    finally:
        # Nothing of it is kept: there is nothing to end in order.
        process.kill()
        process.wait()
        guard.forget(pipe, process.pid)


def _ready(url: str) -> bool:
    try:
        return requests.get(f"{url}/-/ready", timeout=5).status_code == 200
    except requests.RequestException:
        return False


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a Prometheus that hung up: it was ended."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


@contextmanager
def serving(page: Callable[[], str]) -> Iterator[str]:
    """Yield the address at which Prometheus finds what `page` returns at that moment."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = page().encode()
            with suppress(ConnectionError):
                self.send_response(200)
                self.send_header("content-type", "text/plain; version=0.0.4")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = _Server((LOOPBACK, 0), Page)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"{LOOPBACK}:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def guarded() -> Iterator[int]:
    """Yield the pipe of a guard: what is started meanwhile ends with this process, however that ends.

    To be entered before any thread is started: it forks.
    """
    nothing = os.open(os.devnull, os.O_RDONLY)
    pipe = guard.fork(nothing)
    os.close(nothing)
    try:
        yield pipe
    finally:
        os.close(pipe)
