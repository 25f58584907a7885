"""An exporter is killed -9 again and again while usage pours in: no event is lost, none counts twice, nothing falls.

The exporter is the real one in a process of its own. Senders repeat a body until it is acknowledged, and some after
that; a Prometheus scrapes all the time, and so does the proof, which compares every sample with the one before.
"""

import contextlib
import http.client
import json
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from socket import create_server
from typing import Any

import click
from topmast_exporter.ledger_events import blocks, snapshot

from topmast.binaries import find
from topmast.errors import TopmastError
from topmast.measure import Measure, measure
from topmast.proof import Proof, Trial

_KILLS = 100
_FULL_KILLS = 1000
_SENDERS = 4
_EVENTS_A_BODY = 20
# One acknowledged body in so many is sent once more, as a client does that never saw the answer.
_REPEATED = 0.1
_READY_SECONDS = 60.0
_SCRAPED_SECONDS = 20.0
_PAUSE = threading.Event()

# A price that no float holds exactly, in pico-USD a token: an error of one digit would show.
_INPUT_PICO, _OUTPUT_PICO = 123_457, 7_654_321
_PRICES = {"acme/big": {"input_usd_per_million": 0.123457, "output_usd_per_million": 7.654321}}

_Samples = dict[str, float]


@dataclass
class Sent:
    """What the senders know: the events whose bodies were acknowledged, and what they cost."""

    cost: dict[str, int] = field(default_factory=dict)
    """pico-USD by event id."""
    repeats: int = 0
    failures: int = 0
    """Bodies without an acknowledgement, sent again until there was one."""


@dataclass
class Watch:
    """What the proof's own scrapes saw."""

    scrapes: int = 0
    falls: list[str] = field(default_factory=list)
    _last: _Samples = field(default_factory=dict)

    def see(self, samples: _Samples) -> None:
        """Compare with what was seen before: a total that fell, or that is gone."""
        self.scrapes += 1
        for name, before in self._last.items():
            now = samples.get(name)
            if now is None or now < before:
                self.falls.append(f"{name}: {before!r}, then {now!r}")
        self._last = samples


def run(trial: Trial) -> Sequence[Measure]:
    kills = trial.options["kills"] or (_FULL_KILLS if trial.full else _KILLS)
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="topmast-cost-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        scrape_port, ingest_port, prometheus_port = _free_ports(3)
        config = _configuration(folder, scrape_port, ingest_port)
        prometheus = stack.enter_context(_prometheus(trial, folder, prometheus_port, scrape_port))
        sent, watch, ending = [Sent() for _ in range(_SENDERS)], Watch(), threading.Event()
        threads = [
            threading.Thread(target=_send, args=(one, number, ingest_port, trial.seed, ending), daemon=True)
            for number, one in enumerate(sent)
        ]
        watching = threading.Event()
        watcher = threading.Thread(target=_watch, args=(watch, scrape_port, watching), daemon=True)
        try:
            for thread in (*threads, watcher):
                thread.start()
            _kill_again_and_again(trial, config, scrape_port, kills)
            with _exporter(config, scrape_port):
                ending.set()
                for thread in threads:
                    thread.join(_READY_SECONDS)
                    if thread.is_alive():
                        raise TopmastError("cost: a sender was not acknowledged within a minute of the last start")
                watching.set()
                watcher.join(_READY_SECONDS)
                shown = _scrape(scrape_port)
                watch.see(shown)
                families = sorted({name.split("{")[0] for name, value in shown.items() if value})
                resets = None if prometheus is None else _resets(prometheus_port, families)
        finally:
            ending.set()
            watching.set()
        stored = _stored(folder)
    return measures(sent, watch, stored, shown, resets, f"{kills} kills -9, seed {trial.seed}", prometheus)


