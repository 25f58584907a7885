"""Log intake: what a log call costs with redaction on, beside the peers; patterns, redaction, HTTP.

The peers run in an environment of their own that is made at the first run (STATE/benchmark-peers-intake), ours beside
them in the same process; rounds are interleaved, CPU time counts, and a value is the best of the rounds.
"""

import http.client
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from topmast import environments
from topmast.benchmark import Benchmark, Run
from topmast.errors import TopmastError
from topmast.measure import Measure, measure
from topmast_shipper import patterns
from topmast_shipper.redaction import Redactor

PEERS = ("ecs-logging==2.3.0", "python-json-logger==4.2.0", "orjson==3.13.0", "ahocorasick-rs==1.0.3")

ACCESS = (
    '203.0.113.7 - - [22/Nov/2026:21:16:00 +0000] "GET /v1/orders/8817?page=2 HTTP/1.1" 200 5316 '
    '"https://shop.example/cart" "Mozilla/5.0 (X11; Linux x86_64; rv:132.0) Gecko/20100101 Firefox/132.0"'
)
OTHER = ACCESS.replace('HTTP/1.1" 200', "HTTP/1.1' 2x0")
# nginx's combined format, as it is usually written for Python's re.
_RE = re.compile(
    r"^(?P<address>\S+) - (?P<user>\S+) \[(?P<time>[^\]]+)\] "
    r'"(?P<method>\w+) (?P<path>[^ "]+) HTTP/(?P<version>[\d.]+)" '
    r'(?P<status>\d+) (?P<bytes>\d+|-) "(?P<referrer>[^"]*)" "(?P<agent>[^"]*)"$'
)
_WORDS = (
    "order {} for customer 4711 was placed in 231 ms with 3 items; total 59.90 EUR, model gpt-4o-mini, status 201. "
)


def run(bench: Run) -> Sequence[Measure]:
    rounds, calls = (30, 5_000) if bench.full else (15, 2_000)
    requests = 500 if bench.full else 150
    return [*_formatting(bench, rounds, calls), *_grok(rounds, calls), _redact(rounds, calls), _http(bench, requests)]


def _formatting(bench: Run, rounds: int, calls: int) -> Iterator[Measure]:
    bench.say(f"log calls: {rounds} rounds of {calls}")
    state = Path(os.environ.get("TOPMAST_STATE", bench.home / ".topmast"))
    python = environments.made(state / "benchmark-peers-intake", PEERS, bench.say)
    with tempfile.TemporaryDirectory(prefix="intake-") as folder:
        argv = [str(python), str(bench.home / "benchmarks" / "in_process" / "formatting.py"), str(rounds), str(calls)]
        environment = {**os.environ, "PYTHONPATH": str(bench.home / "shipper")}
        done = subprocess.run(
            [*argv, folder], capture_output=True, text=True, check=False, timeout=600, env=environment
        )
    if done.returncode != 0:
        raise TopmastError(f"formatting.py: {done.stderr.strip()[-400:]}")
    yield from formatting(json.loads(done.stdout), f"best of {rounds} rounds of {calls}, CPU time, redaction on")


def formatting(told: dict[str, dict[str, float]], note: str) -> Iterator[Measure]:
    """Yield what formatting.py measured."""
    call, form = told["call"], told["format"]
    ratio = call["ecs-logging"] / call["ours"]
    for name, goal in (("intake.log_call", "<= 15"), ("intake.log_call.vs_ecs_logging", "ratio >= 4")):
        yield measure(
            name, call["ours"], "us", goal,
            peer="ecs-logging 2.3.0", peer_value=call["ecs-logging"], ratio=ratio, note=note,
        )  # fmt: skip
    yield measure(
        "intake.format", form["ours"], "us", "<= 8",
        peer="python-json-logger 4.2.0", peer_value=form["python-json-logger"],
        ratio=form["python-json-logger"] / form["ours"], note=f"{note}; ecs-logging {form['ecs-logging']:.1f} us",
    )  # fmt: skip


