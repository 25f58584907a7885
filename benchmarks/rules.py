"""What one round of all rules costs the real Prometheus that holds 50,000 series, as a share of its interval.

A target shows an hour of history in a minute: each scrape is given the next step, with its time. Then Prometheus
scrapes and evaluates every 15 seconds, and says itself how long each group took.
"""

import itertools
import json
import os
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple

import requests
from prometheus_client.parser import text_string_to_metric_families
from topmast.benchmark import Benchmark, Run
from topmast.binaries import find
from topmast.errors import TopmastError
from topmast.layout import LOOPBACK, Layout, find_state
from topmast.measure import Measure, measure
from topmast.proofs.rules import in_order
from topmast.rulefile import load

SERIES = 50_000
INTERVAL = 15
# Prometheus takes what is up to an hour older than its newest sample (half of a head chunk's range).
HISTORY_SECONDS = 3300
_FILL_INTERVAL = "300ms"
_SECONDS = 600.0


Labels = Mapping[str, int | Sequence[str]]
"""A label's values, or how many it has."""


class Family(NamedTuple):
    """So many series of one metric: the product of its labels' values. A counter grows, a gauge stands."""

    name: str
    counter: bool
    labels: Labels


_LE = ("0.005", "0.01", "0.05", "0.1", "0.2", "0.5", "1.0", "2.5", "5.0", "10.0", "30.0", "60.0", "+Inf")
_APP: Labels = {"job": ("app",), "instance": 10}
_MODEL: Labels = {"job": ("exporter",), "instance": ("e:1",), "provider": 4, "model": 10}
_HOST: Labels = {"job": ("node",), "instance": 50}
_BOX: Labels = {"job": ("cadvisor",), "instance": 10, "name": 20}
_ROUTE: Labels = {**_APP, "route": 60, "route_class": ("api",), "method": ("GET",)}
_OUTCOMES = ("ok", "error", "timeout", "rate_limited", "cancelled", "cached")
_STATES = ("active", "idle", "idle in transaction")