def measures(
    sent: Sequence[Sent],
    watch: Watch,
    stored: dict[str, int],
    shown: _Samples,
    resets: int | None,
    what: str,
    prometheus: str | None,
) -> list[Measure]:
    """Return what was acknowledged against what the ledger holds and the counters show."""
    acknowledged: dict[str, int] = {}
    for one in sent:
        acknowledged |= one.cost
    requests = sum(value for name, value in shown.items() if name.startswith("llm_requests_total{"))
    lost = [event for event, cost in acknowledged.items() if stored.get(event) != cost]
    failures, repeats = sum(one.failures for one in sent), sum(one.repeats for one in sent)
    note = f"{what}: {len(acknowledged)} events, {failures} bodies sent again, {repeats} acknowledged ones repeated"
    exact = sum(stored.values())
    # correctly rounded, as the exposition promises: the float nearest to the exact sum of each component
    parts = [value for name, value in shown.items() if name.startswith("llm_cost_usd_total{")]
    off = abs(sum(Fraction(part) for part in parts) - Fraction(exact, 10**12))
    seen = f"{watch.scrapes} scrapes of the proof's own"
    if prometheus is None:
        seen += "; no Prometheus could be had here"
    elif resets is None:
        seen += f"; Prometheus {prometheus} did not answer"
    else:
        seen += f"; Prometheus {prometheus} counted {resets} resets of llm_*"
    # what the proof itself saw fall is a fall; that nothing did is not known without a Prometheus
    falls = None if resets is None and not watch.falls else len(watch.falls) + (resets or 0)
    if watch.falls:
        seen += f"; first: {watch.falls[0]}"
    return [
        measure("cost.lost", len(lost), "events", "== 0", note=note),
        measure(
            "cost.double", requests - len(stored), "events", "== 0", note=f"{what}: counted beyond the ids stored"
        ),
        measure("cost.counter_falls", falls, "falls", "== 0", note=f"{what}: {seen}"),
        measure(
            "cost.counter_error",
            float(off),
            "USD",
            "<= 0.000000001",
            note=f"counters against ${exact / 1e12:.6f} stored",
        ),
    ]


def _kill_again_and_again(trial: Trial, config: Path, port: int, kills: int) -> None:
    chance = random.Random(trial.seed)  # noqa: S311 a repeatable choice, no secret
    for number in range(1, kills + 1):
        with _exporter(config, port) as process:
            _PAUSE.wait(chance.uniform(0.0, 0.5))
            process.send_signal(signal.SIGKILL)
        if number % 20 == 0:
            trial.say(f"{number} of {kills} kills")


@contextmanager
def _exporter(config: Path, port: int) -> Iterator["subprocess.Popen[bytes]"]:
    """Yield the exporter, scrapable; it is gone afterwards."""
    argv = [sys.executable, "-m", "topmast_exporter", "-c", str(config)]
    log = config.with_name("exporter.log")
    with log.open("wb") as file, subprocess.Popen(argv, stdout=file, stderr=file) as process:
        try:
            deadline = time.monotonic() + _READY_SECONDS
            while True:
                with contextlib.suppress(OSError, http.client.HTTPException):
                    _scrape(port)
                    break
                if process.poll() is not None or time.monotonic() > deadline:
                    raise TopmastError(f"cost: the exporter does not start: {log.read_text()[-300:]!r}")
                _PAUSE.wait(0.02)
            yield process
        finally:
            process.kill()


def _send(sent: Sent, sender: int, port: int, seed: int, ending: threading.Event) -> None:
    """Send bodies until the end; each until it is acknowledged."""
    chance = random.Random(f"{seed}/{sender}")  # noqa: S311 a repeatable choice, no secret
    body_number = 0
    while not ending.is_set():
        costs, lines = {}, []
        for place in range(_EVENTS_A_BODY):
            event, used = f"{sender}-{body_number}-{place}", (chance.randrange(20_000), chance.randrange(900))
            costs[event] = used[0] * _INPUT_PICO + used[1] * _OUTPUT_PICO
            told = {"id": event, "provider": "acme", "model": "big", "feature": f"feature-{place % 5}"}
            lines.append(
                json.dumps({**told, "usage": {"input": used[0], "output": used[1]}, "duration_seconds": 0.5})
            )
        body_number += 1
        body = "\n".join(lines).encode()
        while not _post(port, body):
            sent.failures += 1
            _PAUSE.wait(0.02)
        sent.cost |= costs
        if chance.random() < _REPEATED and _post(port, body):
            sent.repeats += 1


