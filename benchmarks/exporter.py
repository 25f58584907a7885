"""What the exporter's instruments cost an application, beside the instruments that most use today.

Ours and the peers run in one process, in an environment of their own that is made at the first run
(STATE/benchmark-peers): rounds are interleaved, CPU time counts, and a value is the median over the rounds of the
difference to the bare application. The scripts are in benchmarks/in_process/.
"""

import json
import os
import random
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from topmast import environments
from topmast.benchmark import Benchmark, Run
from topmast.errors import TopmastError
from topmast.measure import Measure, measure

# Measured together; the notes name them.
PEERS = (
    "prometheus-fastapi-instrumentator==8.1.0",
    "starlette_exporter==0.24.0",
    "prometheus-client==0.26.0",
    "fastapi==0.165.0",
    "starlette==1.10.0",
    "redis==8.1.0",
)

VERSIONS = dict(one.split("==") for one in PEERS)

INSTRUMENTATOR, STARLETTE_EXPORTER = "prometheus-fastapi-instrumentator", "starlette_exporter"


@dataclass(frozen=True)
class Size:
    """How much is measured: (routes: (rounds, requests)), …"""

    starlette: tuple[int, int]
    fastapi: tuple[int, int]
    routes300: tuple[int, int]
    scrapes: int
    cache: tuple[int, int]
    imports: int
    kills: int


DEFAULT = Size((60, 200), (60, 100), (300, 4), 5, (60, 500), 15, 10)
FULL = Size((150, 200), (150, 200), (800, 4), 11, (150, 1000), 41, 40)


def run(bench: Run) -> Sequence[Measure]:
    size = FULL if bench.full else DEFAULT
    script = _scripts(bench)
    return [
        *_asgi(bench, script, size),
        *_render(bench, script, size),
        _cache(bench, script, size),
        *_attack(bench, script),
        _workers(bench, size),
        _import(bench, script, size),
    ]


Script = Callable[..., Any]


def _scripts(bench: Run) -> Script:
    """Return what runs a script of in_process/ with the peers' interpreter and ours, and reads its JSON."""
    state = Path(os.environ.get("TOPMAST_STATE", bench.home / ".topmast"))
    python = environments.made(state / "benchmark-peers", PEERS, bench.say)
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("TOPMAST_", "PYTHON"))},
        "PYTHONPATH": str(bench.home / "exporter"),
        # as installed packages are: compiled
        "PYTHONPYCACHEPREFIX": str(state / "benchmark-peers" / "compiled"),
    }

    def script(name: str, *arguments: object) -> Any:
        argv = [str(python), str(bench.home / "benchmarks" / "in_process" / name), *map(str, arguments)]
        done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=1_800, env=environment)
        if done.returncode != 0:
            raise TopmastError(f"{name} {' '.join(map(str, arguments))}: {done.stderr.strip()[-400:]}")
        return json.loads(done.stdout)

    return script


def _asgi(bench: Run, script: Script, size: Size) -> Iterator[Measure]:
    """Measure what each middleware adds to a request of one route, and of the last of 300."""
    added: dict[str, dict[str, float]] = {}
    for name, kind, routes, (rounds, requests) in (
        ("starlette", "starlette", 1, size.starlette),
        ("fastapi", "fastapi", 1, size.fastapi),
        ("routes300", "fastapi", 300, size.routes300),
    ):
        bench.say(f"{name}: {rounds} rounds of {requests} requests")
        found = script("asgi.py", kind, routes, rounds, requests)
        added[name] = one = found["added"]
        note = f"{rounds} rounds x {requests} requests, CPU time; bare {found['bare']:.1f} us"
        goal = "ratio >= 40" if name == "routes300" else "ratio >= 5"
        yield _against(f"exporter.asgi.{name}", one, INSTRUMENTATOR, goal, note)
        if name != "routes300":
            yield _against(f"exporter.asgi.{name}.vs_starlette_exporter", one, STARLETTE_EXPORTER, "ratio >= 6", note)
    grown = added["routes300"]["ours"] / added["fastapi"]["ours"]
    note = "what 300 routes cost beside one; a timer's resolution, not a growth, when below 1"
    yield measure("exporter.asgi.routes300.vs_one_route", grown, "times", "<= 2", note=note)


def _against(name: str, added: dict[str, float], peer: str, goal: str, note: str) -> Measure:
    ours = added["ours"]
    ratio = added[peer] / ours if ours > 0 else None
    told = note if ratio is not None else f"{note}; ours is below what can be told from nothing"
    return measure(name, ours, "us", goal, peer=_named(peer), peer_value=added[peer], ratio=ratio, note=told)


