"""A made-up but plausible time of the reference application, as OpenMetrics text for promtool to make blocks of.

Seeded and pure: the same seed and times give the same text. Every family that application-overview.json reads is
here, under the names and labels of the real exporters.
"""

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass, field

NAMESPACES = ("llm_response", "embedding", "semantic", "session", "rag", "rate_limit")
MODELS = (
    ("openai", "gpt-4o"),
    ("openai", "gpt-4o-mini"),
    ("anthropic", "claude-sonnet-4"),
    ("google", "gemini-2.5-flash"),
)
FEATURES = ("chat", "search", "summary")
JOBS = {
    "app": "127.0.0.1:18000",
    "exporter": "127.0.0.1:9470",
    "shipper": "127.0.0.1:9471",
    "node": "127.0.0.1:9100",
    "prometheus": "127.0.0.1:9090",
    "alertmanager": "127.0.0.1:9093",
    "redis": "127.0.0.1:16379",
    "postgres": "127.0.0.1:15432",
}
BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


@dataclass
class Series:
    """One series while it is written: a counter keeps its sum between samples."""

    name: str
    labels: dict[str, str]
    value: float = 0.0
    samples: list[tuple[float, float]] = field(default_factory=list)

    def set(self, at: float, value: float) -> None:
        self.value = value
        self.samples.append((at, value))

    def add(self, at: float, amount: float) -> None:
        self.set(at, self.value + amount)

    def lines(self) -> Iterator[str]:
        labels = ",".join(f'{key}="{value}"' for key, value in self.labels.items())
        for at, value in self.samples:
            yield f"{self.name}{{{labels}}} {value:.9g} {at:.3f}\n"