def _grok(rounds: int, calls: int) -> Iterator[Measure]:
    grok = patterns.compile_pattern("NGINX_ACCESS", patterns.own())
    if grok.match(ACCESS) is None or grok.match(OTHER) is not None:
        raise TopmastError("NGINX_ACCESS does not tell the two lines apart")
    ours = best({"match": lambda: grok.match(ACCESS), "miss": lambda: grok.match(OTHER)}, rounds, calls)
    theirs = best({"match": lambda: _named(ACCESS), "miss": lambda: _named(OTHER)}, rounds, calls)
    for way in ("match", "miss"):
        yield measure(
            f"intake.grok.{way}", ours[way], "us", "<= 10",
            peer="Python re, by hand", peer_value=theirs[way], ratio=theirs[way] / ours[way],
            note=f"an nginx line of {len(ACCESS)} characters, best of {rounds} rounds of {calls}, CPU time",
        )  # fmt: skip


def _named(line: str) -> dict[str, str] | None:
    found = _RE.search(line)
    return found.groupdict() if found else None


def _redact(rounds: int, calls: int) -> Measure:
    line = "".join(map(_WORDS.format, range(8817, 8830)))[:1024]
    redactor = Redactor()
    found = best({"text": lambda: redactor.text(line)}, rounds, calls)["text"]
    return measure(
        "intake.redact", found, "us", "<= 3",
        note=f"a line of {len(line)} characters, best of {rounds} rounds of {calls}, CPU time",
    )  # fmt: skip


# The input in a process of its own, so that its CPU time is its own; it ends when its standard input does.
_SERVER = """
import sys, time
from pathlib import Path
from topmast_shipper.checkpoint import Checkpoint
from topmast_shipper.inputs.http import INPUT
from topmast_shipper.rooms import Setting
folder = Path(sys.argv[1])
setting = Setting(folder, folder, Checkpoint(folder), ("one",), (), lambda reason, size: None, time.monotonic)
made = INPUT.build({"listen": "127.0.0.1:0", "max_spool_bytes": 1 << 34}, setting)
print(made.address, flush=True)
before = time.process_time()
sys.stdin.read()
print(time.process_time() - before, flush=True)
"""
_BATCH = 1000


def _http(bench: Run, requests: int) -> Measure:
    """Send NDJSON as a log drain does; what counts is the server's CPU time until the records are in the spool."""
    bench.say(f"HTTP: {requests} requests of {_BATCH} events")
    event = b'{"@timestamp":"2026-11-22T21:16:00.123Z","level":"info","message":"' + b"order placed " * 16 + b'"}\n'
    body = event * _BATCH
    with tempfile.TemporaryDirectory(prefix="intake-") as folder:
        server = subprocess.Popen(
            [sys.executable, "-c", _SERVER, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        with server:
            assert server.stdout is not None
            connection = http.client.HTTPConnection(server.stdout.readline().strip(), timeout=60)
            began = time.perf_counter()
            for _ in range(requests):
                connection.request("POST", "/", body)
                answer = connection.getresponse()
                if answer.status != 200 or json.loads(answer.read())["accepted"] != _BATCH:
                    raise TopmastError(f"the HTTP input answered {answer.status}")
            wall = time.perf_counter() - began
            connection.close()
            told, _ = server.communicate(timeout=60)
        seconds = float(told)
    events = requests * _BATCH
    return measure(
        "intake.http", events / seconds, "events/s", ">= 50000",
        note=f"{events} events of {len(event)} bytes, {_BATCH} a request; {events / wall:,.0f}/s wall time",
    )  # fmt: skip


def best(works: dict[str, Callable[[], object]], rounds: int, calls: int) -> dict[str, float]:
    """Return the least microseconds a call of each took, rounds interleaved."""
    found = dict.fromkeys(works, float("inf"))
    for _ in range(rounds):
        for name, work in works.items():
            began = time.thread_time()
            for _ in range(calls):
                work()
            found[name] = min(found[name], (time.thread_time() - began) / calls * 1e6)
    return found


BENCHMARK = Benchmark("intake", "a log call with redaction on, patterns, redaction, HTTP", run)