def _named(peer: str) -> str:
    return f"{peer} {VERSIONS[peer]}"


def _render(bench: Run, script: Script, size: Size) -> Iterator[Measure]:
    """Measure a scrape of 50,000 counters: the CPU time of its text, and how long the event loop stands still."""
    bench.say(f"render: 50000 series, {size.scrapes} scrapes")
    ours = script("render.py", "ours", 50_000, size.scrapes)
    peer = script("render.py", "peer", 50_000, 3)
    note = f"50,000 counters of three labels, median of {size.scrapes}"
    yield measure(
        "exporter.render.50k",
        ours["render"] * 1e3,
        "ms",
        "ratio >= 20",
        peer=f"{_named('prometheus-client')} generate_latest",
        peer_value=peer["render"] * 1e3,
        ratio=peer["render"] / ours["render"],
        note=note,
    )
    yield measure(
        "exporter.render.stall",
        ours["stall"] * 1e3,
        "ms",
        "<= 10",
        peer=f"{_named('prometheus-client')} make_asgi_app",
        peer_value=peer["stall"] * 1e3,
        ratio=peer["stall"] / ours["stall"],
        note=f"{note}; worst {ours['worst_stall'] * 1e3:.1f} ms",
    )


def _cache(bench: Run, script: Script, size: Size) -> Measure:
    rounds, calls = size.cache
    bench.say(f"cache: {rounds} rounds of {calls} calls")
    found = script("cache.py", rounds, calls)
    note = f"redis-py's get() on a connection that answers from memory; bare {found['bare']:.1f} us"
    return measure("exporter.cache.wrapped_get", found["added"], "us", "<= 5", note=note)


def _attack(bench: Run, script: Script) -> Iterator[Measure]:
    """Measure 5,000 each of random methods, paths, path parameters and models."""
    bench.say("attack: 5000 random methods, paths, parameters, models")
    ours = script("attack.py", "ours", 5_000, bench.seed)
    peers = {name: script("attack.py", name, 5_000, bench.seed) for name in ("instrumentator", STARLETTE_EXPORTER)}
    worse = peers["instrumentator"]
    told = ", ".join(f"{name} +{one['memory']:.1f} MB, {one['lines']} lines" for name, one in peers.items())
    note = f"seed {bench.seed}; {told} (without the models)"
    yield measure(
        "exporter.attack.memory",
        ours["memory"],
        "MB",
        "<= 2",
        peer=_named(INSTRUMENTATOR),
        peer_value=worse["memory"],
        ratio=worse["memory"] / max(ours["memory"], 0.01),
        note=note,
    )
    yield measure(
        "exporter.attack.series",
        ours["series"],
        "label sets",
        "<= 20000",
        peer=_named(INSTRUMENTATOR),
        peer_value=worse["series"],
        ratio=worse["series"] / ours["series"],
        note=f"admitted: 2,000 a family, 20,000 in all; {ours['lines']} lines; {note}",
    )


def _import(bench: Run, script: Script, size: Size) -> Measure:
    bench.say(f"import: {size.imports} processes each")
    ours = [script("imports.py", "ours") for _ in range(size.imports)]
    peer = statistics.median(script("imports.py", "peer")["added"] for _ in range(size.imports)) * 1e3
    added = statistics.median(one["added"] for one in ours) * 1e3
    bare = statistics.median(one["asyncio"] for one in ours) * 1e3
    note = f"CPU time of instrument.asgi and .cache after asyncio (itself {bare:.0f} ms); {size.imports} runs"
    ratio = peer / added
    return measure(
        "exporter.import", added, "ms", "<= 50", peer=_named(INSTRUMENTATOR), peer_value=peer, ratio=ratio, note=note
    )


# --- workers -------------------------------------------------------------------------------------------------


def _workers(bench: Run, size: Size) -> Measure:
    """Measure what is lost or doubled when workers and the exporter are killed under load."""
    bench.say(f"workers: {size.kills} kills")
    with tempfile.TemporaryDirectory(prefix="topmast-exporter-") as folder:
        crew = Crew(Path(folder), bench.home)
        try:
            return crew.measure(size.kills, random.Random(bench.seed), bench.seed)
        finally:
            crew.stop()


