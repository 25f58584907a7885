"""How much a core delivers: from a file to the acknowledgement, with all safety on.

The shipper is the real one, in a process of its own; the server only follows frames and acknowledges, so that it
is never what is waited for. Only the shipper's CPU counts.
"""

import json
import os
import random
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from itertools import islice
from pathlib import Path
from threading import Condition, Event, Thread

from topmast.benchmark import Benchmark, Run
from topmast.errors import TopmastError
from topmast.measure import Measure, measure
from topmast_shipper import store
from topmast_shipper.lumberjack import Compressed, Json, Window, decode, encode_ack

LINE_BYTES = 554
_CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


class _Acknowledger:
    """Acknowledges every complete window without looking into it; counts its events."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._changed = Condition()
        self._events = 0
        Thread(target=self._accept, daemon=True).start()

    def wait_for(self, events: int, seconds: float) -> None:
        with self._changed:
            if not self._changed.wait_for(lambda: self._events >= events, seconds):
                raise TopmastError(f"{self._events} of {events} events arrived within {seconds:g} s")

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        buffer = bytearray()
        announced = plain = 0
        with connection:
            while data := connection.recv(1 << 20):
                buffer += data
                frames, used = decode(buffer)
                del buffer[:used]
                for frame in frames:
                    if isinstance(frame, Window):
                        announced, plain = frame.events, 0
                    plain += isinstance(frame, Json)
                    if isinstance(frame, Compressed) or (plain and plain == announced):
                        connection.sendall(encode_ack(announced))
                        with self._changed:
                            self._events += announced
                            self._changed.notify_all()


def run(bench: Run) -> Sequence[Measure]:
    events = 1_000_000 if bench.full else 150_000
    with tempfile.TemporaryDirectory(prefix="topmast-delivery-") as folder:
        wire, stored = Path(folder) / "wire", Path(folder) / "store"
        wire.mkdir()
        stored.mkdir()
        return [_lumberjack(bench, wire, events), _sqlite(bench, stored, events // 2)]


def _lumberjack(bench: Run, folder: Path, events: int) -> Measure:
    """Measure a backlog in one file: read, parse, ids, checkpoint on the disk, frames, acknowledgements."""
    bench.say(f"{events} lines of {LINE_BYTES} bytes")
    backlog = _backlog(folder, events, bench.seed)
    with closing(_Acknowledger()) as server, _shipper(folder, {"logstash": {"hosts": [server.address]}}) as pid:
        # the interpreter has started when the first line is there
        server.wait_for(1, 60)
        cpu_before, began = _cpu_seconds(pid), time.monotonic()
        backlog.rename(folder / "app-1.log")
        server.wait_for(events + 1, 600)
        wall, cpu = time.monotonic() - began, _cpu_seconds(pid) - cpu_before
    note = f"{events} lines of {LINE_BYTES} bytes, seed {bench.seed}; {events / wall:,.0f} events/s of wall time"
    return measure("delivery.lumberjack", events / cpu, "events/s/core", ">= 200000", note=note)


def _sqlite(bench: Run, folder: Path, events: int) -> Measure:
    """Measure a backlog into the embedded store: full-text search, each event once, on the disk."""
    bench.say(f"{events} lines into the store")
    backlog, logs = _backlog(folder, events, bench.seed), folder / "logs"
    with _shipper(folder, {"sqlite": {"path": str(logs)}}) as pid:
        _wait_for(lambda: _stored(logs) >= 1, 60)
        cpu_before, began = _cpu_seconds(pid), time.monotonic()
        backlog.rename(folder / "app-1.log")
        _wait_for(lambda: _stored(logs) >= events + 1, 600)
        wall, cpu = time.monotonic() - began, _cpu_seconds(pid) - cpu_before
    note = f"{events} lines of {LINE_BYTES} bytes, seed {bench.seed}; {events / cpu:,.0f} events/s/core"
    return measure("delivery.sqlite", events / wall, "events/s", ">= 40000", note=note)


def _stored(logs: Path) -> int:
    """Return how many events the store has; 0 while a file is being made."""
    total = 0
    for part in store.parts(logs):
        with suppress(sqlite3.OperationalError), closing(sqlite3.connect(part.path, timeout=10)) as connection:
            # `n` has no holes: the greatest is the count, and is there without counting
            total += connection.execute("SELECT coalesce(max(n), 0) FROM events").fetchone()[0]
    return total


def _wait_for(condition: Callable[[], bool], seconds: float) -> None:
    deadline, pause = time.monotonic() + seconds, Event()
    while not condition():
        if time.monotonic() > deadline:
            raise TopmastError(f"not within {seconds:g} s")
        pause.wait(0.05)


def _backlog(folder: Path, events: int, seed: int) -> Path:
    """Write a log of one line, and a backlog that is not there yet for who looks for `app*.log`."""
    lines = _lines(random.Random(seed))
    (folder / "app.log").write_bytes(next(lines))
    backlog = folder / "backlog"
    with backlog.open("wb") as file:
        file.writelines(islice(lines, events))
    return backlog


@contextmanager
def _shipper(folder: Path, sink: dict[str, object]) -> Iterator[int]:
    """Yield the process id of a shipper that reads the logs in the folder into one sink."""
    config = folder / "topmast.yml"
    inputs = [{"file": {"name": "app", "paths": [str(folder / "app*.log")], "parser": "json_lines", "service": "shop"}}]
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


def _lines(chance: random.Random) -> Iterator[bytes]:
    """Yield application log lines of 554 bytes, each different."""
    number = 0
    while True:
        number += 1
        document = {
            "@timestamp": f"2026-11-22T10:{number // 60000 % 60:02d}:{number // 1000 % 60:02d}.{number % 1000:03d}Z",
            "log.level": chance.choice(("info", "info", "info", "warning", "error")),
            "message": f"request {number} done",
            "http": {"request": {"method": "GET"}, "response": {"status_code": chance.choice((200, 200, 201, 500))}},
            "url": {"path": f"/api/items/{chance.randrange(10_000)}"},
            "trace": {"id": f"{chance.getrandbits(128):032x}"},
            "event": {"duration": chance.randrange(10**9)},
            "labels": {"pad": ""},
        }
        bare = json.dumps(document, separators=(",", ":"))
        words = ("retry cache model token user session queue index " * 10)[: LINE_BYTES - 1 - len(bare)]
        yield bare.replace('"pad":""', f'"pad":"{words}"').encode() + b"\n"


def _cpu_seconds(pid: int) -> float:
    # proc(5): utime and stime are fields 14 and 15, in clock ticks.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _CLOCK_TICKS


BENCHMARK = Benchmark(name="delivery", summary="events a core delivers, from a file to the acknowledgement", run=run)
