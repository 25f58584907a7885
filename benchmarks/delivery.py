"""How much a core delivers: from a file to the acknowledgement, with all safety on.

The shipper is the real one, in a process of its own; the server only follows frames and acknowledges, so that it
is never what is waited for. Only the shipper's CPU counts.
"""

import json
import os
import random
import shutil
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from threading import Event
from typing import NamedTuple

from topmast import logpeers
from topmast.acknowledgers import Acknowledger, bulk, lumberjack
from topmast.benchmark import Benchmark, Run
from topmast.errors import PrerequisiteError, TopmastError
from topmast.loglines import LINE_BYTES, lines
from topmast.measure import Measure, measure
from topmast.processes import cpu_seconds, wait_for
from topmast_shipper import search, store
from topmast_shipper.event import Origin
from topmast_shipper.intake import Intake
from topmast_shipper.parsers import json_lines
from topmast_shipper.sinks.sqlite import Config, SqliteSink
from topmast_shipper.tail.lines import Lines
from topmast_shipper.window import Window


def run(bench: Run) -> Sequence[Measure]:
    events = 1_000_000 if bench.full else 200_000
    with tempfile.TemporaryDirectory(prefix="topmast-delivery-") as folder:
        rooms = {
            name: Path(folder) / name
            for name in ("wire", "relp", "async", "bulk", "store", "line", "memory", "search")
        }
        for each in rooms.values():
            each.mkdir()
        turns = 10 if bench.full else 4
        return [
            _lumberjack(bench, rooms["wire"], rooms["relp"], events // turns, turns),
            *_logstash_async(bench, rooms["async"]),
            *_elasticsearch(bench, rooms["bulk"], events),
            _sqlite(bench, rooms["store"], events // 2),
            *_latency(bench, rooms["line"], 400 if bench.full else 60),
            _memory(bench, rooms["memory"], 10_000_000 if bench.full else 2_000_000, 60 if bench.full else 10),
            *_search(bench, rooms["search"], 10_000_000 if bench.full else 300_000),
        ]


class Turn(NamedTuple):
    """What a backlog took, from the file to the last acknowledgement."""

    rate: float
    """Events a second of the shipper's CPU."""
    wall_seconds: float


def _lumberjack(bench: Run, ours: Path, theirs: Path, each: int, turns: int) -> Measure:
    """Measure our rate beside that of rsyslog.

    The peer goes from a file over RELP, the one of its ways that is acknowledged. Both have their turns in
    alternation and the median of each counts: what else the machine does slows both down, and not for long.
    """
    relp, without = None, ""
    try:
        state = Path(os.environ.get("TOPMAST_STATE", bench.home / ".topmast"))
        relp = logpeers.rsyslog(state, bench.say)
    except PrerequisiteError as error:
        without = f"; no rsyslog: {error}"
    bench.say(f"{turns} times {each} lines of {LINE_BYTES} bytes to a Lumberjack server, and half of it by rsyslog")
    took, peer = list[Turn](), list[float]()
    for turn in _turns(ours, each, turns, bench.seed):
        took.append(turn)
        if relp:
            room = theirs / str(len(took))
            room.mkdir()
            peer.append(logpeers.relp(relp, room, _backlog(room, each // 2, bench.seed + len(took)), each // 2))
            shutil.rmtree(room)
    rates = [turn.rate for turn in took]
    wall = statistics.median(each / turn.wall_seconds for turn in took)
    best = f"best {max(rates):,.0f}" + (f" and {max(peer):,.0f}" if peer else "")
    note = (
        f"{turns} times {each} lines of {LINE_BYTES} bytes, seed {bench.seed}; the median of each ({best}); "
        f"{wall:,.0f} events/s of wall time; the peer's queue is in memory{without}"
    )
    name, unit, goal, rate = "delivery.lumberjack", "events/s/core", ">= 200000", statistics.median(rates)
    if not peer:
        return measure(name, rate, unit, goal, note=note)
    return measure(
        name, rate, unit, goal, note=note,
        peer="rsyslog imfile to omrelp", peer_value=statistics.median(peer), ratio=rate / statistics.median(peer),
    )  # fmt: skip


def _turns(folder: Path, each: int, turns: int, seed: int) -> Iterator[Turn]:
    """Yield what each backlog of one file took: read, parsed, with ids and a checkpoint on the disk, acknowledged."""
    source, backlog = lines(random.Random(seed)), folder / "backlog"
    (folder / "app.log").write_bytes(next(source))
    with (
        closing(Acknowledger(lumberjack)) as server,
        _shipper(folder, {"logstash": {"hosts": [server.address]}}) as pid,
    ):
        # the interpreter has started when the first line is there
        server.wait_for(1, 60)
        for turn in range(1, turns + 1):
            with backlog.open("wb") as file:
                file.writelines(islice(source, each))
            cpu_before, began = cpu_seconds(pid), time.monotonic()
            backlog.rename(folder / f"app-{turn}.log")
            server.wait_for(turn * each + 1, 600)
            yield Turn(each / (cpu_seconds(pid) - cpu_before), time.monotonic() - began)


def _logstash_async(bench: Run, folder: Path) -> Iterator[Measure]:
    """Measure the handler that most use, as it comes and with its batches at 1,000: events acknowledged a second.

    Wall time in alternation, for one that waits uses no CPU; its own from its first record on, and ours from the
    moment when there is a file.
    """
    state, each = Path(os.environ.get("TOPMAST_STATE", bench.home / ".topmast")), 100_000
    python, script = logpeers.logstash_async(state, bench.say), bench.home / "benchmarks/in_process/handler.py"
    for name, events, batch, turns, goal in (
        ("delivery.logstash_async", 10_000, 0, 1, "ratio >= 100"),
        ("delivery.logstash_async_tuned", 100_000, 1_000, 9 if bench.full else 5, "ratio >= 10"),
    ):
        bench.say(f"{turns} times {events} records through {logpeers.LOGSTASH_ASYNC}, and {each} lines by us")
        room, ours, theirs = folder / name, list[float](), list[logpeers.Handled]()
        room.mkdir()
        for turn in _turns(room, each, turns, bench.seed):
            ours.append(each / turn.wall_seconds)
            theirs.append(logpeers.handled(python, script, events, batch))
        rate, peer = statistics.median(ours), statistics.median(took.rate for took in theirs)
        note = (
            f"wall time, both until acknowledged, the median of {turns} each; a batch of {batch or 'its own'}; "
            f"its CPU {statistics.median(took.cpu_seconds for took in theirs):.1f} s for {events} records"
        )
        yield measure(
            name, rate, "events/s", goal, note=note, peer=logpeers.LOGSTASH_ASYNC, peer_value=peer, ratio=rate / peer
        )  # fmt: skip


def _sqlite(bench: Run, folder: Path, events: int) -> Measure:
    """Measure a backlog into the embedded store: full-text search, each event once, on the disk."""
    bench.say(f"{events} lines into the store")
    backlog, logs = _backlog(folder, events, bench.seed), folder / "logs"
    with _shipper(folder, {"sqlite": {"path": str(logs)}}) as pid:
        wait_for(lambda: _stored(logs) >= 1, 60)
        cpu_before, began = cpu_seconds(pid), time.monotonic()
        backlog.rename(folder / "app-1.log")
        wait_for(lambda: _stored(logs) >= events + 1, 600)
        wall, cpu = time.monotonic() - began, cpu_seconds(pid) - cpu_before
    note = f"{events} lines of {LINE_BYTES} bytes, seed {bench.seed}; {events / cpu:,.0f} events/s/core"
    return measure("delivery.sqlite", events / wall, "events/s", ">= 40000", note=note)


def _elasticsearch(bench: Run, folder: Path, events: int) -> Iterator[Measure]:
    """Measure the client's side of bulk requests: ready windows to their verdicts, beside the official helper."""
    bench.say(f"{events} documents as bulk requests, by our sink and by elasticsearch.helpers.bulk")
    backlog, script = _backlog(folder, events, bench.seed), bench.home / "benchmarks" / "in_process" / "bulk.py"
    rates = {}
    for which, few in (("ours", events), ("helpers", events // 4)):
        with closing(Acknowledger(bulk)) as server:
            argv = [sys.executable, str(script), which, f"http://{server.address}", str(few), str(backlog)]
            done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=600)
        if done.returncode != 0:
            raise TopmastError(f"in_process/bulk.py {which}: {done.stderr.strip()[-300:]}")
        said = json.loads(done.stdout)
        if said["events"] != few:
            raise TopmastError(f"in_process/bulk.py {which}: {said['events']} of {few} events were settled")
        rates[which] = few / said["seconds"]
    ratio = rates["ours"] / rates["helpers"]
    note = f"{events} ready documents, seed {bench.seed}; the client's CPU alone, to a server that only answers"
    yield measure(
        "delivery.elasticsearch", rates["ours"], "events/s/core", ">= 150000", note=note,
        peer="elasticsearch.helpers.bulk", peer_value=rates["helpers"], ratio=ratio,
    )  # fmt: skip
    yield measure("delivery.elasticsearch.ratio", ratio, "times", ">= 3", note="to elasticsearch.helpers.bulk")


def _latency(bench: Run, folder: Path, count: int) -> Iterator[Measure]:
    """Measure from the write of a line to its acknowledgement, when nothing else is going on."""
    bench.say(f"{count} lines, one at a time")
    log, pause, took = folder / "app.log", Event(), list[float]()
    source = lines(random.Random(bench.seed))
    log.write_bytes(next(source))
    with closing(Acknowledger(lumberjack)) as server, _shipper(folder, {"logstash": {"hosts": [server.address]}}):
        server.wait_for(1, 60)
        with log.open("ab", buffering=0) as file:
            for number in range(count):
                pause.wait(0.2)  # at rest again
                line = next(source)
                began = time.monotonic()
                file.write(line)
                server.wait_for(number + 2, 60)
                took.append((time.monotonic() - began) * 1000)
    cuts = statistics.quantiles(took, n=100, method="inclusive")
    note = f"{count} lines, 0.2 s apart, over loopback"
    yield measure("delivery.latency.p50", cuts[49], "ms", "<= 20", note=note)
    yield measure("delivery.latency.p99", cuts[98], "ms", "<= 100", note=note)


def _memory(bench: Run, folder: Path, bytes_each: int, seconds: float) -> Measure:
    """Measure the greatest memory of a shipper of 100 files whose sink is down."""
    files = 100
    bench.say(f"{files} files of {bytes_each / 1e6:g} MB, and nobody takes them")
    chunk = b"".join(islice(lines(random.Random(bench.seed)), 2_000))
    for number in range(files):
        with (folder / f"app-{number}.log").open("wb") as file:
            for _ in range(max(1, bytes_each // len(chunk))):
                file.write(chunk)
    with socket.create_server(("127.0.0.1", 0)) as closed:
        address = f"127.0.0.1:{closed.getsockname()[1]}"
    with _shipper(folder, {"logstash": {"hosts": [address]}}) as pid:
        wait_for(lambda: (folder / "data" / "checkpoint.log").exists(), 60)
        Event().wait(seconds / 2)
        halfway = _peak_megabytes(pid)
        Event().wait(seconds / 2)
        peak = _peak_megabytes(pid)
    note = f"{files * bytes_each / 1e9:g} GB in {files} files, {seconds:g} s; {halfway:.1f} MB half-way"
    return measure("delivery.memory", peak, "MB", "<= 100", note=note)


def _search(bench: Run, folder: Path, events: int) -> Iterator[Measure]:
    """Measure searches of a store: a word that ten lines have, and a field within a range of time."""
    bench.say(f"{events} lines to search in")
    source_lines, rare = lines(random.Random(bench.seed)), events // 10
    began, sink = time.time(), SqliteSink(Config(folder / "logs", retention_days=36_500, max_bytes=1 << 40))
    intake, source = Intake(json_lines.parse), _Source()
    for first in range(0, events, 2_048):
        some = [next(source_lines)[:-1] for _ in range(first, min(events, first + 2_048))]
        for at in range(len(some)):
            if (first + at) % rare == rare // 2:
                some[at] = some[at].replace(b" done", b" zanzibar")
        ends = [(first + at + 1) * LINE_BYTES for at in range(len(some))]
        sink.send(Window([intake.events(source, Lines(some, [end - LINE_BYTES for end in ends], ends), began)]))
    sink.close()
    since = datetime(2026, 11, 22, 10, 1, tzinfo=UTC)
    for name, query, until, goal in (
        ("delivery.search.word", "zanzibar", None, "<= 100"),
        ("delivery.search.field_and_time", "url.path:/api/items/41* level:>=warning", timedelta(minutes=2), "<= 300"),
    ):
        took = []
        for _ in range(7):
            began = time.monotonic()
            found = search.lines(folder / "logs", query, since if until else None, since + until if until else None)
            took.append((time.monotonic() - began) * 1000)
        note = f"{events} lines, {len(found)} found; the median of 7"
        yield measure(name, statistics.median(took), "ms", goal, note=note)


class _Source:
    """Where the lines of the search are from; nothing is read."""

    stream, generation, size, origin = "0123456789abcdef", 0, 0, Origin("app", "/var/log/app.log", "shop")

    def read(self, *_: object) -> None:
        """Nothing is there."""


def _peak_megabytes(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def _stored(logs: Path) -> int:
    """Return how many events the store has; 0 while a file is being made."""
    total = 0
    for part in store.parts(logs):
        with suppress(sqlite3.OperationalError), closing(sqlite3.connect(part.path, timeout=10)) as connection:
            # `n` has no holes: the greatest is the count, and is there without counting
            total += connection.execute("SELECT coalesce(max(n), 0) FROM events").fetchone()[0]
    return total


def _backlog(folder: Path, events: int, seed: int) -> Path:
    """Write a log of one line, and a backlog that is not there yet for who looks for `app*.log`."""
    source = lines(random.Random(seed))
    (folder / "app.log").write_bytes(next(source))
    backlog = folder / "backlog"
    with backlog.open("wb") as file:
        file.writelines(islice(source, events))
    return backlog


@contextmanager
def _shipper(folder: Path, sink: dict[str, object]) -> Iterator[int]:
    """Yield the process id of a shipper that reads the logs in the folder into one sink."""
    config = folder / "topmast.yml"
    inputs = [
        {"file": {"name": "app", "paths": [str(folder / "app*.log")], "parser": "json_lines", "service": "shop"}}
    ]
    section = {"listen": "", "data": str(folder / "data"), "inputs": inputs, "sinks": [sink]}
    config.write_text(json.dumps({"shipper": section}))
    with (folder / "shipper.log").open("wb") as output:
        argv = [sys.executable, "-m", "topmast_shipper", "-c", str(config)]
        process = subprocess.Popen(argv, stdout=output, stderr=output)
        try:
            yield process.pid
        finally:
            process.terminate()
            process.wait(30)


BENCHMARK = Benchmark(name="delivery", summary="events a core delivers, from a file to the acknowledgement", run=run)