class Crew:
    """Four workers and one exporter, real processes, killed in turns."""

    def __init__(self, folder: Path, home: Path) -> None:
        self._folder = folder
        self._script = home / "benchmarks" / "in_process" / "worker.py"
        self._port, usage = _free_ports(2)
        self._environment = {**os.environ, "TOPMAST_WORKERS_SOCKET": str(folder / "workers.sock")}
        self._config = folder / "topmast.yml"
        section = {
            "listen": f"127.0.0.1:{self._port}",
            "data": str(folder / "data"),
            "ingest": {"listen": f"127.0.0.1:{usage}"},
            "workers": {"socket": str(folder / "workers.sock")},
        }
        self._config.write_text(json.dumps({"exporter": section}))
        self._workers: dict[str, subprocess.Popen[bytes]] = {}
        self._started = 0
        self._exporter: subprocess.Popen[bytes] | None = None

    def measure(self, kills: int, chance: random.Random, seed: int) -> Measure:
        self._start_exporter()
        for _ in range(4):
            self._start_worker()
        for number in range(kills):
            time.sleep(chance.uniform(0.2, 0.8))
            if number % 2:
                self._kill_exporter()
                time.sleep(chance.uniform(0.0, 0.5))
                self._start_exporter()
            else:
                name = chance.choice([name for name, one in self._workers.items() if one.poll() is None])
                self._workers[name].kill()
                self._workers[name].wait()
                self._start_worker()
        graceful = {name for name, one in self._workers.items() if one.poll() is None}
        for one in self._workers.values():
            one.terminate()
        for one in self._workers.values():
            one.wait(60)
        lost, doubled, kept = self._compare(graceful)
        note = (
            f"{kills} kill -9, of workers and the exporter in turn; {self._started} workers, {kept:,.0f} events"
            f" acknowledged; lost {lost:g}, doubled {doubled:g}; seed {seed}"
        )
        return measure("exporter.workers.lost", lost + doubled, "events", "== 0", note=note)

    def _compare(self, graceful: set[str]) -> tuple[float, float, float]:
        """Return (lost of the acknowledged, more than was counted, acknowledged)."""
        lost = doubled = kept = 0.0
        text = _fetch(self._port, "/apps/bench/metrics")
        for name in self._workers:
            journal = (self._folder / name).read_text().split("\n")
            told = {"kept": 0, "counting": 0}
            for line in journal:
                word, _, number = line.partition(" ")
                if number:
                    told[word] = int(number)
            # one that ended in peace handed over everything; one that was killed counted no more than it announced
            most = told["kept"] if name in graceful else told["counting"]
            for sample in ("work_total", "work_seconds_count"):
                merged = _sample(text, f'{sample}{{worker="{name}"}}')
                lost += max(0.0, told["kept"] - merged)
                doubled += max(0.0, merged - most)
            kept += told["kept"]
        return lost, doubled, kept

    def _start_worker(self) -> None:
        name = f"w{self._started}"
        self._started += 1
        argv = [sys.executable, str(self._script), "bench", name, str(self._folder / name)]
        self._workers[name] = subprocess.Popen(argv, env=self._environment)
        _until(lambda: (self._folder / name).is_file(), "a worker starts")

    def _start_exporter(self) -> None:
        with (self._folder / "log").open("ab") as log:
            argv = [sys.executable, "-m", "topmast_exporter", "-c", str(self._config)]
            self._exporter = subprocess.Popen(argv, stdout=log, stderr=log)
        _until(lambda: _fetch(self._port, "/healthz") == "ok\n", "the exporter starts")

    def _kill_exporter(self) -> None:
        if self._exporter is not None:
            self._exporter.send_signal(signal.SIGKILL)
            self._exporter.wait()

    def stop(self) -> None:
        for one in self._workers.values():
            if one.poll() is None:
                one.kill()
                one.wait()
        self._kill_exporter()


def _fetch(port: int, path: str) -> str:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
            return str(answer.read().decode())
    except OSError:
        return ""


def _sample(text: str, name: str) -> float:
    for line in text.splitlines():
        if line.startswith(f"{name} "):
            return float(line.rpartition(" ")[2])
    return 0.0


def _until(condition: Callable[[], bool], what: str, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TopmastError(f"not within {seconds:g} s: {what}")
        time.sleep(0.01)


@contextmanager
def _probes(count: int) -> Iterator[list[socket.socket]]:
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    try:
        yield probes
    finally:
        for probe in probes:
            probe.close()


def _free_ports(count: int) -> list[int]:
    with _probes(count) as probes:
        return [int(probe.getsockname()[1]) for probe in probes]


BENCHMARK = Benchmark(name="exporter", summary="what the instruments, the scrape and the workers cost", run=run)
