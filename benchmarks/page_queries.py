"""What the overview's queries cost over 24 hours of 200 applications: recorded series against the raw expressions.

The raw form of a panel is its own query with every recorded name replaced by the expression that is recorded under
it, down to what applications expose. Both are asked of one real Prometheus, whose blocks promtool made from
OpenMetrics text: each application has the families of an LLM application, at their real histogram bounds.
"""

import math
import os
import re
import socket
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from topmast import check, dashboardfile, promtool
from topmast.benchmark import Benchmark, Run
from topmast.dashboardfile import File
from topmast.errors import PrerequisiteError, TopmastError
from topmast.measure import Measure, measure
from topmast.panelquery import Prometheus, Window

OVERVIEW = "application-overview"
SETS = 200
HOURS = 24
BLOCK_SECONDS = 7200
ROUNDS = 3
GOAL = "ratio >= 5"
# The exporter's own bounds, in seconds.
HTTP = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1, 2.5, 5, 10)
CACHE = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5)
QUERY = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
# What is written out instead of the 30 days' recorded form, whose literal raw form is a subquery that nobody would
# ask: the plain ratio of two rates. The time within the latency target has no such form and is left out of the raw.
BY_HAND = {
    "app:http_availability:ratio_rate30d": (
        '1 - sum(rate(app_http_requests_total{status=~"5.."}[30d])) / sum(rate(app_http_requests_total[30d]))'
    ),
    "app:http_latency_target_met:avg30d": "vector(1)",
}


@dataclass(frozen=True)
class Series:
    """One series as OpenMetrics writes it, and how fast it grows: 0 for a gauge that stays."""

    family: str
    kind: str
    text: str
    start: float
    a_second: float


def run(bench: Run) -> Sequence[Measure]:
    """Return `page.query_cost`. With --full samples are 60 s apart, else 120 s; both have 24 hours of 200 sets."""
    try:
        tool = promtool.need_promtool()
    except PrerequisiteError as error:
        return [measure("page.query_cost", None, "s", GOAL, note=str(error))]
    tree = check.read([], bench.home)
    rules = {name: rule.expr for name, rule in tree.records.items()}
    file = next(each for each in dashboardfile.read(tree) if each.name == OVERVIEW)
    step = 60 if bench.full else 120
    end = int(time.time()) // BLOCK_SECONDS * BLOCK_SECONDS
    with tempfile.TemporaryDirectory(prefix="topmast-queries-") as folder:
        count = make_blocks(tool, Path(folder), end, step, bench)
        with _prometheus(tool.parent / "prometheus", Path(folder)) as prometheus:
            window = Window(end - HOURS * 3600, end - step, step)
            asked = [expr for _, expr in queries(file)]
            recorded = _cost(prometheus, asked, window, ROUNDS)
            raw = _cost(prometheus, [expanded(expr, rules) for expr in asked], window, 1)
    ours, theirs = sum(recorded), sum(raw)
    # A day or a month behind each point costs most of all: without those panels the gain is smaller.
    short = [at for at, expr in enumerate(asked) if not re.search(r"\[(24h|30d)\]", expanded(expr, rules))]
    plain = sum(raw[at] for at in short) / sum(recorded[at] for at in short)
    return [
        measure(
            "page.query_cost",
            round(ours, 3),
            "s",
            GOAL,
            peer="raw expressions",
            peer_value=round(theirs, 3),
            ratio=theirs / ours,
            note=f"{HOURS} h of {SETS} sets, {count} series, a sample every {step} s; all queries of the 17 panels;"
            f" without those over a day or a month the ratio is {plain:.1f}",
        )
    ]


def queries(file: File) -> list[tuple[str, str]]:
    """Return (panel, expression) of the panels' queries; exemplars are not PromQL's cost."""
    return [
        (each.panel, each.expr)
        for each in file.queries
        if each.kind != "annotation" and not each.target.get("exemplar")
    ]