# A team that has outgrown one machine: 10 instances of its application, 40 models, 50 hosts, 200 containers.
FAMILIES = (
    Family("up", False, {"job": ("node", "app", "redis", "postgres", "cadvisor"), "instance": 10}),
    Family("app_http_requests_total", True, {**_ROUTE, "status": ("200", "404", "422", "500")}),
    Family("app_http_request_duration_seconds_bucket", True, {**_ROUTE, "le": _LE}),
    Family("app_http_request_duration_seconds_count", True, _ROUTE),
    Family("app_event_loop_lag_seconds", False, _APP),
    Family("app_start_time_seconds", False, _APP),
    Family(
        "cache_requests_total",
        True,
        {**_APP, "namespace": 7, "operation": ("get", "set"), "result": ("hit", "miss", "stale", "error")},
    ),
    Family("agent_executions_total", True, {**_APP, "agent": 40, "status": ("success", "failure", "timeout")}),
    Family("agent_execution_seconds_bucket", True, {**_APP, "agent": 40, "le": _LE}),
    Family(
        "db_query_duration_seconds_bucket",
        True,
        {**_APP, "database": 4, "operation": ("select", "insert", "update", "delete"), "le": _LE},
    ),
    Family("db_query_duration_seconds_count", True, {**_APP, "database": 4, "operation": ("select", "insert")}),
    Family("db_pool_connections_in_use", False, {**_APP, "pool": 4}),
    Family("db_pool_connections_max", False, {**_APP, "pool": 4}),
    Family("llm_requests_total", True, {**_MODEL, "feature": 5, "outcome": _OUTCOMES}),
    Family("llm_cost_usd_total", True, {**_MODEL, "feature": 5, "component": ("input", "output", "cache_read")}),
    Family("llm_unpriced_requests_total", True, {**_MODEL, "reason": ("unknown_model", "cancelled")}),
    Family("llm_request_duration_seconds_bucket", True, {**_MODEL, "le": _LE}),
    Family("llm_budget_usd", False, {"job": ("exporter",), "window": ("day", "month"), "feature": ("", "a", "b")}),
    Family("llm_budget_spent_usd", False, {"job": ("exporter",), "window": ("day", "month"), "feature": ("", "a")}),
    Family("node_cpu_seconds_total", True, {**_HOST, "cpu": 8, "mode": ("idle", "user", "system", "iowait", "irq")}),
    Family("node_load5", False, _HOST),
    Family("node_memory_MemAvailable_bytes", False, _HOST),
    Family("node_memory_MemTotal_bytes", False, _HOST),
    Family("node_vmstat_oom_kill", False, _HOST),
    Family("node_pressure_memory_waiting_seconds_total", True, _HOST),
    *(
        Family(f"node_filesystem_{what}", False, {**_HOST, "mountpoint": 6, "fstype": ("ext4",)})
        for what in ("avail_bytes", "size_bytes", "readonly")
    ),
    *(
        Family(f"container_{what}", True, _BOX)
        for what in ("cpu_usage_seconds_total", "cpu_cfs_periods_total", "cpu_cfs_throttled_periods_total")
    ),
    *(
        Family(f"container_{what}", False, _BOX)
        for what in ("spec_cpu_quota", "spec_cpu_period", "memory_working_set_bytes", "spec_memory_limit_bytes")
    ),
    *(
        Family(f"redis_{what}", False, {"job": ("redis",), "instance": 10})
        for what in ("up", "memory_used_bytes", "memory_max_bytes", "connected_clients", "config_maxclients")
    ),
    Family("redis_instance_info", False, {"job": ("redis",), "instance": 10, "maxmemory_policy": ("noeviction",)}),
    Family("pg_up", False, {"job": ("postgres",), "instance": 10}),
    Family("pg_settings_max_connections", False, {"job": ("postgres",), "instance": 10}),
    Family("pg_settings_superuser_reserved_connections", False, {"job": ("postgres",), "instance": 10}),
    *(
        Family(
            f"pg_stat_activity_{what}",
            False,
            {"job": ("postgres",), "instance": 10, "datname": 5, "usename": 4, "state": _STATES},
        )
        for what in ("count", "max_tx_duration")
    ),
    Family("elasticsearch_jvm_memory_used_bytes", False, {"cluster": ("c",), "name": 10, "area": ("heap",)}),
    Family("elasticsearch_jvm_memory_max_bytes", False, {"cluster": ("c",), "name": 10, "area": ("heap",)}),
    Family("shipper_oldest_unsent_seconds", False, {"instance": 50, "input": ("app",), "sink": ("logstash",)}),
    Family("log_error_signatures_new_total", True, {"instance": 50, "service": 5}),
)
# What is scraped beside it and no rule reads.
_REST = "process_of_no_rule_total"


def names(families: Sequence[Family]) -> Iterator[tuple[str, bool]]:
    """Yield `name{labels}` of every series, and whether it grows."""
    for family in families:
        values = [
            [f"{label}-{number}" for number in range(some)] if isinstance(some, int) else some
            for label, some in family.labels.items()
        ]
        for each in itertools.product(*values):
            inside = ",".join(f'{label}="{value}"' for label, value in zip(family.labels, each, strict=True))
            yield f"{family.name}{{{inside}}}", family.counter


def exposition(series: int) -> tuple[str, int]:
    """Return a page of so many series, `@V` and `@T` for values and times, and how many of them rules read."""
    read = list(names(FAMILIES))
    rest = list(names([Family(_REST, True, {"number": series - len(read)})]))
    return "".join(f"{name} {'@V' if grows else '1'} @T\n" for name, grows in [*read, *rest]), len(read)


class _World:
    """The target: the next step of history at each scrape; the present once that is reached."""

    def __init__(self, page: str) -> None:
        self.page = page
        self.at = time.time() // INTERVAL * INTERVAL - HISTORY_SECONDS
        self.began = self.at
        self.caught_up = threading.Event()

    def scrape(self) -> bytes:
        now = time.time() // INTERVAL * INTERVAL
        self.at = min(self.at + INTERVAL, now)
        if self.at == now:
            self.caught_up.set()
        value = (self.at - self.began) * 3
        return self.page.replace("@V", f"{value:.0f}").replace("@T", f"{self.at * 1000:.0f}").encode()