def _post(port: int, body: bytes) -> bool:
    """Return whether the body was acknowledged."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=15)
    try:
        connection.request("POST", "/v1/usage", body, {"content-type": "application/x-ndjson"})
        answer = connection.getresponse()
        told = answer.read()
        if answer.status == 202 and json.loads(told)["rejected"]:
            raise TopmastError(f"cost: events were rejected: {told[:200]!r}")
        return answer.status == 202
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _watch(watch: Watch, port: int, ending: threading.Event) -> None:
    while not ending.wait(0.05):
        with contextlib.suppress(OSError, http.client.HTTPException):
            watch.see(_scrape(port))


def _scrape(port: int) -> _Samples:
    """Return the llm_* totals of one scrape (counters, counts, sums and buckets) by their series."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
    finally:
        connection.close()
    samples = {}
    for line in text.splitlines():
        name, _, value = line.rpartition(" ")
        if name.startswith("llm_") and name.split("{")[0].endswith(("_total", "_count", "_sum", "_bucket")):
            samples[name] = float(value)
    return samples


def _stored(folder: Path) -> dict[str, int]:
    """Return the cost in pico-USD of each event in the ledger, by id."""
    with snapshot(folder / "data") as connection:
        return {one.event.id: one.price.total for _, block in blocks(connection, 0.0, 1e12) for one in block.stored()}


def _configuration(folder: Path, scrape_port: int, ingest_port: int) -> Path:
    section: dict[str, Any] = {
        "listen": f"127.0.0.1:{scrape_port}",
        "data": str(folder / "data"),
        "ingest": {"listen": f"127.0.0.1:{ingest_port}"},
        "workers": {"socket": str(folder / "workers")},
        "prices": {"overrides": _PRICES},
    }
    path = folder / "topmast.yml"
    path.write_text(json.dumps({"exporter": section}), encoding="utf-8")
    return path


@contextmanager
def _prometheus(trial: Trial, folder: Path, port: int, target: int) -> Iterator[str | None]:
    """Yield the version of a Prometheus that scrapes the exporter each second; None where none can be had."""
    try:
        program = find("prometheus", ("prometheus",), trial.layout, {}, trial.say)
    except TopmastError as error:
        trial.say(f"no Prometheus: {error}")
        yield None
        return
    config = folder / "prometheus.yml"
    job = {"job_name": "exporter", "static_configs": [{"targets": [f"127.0.0.1:{target}"]}]}
    config.write_text(
        json.dumps({"global": {"scrape_interval": "1s", "scrape_timeout": "1s"}, "scrape_configs": [job]}),
        encoding="utf-8",
    )
    argv = [
        str(program.path),
        f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'tsdb'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=error",
    ]
    with (folder / "prometheus.log").open("wb") as log, subprocess.Popen(argv, stdout=log, stderr=log) as process:
        try:
            yield program.version()
        finally:
            process.terminate()


def _resets(port: int, names: Sequence[str]) -> int | None:
    """Return how many resets of these counters the Prometheus counts; None when it does not say.

    A family that it never saw is waited for: its first scrape after the last start may be still to come.
    """
    found, deadline = 0, time.monotonic() + _SCRAPED_SECONDS
    for name in names:  # one at a time: resets() takes the names away, and two families may share a label set
        query = urllib.parse.urlencode({"query": f"sum(resets({name}[6h]))"})
        while (value := _ask(port, query)) is None:
            if time.monotonic() > deadline:
                return None
            _PAUSE.wait(0.2)
        found += int(value)
    return found


def _ask(port: int, query: str) -> float | None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", f"/api/v1/query?{query}")
        return float(json.load(connection.getresponse())["data"]["result"][0]["value"][1])
    except (OSError, http.client.HTTPException, ValueError, KeyError, IndexError):
        return None
    finally:
        connection.close()


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [int(one.getsockname()[1]) for one in sockets]


PROOF = Proof(
    name="cost",
    summary="Kill the exporter again and again under load: no event lost, none counted twice, no counter falls.",
    run=run,
    options=[click.Option(["--kills"], type=click.IntRange(1, 100_000), help="How often. [100; with --full 1000]")],
)