def expanded(expr: str, rules: Mapping[str, str]) -> str:
    """Return the expression with every recorded name replaced by what is recorded under it, to the bottom.

    The matchers behind a recorded name go: the raw sum reads every series in any case.
    """
    for _ in range(10):
        names = sorted(
            (name for name in rules if re.search(rf"(?<![\w:]){name}(?![\w:])", expr)), key=len, reverse=True
        )
        if not names:
            return expr
        for name in names:
            inner = BY_HAND.get(name, rules[name])
            expr = re.sub(
                rf"(?<![\w:]){re.escape(name)}(?![\w:])(?:\{{[^}}]*\}})?(?: @ end\(\))?",
                lambda _, inner=inner: f"({inner})",  # type: ignore[misc]  # a default binds the loop's value
                expr,
            )
    raise TopmastError(f"recorded rules read each other without end: {expr[:120]}")


def make_blocks(tool: Path, folder: Path, end: int, step: int, bench: Run) -> int:
    """Write blocks of two hours below `folder`/data and return how many series there are."""
    series = [*recorded_series(), *raw_series(SETS)]
    bench.say(f"{len(series)} series, {HOURS} h")
    for start in range(end - HOURS * 3600, end, BLOCK_SECONDS):
        text = folder / "part.om"
        times = range(start, start + BLOCK_SECONDS, step)
        with text.open("w", encoding="utf-8") as out:
            family = ""
            for each in series:
                if each.family != family:
                    family = each.family
                    out.write(f"# TYPE {family} {each.kind}\n")
                since = end - HOURS * 3600
                out.write(
                    "".join(f"{each.text} {each.start + each.a_second * (at - since):.6g} {at}\n" for at in times)
                )
            out.write("# EOF\n")
        done = promtool.run(
            tool, ["tsdb", "create-blocks-from", "openmetrics", str(text), str(folder / "data")], seconds=600
        )
        if done.code != 0:
            raise TopmastError(f"promtool: {done.output.strip()[-300:]}")
        text.unlink()
    return len(series)


def recorded_series() -> Iterator[Series]:
    """Yield what the recording rules leave behind of all the sets: a handful of series a rule."""
    one = 'environment="production"'
    classes = [f'{one},route_class="{each}"' for each in ("api", "llm", "stream")]
    namespaces = [f'{one},namespace="{each}"' for each in ("llm_response", "embedding", "semantic")]
    models = [f'{one},provider="openai",model="m{each}"' for each in range(4)]
    labels = {
        "app:http_errors:ratio_rate5m": [one],
        "app:http_availability:ratio_rate30d": [one],
        "app:http_error_budget_left:ratio_rate30d": [one],
        "app:http_latency_target_met:avg30d": [one],
        "instance:node_cpu_busy:ratio_rate5m": [f'{one},instance="h"'],
        "instance:node_memory_available:ratio": [f'{one},instance="h"'],
        "instance:pg_connections_used:ratio": [f'{one},instance="p"'],
        "instance_pool:db_pool_used:ratio": [f'{one},instance="i{each}",pool="main"' for each in range(SETS)],
        "llm:cache_saved:ratio_increase24h": [one],
        "llm:cache_saved_usd:increase24h": [one],
        "namespace:cache_hit:ratio_rate15m": namespaces,
        "namespace:cache_operation_duration_seconds:p95_5m": namespaces,
        "operation:db_query_duration_seconds:p95_5m": [f'{one},operation="{each}"' for each in ("select", "update")],
        "provider_model:llm_cost_usd_hourly:rate30m": models,
        "provider_model:llm_errors:ratio_rate5m": models,
        **{f"route_class:app_http_request_duration_seconds:p{part}_5m": classes for part in (50, 95, 99)},
    }
    for name, sets in sorted(labels.items()):
        for each in sets:
            yield Series(name, "gauge", f"{name}{{{each}}}", 0.5, 0)