class World:
    """Every series by name and labels, grown step by step."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.series: dict[tuple[str, tuple[tuple[str, str], ...]], Series] = {}

    def of(self, name: str, **labels: str) -> Series:
        key = (name, tuple(labels.items()))
        if key not in self.series:
            self.series[key] = Series(name, labels)
        return self.series[key]

    def noisy(self, value: float, share: float = 0.1) -> float:
        return max(0.0, value * (1 + self.random.gauss(0, share)))

    def observe(self, at: float, name: str, count: float, median: float, spread: float, **labels: str) -> None:
        """Add `count` log-normally distributed observations to a histogram."""
        for bound in BOUNDS:
            below = 0.5 * (1 + math.erf(math.log(bound / median) / (spread * math.sqrt(2))))
            self.of(f"{name}_bucket", **labels, le=str(bound)).add(at, count * below)
        self.of(f"{name}_bucket", **labels, le="+Inf").add(at, count)
        self.of(f"{name}_count", **labels).add(at, count)
        self.of(f"{name}_sum", **labels).add(at, count * median * math.exp(spread**2 / 2))

    def text(self) -> Iterator[str]:
        """Return OpenMetrics text. Types are left out: the store keeps none."""
        families: dict[str, list[Series]] = {}
        for each in self.series.values():
            families.setdefault(each.name, []).append(each)
        for name in sorted(families):
            for each in families[name]:
                yield from each.lines()
        yield "# EOF\n"


def grow(seed: int, start: float, end: float, step: float) -> World:
    """Return the world from `start` to `end`: a wave of traffic, and trouble for a tenth of the time before `now`."""
    world = World(seed)
    at = start
    while at <= end:
        wave = 1 + 0.5 * math.sin(at / 2400) + 0.1 * math.sin(at / 300)
        trouble = (at % 5400) < 500
        tick(world, at, step, wave, trouble)
        at += step
    return world


def tick(world: World, at: float, step: float, wave: float, trouble: bool) -> None:
    services(world, at, trouble)
    requests(world, at, step, wave, trouble)
    cache(world, at, step, wave, trouble)
    models(world, at, step, wave)
    database(world, at, step, wave, trouble)
    host(world, at, step, wave)


def services(world: World, at: float, trouble: bool) -> None:
    for job, instance in JOBS.items():
        world.of("up", job=job, instance=instance).set(at, 1)
        resident = {"prometheus": 90e6, "app": 160e6, "exporter": 52e6}.get(job, 40e6)
        world.of("process_resident_memory_bytes", job=job, instance=instance).set(at, world.noisy(resident, 0.02))
        world.of("process_cpu_seconds_total", job=job, instance=instance).add(at, world.noisy(0.4, 0.3))
    world.of("redis_up", job="redis", instance=JOBS["redis"]).set(at, 1)
    world.of("pg_up", job="postgres", instance=JOBS["postgres"]).set(at, 1)
    if trouble:
        world.of("ALERTS", alertname="ApiErrorRateHigh", alertstate="firing", severity="warning", category="llm").set(
            at, 1
        )
    world.of("app_start_time_seconds", job="app", instance=JOBS["app"]).set(at, 1_700_000_000)
    world.of("app_build_info", job="app", instance=JOBS["app"], version="1.4.2").set(at, 1)


def requests(world: World, at: float, step: float, wave: float, trouble: bool) -> None:
    where = {"job": "app", "instance": JOBS["app"]}
    for route_class, rate, median in (
        ("api", 9.0, 0.04),
        ("llm", 1.5, 1.6),
        ("stream", 0.7, 3.2),
        ("health", 0.2, 0.002),
    ):
        count = world.noisy(rate * wave * step)
        errors = count * (0.03 if trouble else 0.0008)
        route = f"/{route_class}/things"
        for status, share in (("200", count * 0.97 - errors), ("404", count * 0.03), ("500", errors)):
            world.of(
                "app_http_requests_total", **where, method="GET", route=route, route_class=route_class, status=status
            ).add(at, max(0.0, share))
        slow = median * (3 if trouble else 1)
        world.observe(
            at,
            "app_http_request_duration_seconds",
            count,
            slow,
            0.7,
            **where,
            method="GET",
            route=route,
            route_class=route_class,
        )
    for service, rate in (("shop", 0.004), ("nginx", 0.001)):
        for level, factor in (("info", 900.0), ("warning", 20.0), ("error", 12.0 if trouble else 1.0)):
            counter = world.of(
                "log_events_total", job="shipper", instance=JOBS["shipper"], service=service, level=level
            )
            counter.add(at, float(round(world.noisy(rate * factor * step, 0.8))))


def cache(world: World, at: float, step: float, wave: float, trouble: bool) -> None:
    where = {"job": "app", "instance": JOBS["app"]}
    for index, namespace in enumerate(NAMESPACES):
        ratio = (0.62, 0.91, 0.48, 0.97, 0.74, 0.99)[index] * (0.75 if trouble else 1)
        lookups = world.noisy(wave * step * (index + 1))
        for result, share in (("hit", ratio), ("miss", 1 - ratio)):
            world.of("cache_requests_total", **where, namespace=namespace, operation="get", result=result).add(
                at, lookups * share
            )
        world.observe(
            at,
            "cache_operation_duration_seconds",
            lookups,
            0.0006 + 0.0003 * index,
            0.5,
            **where,
            namespace=namespace,
            operation="get",
        )
    for provider, model in MODELS:
        saved = world.of("cache_saved_usd_total", **where, namespace="llm_response", provider=provider, model=model)
        saved.add(at, world.noisy(0.0015 * wave * step))


def models(world: World, at: float, step: float, wave: float) -> None:
    where = {"job": "exporter", "instance": JOBS["exporter"]}
    spent = 0.0
    for index, (provider, model) in enumerate(MODELS):
        for feature in FEATURES:
            calls = world.noisy(0.15 * wave * step)
            for outcome, share in (("ok", 0.985), ("error", 0.006), ("rate_limited", 0.009), ("cached", 0.4)):
                world.of(
                    "llm_requests_total", **where, provider=provider, model=model, feature=feature, outcome=outcome
                ).add(at, calls * share)
            price = (0.006, 0.0005, 0.008, 0.0007)[index]
            for component, share in (("input", 0.4), ("output", 0.6)):
                cost = world.of(
                    "llm_cost_usd_total",
                    **where,
                    provider=provider,
                    model=model,
                    feature=feature,
                    component=component,
                )
                cost.add(at, calls * price * share)
                spent += cost.value
        world.observe(
            at, "llm_request_duration_seconds", 2.0, 1.4 + index, 0.5, **where, provider=provider, model=model
        )
    for window, budget in (("day", 40.0), ("month", 900.0)):
        done = min(budget * 0.9, spent + (5 if window == "day" else 410))
        world.of("llm_budget_usd", **where, window=window, feature="").set(at, budget)
        world.of("llm_budget_spent_usd", **where, window=window, feature="").set(at, done)
        world.of("llm_budget_forecast_usd", **where, window=window, feature="").set(at, done * 1.25)


def database(world: World, at: float, step: float, wave: float, trouble: bool) -> None:
    where = {"job": "app", "instance": JOBS["app"]}
    for operation, median in (("select", 0.003), ("insert", 0.006), ("update", 0.008), ("delete", 0.004)):
        world.observe(
            at,
            "db_query_duration_seconds",
            world.noisy(4 * wave * step),
            median * (5 if trouble else 1),
            0.8,
            **where,
            database="shop",
            operation=operation,
        )
    world.of("db_pool_connections_in_use", **where, pool="shop").set(at, min(20, round(world.noisy(6 * wave, 0.3))))
    world.of("db_pool_connections_max", **where, pool="shop").set(at, 20)
    server = {"job": "postgres", "instance": JOBS["postgres"]}
    for state, count in (("active", 4 * wave), ("idle", 12.0), ("idle in transaction", 1.0)):
        world.of("pg_stat_activity_count", **server, datname="shop", state=state).set(at, round(world.noisy(count)))
    world.of("pg_settings_max_connections", **server).set(at, 100)
    world.of("pg_settings_superuser_reserved_connections", **server).set(at, 3)
    redis = {"job": "redis", "instance": JOBS["redis"]}
    world.of("redis_connected_clients", **redis).set(at, round(world.noisy(14 * wave)))
    world.of("redis_config_maxclients", **redis).set(at, 10_000)
    world.of("redis_memory_used_bytes", **redis).set(at, world.noisy(180e6, 0.02))
    world.of("redis_memory_max_bytes", **redis).set(at, 512e6)


def host(world: World, at: float, step: float, wave: float) -> None:
    where = {"job": "node", "instance": JOBS["node"]}
    for cpu in ("0", "1"):
        busy = min(0.95, world.noisy(0.22 * wave, 0.2))
        for mode, share in (("user", busy * 0.7), ("system", busy * 0.3), ("iowait", 0.01), ("idle", 0.99 - busy)):
            world.of("node_cpu_seconds_total", **where, cpu=cpu, mode=mode).add(at, max(0.0, share) * step)
    world.of("node_load5", **where).set(at, world.noisy(0.6 * wave))
    world.of("node_memory_MemTotal_bytes", **where).set(at, 8e9)
    world.of("node_memory_MemAvailable_bytes", **where).set(at, 8e9 * (0.55 - 0.08 * wave))
    for device, mountpoint, size, free in (
        ("/dev/vda1", "/", 80e9, 0.62),
        ("/dev/vdb1", "/var/lib/data", 200e9, 0.21),
    ):
        disk = {**where, "device": device, "fstype": "ext4", "mountpoint": mountpoint}
        world.of("node_filesystem_size_bytes", **disk).set(at, size)
        world.of("node_filesystem_avail_bytes", **disk).set(at, size * free)
        world.of("node_filesystem_readonly", **disk).set(at, 0)