@contextmanager
def _serving(world: _World) -> Iterator[str]:
    class Target(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = world.scrape()
            self.send_response(200)
            self.send_header("content-type", "text/plain; version=0.0.4")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            # Prometheus hangs up when it is told to scrape less often.
            with suppress(ConnectionError):
                self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer((LOOPBACK, 0), Target)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"{LOOPBACK}:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def configuration(home: Path, target: str, interval: str) -> str:
    """Return a prometheus.yml: every rule as it is in monitoring/, evaluated as in production. JSON is YAML."""
    scrape = {"job_name": "world", "honor_labels": True, "static_configs": [{"targets": [target]}]}
    return json.dumps(
        {
            "global": {
                "scrape_interval": interval,
                "scrape_timeout": interval,
                "evaluation_interval": f"{INTERVAL}s",
            },
            "rule_files": [str(home / "monitoring/prometheus" / folder / "*.yml") for folder in _FOLDERS],
            "scrape_configs": [scrape],
        }
    )


_FOLDERS = ("alerts", "self", "recording")


def run(bench: Run) -> Sequence[Measure]:
    layout = Layout(bench.home, find_state(None, bench.home))
    program = find("prometheus", ("prometheus",), layout, {}, bench.say)
    page, read = exposition(SERIES)
    rules = len(in_order(load(bench.home / "monitoring/prometheus")))
    world = _World(page)
    with tempfile.TemporaryDirectory(prefix="topmast-rules-") as name, _serving(world) as target:
        folder = Path(name)
        config = folder / "prometheus.yml"
        config.write_text(configuration(bench.home, target, _FILL_INTERVAL))
        with _prometheus(program.path, folder) as url:
            bench.say(f"{HISTORY_SECONDS // 60} minutes of {SERIES} series")
            if not world.caught_up.wait(_SECONDS):
                raise TopmastError(f"{url}: {world.at - world.began:.0f} s of history scraped in {_SECONDS:.0f} s")
            config.write_text(configuration(bench.home, target, f"{INTERVAL}s"))
            requests.post(f"{url}/-/reload", timeout=30).raise_for_status()
            rounds = _rounds(url, 40 if bench.full else 5)
            held = _metrics(url)["prometheus_tsdb_head_series"][0]
    share = statistics.median(rounds) / INTERVAL
    note = (
        f"Prometheus {program.version()}, {rules} rules, {held:.0f} series ({read} read by rules), "
        f"{HISTORY_SECONDS // 60} minutes of history; median {statistics.median(rounds) * 1000:.0f} ms, "
        f"worst {max(rounds) * 1000:.0f} ms of {len(rounds)} rounds, the groups' times added up"
    )
    return [measure("rules.evaluation", share, "of the interval", "<= 0.10", note=note)]


@contextmanager
def _prometheus(program: Path, folder: Path) -> Iterator[str]:
    with ThreadingHTTPServer((LOOPBACK, 0), BaseHTTPRequestHandler) as plug:
        address = f"{LOOPBACK}:{plug.server_port}"
    argv = [
        *(str(program), f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'data'}"),
        *(f"--web.listen-address={address}", "--web.enable-lifecycle", "--log.level=error"),
    ]
    # As the appliance starts it.
    with subprocess.Popen(argv, env={**os.environ, "GOGC": "50"}) as process:
        try:
            deadline = time.monotonic() + 60
            while not _ready(f"http://{address}"):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise TopmastError(f"{program}: not ready at {address}")
                time.sleep(0.1)
            yield f"http://{address}"
        finally:
            process.terminate()


def _ready(url: str) -> bool:
    try:
        return requests.get(f"{url}/-/ready", timeout=5).status_code == 200
    except requests.RequestException:
        return False


def _rounds(url: str, count: int) -> list[float]:
    """Return how long each of so many rounds took, the first (still beside the history) left out."""
    rounds = []
    for _ in range(count + 1):
        time.sleep(INTERVAL)
        rounds.append(sum(_metrics(url)["prometheus_rule_group_last_duration_seconds"]))
    return rounds[1:]


def _metrics(url: str) -> dict[str, list[float]]:
    text = requests.get(f"{url}/metrics", timeout=30).text
    found: dict[str, list[float]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, []).append(float(sample.value))
    return found


BENCHMARK = Benchmark(
    name="rules", summary="one round of all rules on the real Prometheus with 50,000 series", run=run
)