def raw_series(sets: int) -> Iterator[Series]:
    """Yield what so many applications and one machine expose, family by family."""
    where = [f'environment="production",job="app",instance="i{number}"' for number in range(sets)]
    yield from _counters("app_http_requests", where, [f'status="{code}"' for code in (200, 404, 500)])
    classes = [f'route_class="{each}"' for each in ("api", "llm", "stream")]
    yield from _histogram("app_http_request_duration_seconds", where, classes, HTTP)
    spaces = [f'namespace="{each}",operation="get"' for each in ("llm_response", "embedding", "semantic")]
    yield from _counters(
        "cache_requests", where, [f'{each},result="{end}"' for each in spaces for end in ("hit", "miss")]
    )
    yield from _histogram("cache_operation_duration_seconds", where, spaces, CACHE)
    yield from _histogram(
        "db_query_duration_seconds", where, [f'operation="{e}"' for e in ("select", "update")], QUERY
    )
    models = [f'provider="openai",model="m{each}",feature="f"' for each in range(4)]
    yield from _counters("llm_cost_usd", where, [f'{each},component="input"' for each in models])
    yield from _counters(
        "llm_requests", where, [f'{each},outcome="{end}"' for each in models for end in ("ok", "error")]
    )
    yield from _counters("cache_saved_usd", where, ['namespace="llm_response"'])
    yield from _counters("log_events", where, ['service="shop",level="error"'])
    for name in ("db_pool_connections_in_use", "db_pool_connections_max", "process_resident_memory_bytes", "up"):
        for each in where:
            yield Series(name, "gauge", f"{name}{{{each}}}", 1, 0)
    host = 'environment="production",job="node",instance="h"'
    yield from _counters(
        "node_cpu_seconds", [host], [f'cpu="{n}",mode="{m}"' for n in range(8) for m in ("idle", "user")]
    )
    for name in ("node_memory_MemAvailable_bytes", "node_memory_MemTotal_bytes"):
        yield Series(name, "gauge", f"{name}{{{host}}}", 1e9, 0)


def _counters(family: str, where: Sequence[str], sets: Sequence[str]) -> Iterator[Series]:
    for place in where:
        for each in sets:
            yield Series(family, "counter", f"{family}_total{{{place},{each}}}", 10, 0.5)


def _histogram(family: str, where: Sequence[str], sets: Sequence[str], bounds: Sequence[float]) -> Iterator[Series]:
    for place in where:
        for each in sets:
            for number, bound in enumerate([*bounds, math.inf], 1):
                le = "+Inf" if bound == math.inf else f"{bound:g}"
                text = f'{family}_bucket{{{place},{each},le="{le}"}}'
                yield Series(family, "histogram", text, 0, number / len(bounds))


def _cost(prometheus: Prometheus, expressions: Sequence[str], window: Window, rounds: int) -> list[float]:
    """Return the seconds that each query takes, one after another, the median of some rounds."""
    taken: list[list[float]] = [[] for _ in expressions]
    for _ in range(rounds):
        for times, expr in zip(taken, expressions, strict=True):
            began = time.perf_counter()
            prometheus.over(dashboardfile.substituted(expr, window.built_in), window)
            times.append(time.perf_counter() - began)
    return [statistics.median(times) for times in taken]


@contextmanager
def _prometheus(program: Path, folder: Path) -> Iterator[Prometheus]:
    (folder / "prometheus.yml").write_text("scrape_configs: []\n", encoding="utf-8")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    process = subprocess.Popen(
        [
            str(program),
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            "--storage.tsdb.retention.time=60d",
            f"--web.listen-address={address}",
            "--query.timeout=10m",
            "--query.max-samples=500000000",
            "--log.level=error",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "GOMAXPROCS": "2"},
    )
    prometheus = Prometheus(f"http://{address}", timeout_seconds=600)
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                prometheus.instant("vector(1)", time.time())
                break
            except TopmastError:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
        yield prometheus
    finally:
        process.terminate()
        process.wait(30)


BENCHMARK = Benchmark(
    name="page_queries",
    summary="What the overview's queries cost: recorded series against raw expressions.",
    run=run,
)
