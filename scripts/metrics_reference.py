"""Write docs/reference/metrics.md: every metric, as the registries declare it and as the contract has it.

    .venv/bin/python scripts/metrics_reference.py           # writes the page
    .venv/bin/python scripts/metrics_reference.py --check   # fails when the page is not what it would write

What is measured in an application and in the exporter comes from the instruments themselves: each declares its
families in a registry of its own. What is read from servers comes from the contract (appliance/topmast/metrics.yml).
"""

import asyncio
import socket
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from topmast import metrics
from topmast_exporter import config
from topmast_exporter.families import Family
from topmast_exporter.instrument.agent import AgentMetrics
from topmast_exporter.instrument.asgi import Middleware
from topmast_exporter.instrument.cache import CacheMetrics
from topmast_exporter.instrument.httpx import HttpClientMetrics
from topmast_exporter.instrument.llm.guard import BudgetGuard
from topmast_exporter.instrument.sql import DatabaseMetrics
from topmast_exporter.instrument.websocket import declare_families
from topmast_exporter.registry import Registry
from topmast_exporter.standalone import Standalone
from topmast_exporter.usage import UsageSender
from topmast_exporter.workers.push import Pusher

PAGE = Path(__file__).resolve().parents[1] / "docs/reference/metrics.md"

UNITS = {
    "timestamp_seconds": "unix time",
    "start_time_seconds": "unix time",
    "seconds": "seconds",
    "bytes": "bytes",
    "usd": "USD",
    "tokens": "tokens",
    "ratio": "0 to 1",
    "info": "always 1",
}
# What the ending of a name does not say.
UNITS_OF_NAMES = {"llm_budget_burn_ratio": "1 is the whole budget", "cache_saved_usd_total": "USD"}

IN_AN_APPLICATION: tuple[tuple[str, str, Callable[[Registry], object]], ...] = (
    (
        "WebSockets",
        "`instrument(app)` of `.asgi`; `instrument_socketio(server)` of `.socketio`",
        declare_families,
    ),
    (
        "HTTP requests",
        "`instrument(app)` of `topmast_exporter.instrument.asgi`, `.wsgi` or `.django`",
        lambda registry: Middleware(_nothing, registry),
    ),
    (
        "Outgoing calls",
        "`instrument_httpx(client)`, `instrument_requests()`, `instrument_aiohttp(session)`",
        HttpClientMetrics,
    ),
    (
        "Databases",
        "`instrument_engine(engine)` of `.sqlalchemy`; `instrument_pool(pool)` of `.psycopg` or `.asyncpg`",
        DatabaseMetrics,
    ),
    (
        "Caches",
        "`CacheMetrics().wrap(redis)` of `.cache`; `ResponseCacheMetrics` of `.response_cache`",
        lambda registry: CacheMetrics(registry, {}),
    ),
    ("Agents and tasks", "`AgentMetrics()` of `.agent`; `instrument_celery(app)` of `.celery`", AgentMetrics),
    (
        "The instruments themselves",
        "every registry; usage events on their way; the budget guard; several workers of one application",
        lambda registry: (_usage(registry), _guard(registry), Pusher(registry, "shop", Path("unused"))),
    ),
)

SERVERS = {
    "redis_": "Redis and Valkey: as redis_exporter names it",
    "pg_": "PostgreSQL: as postgres_exporter names it",
    "topmast_pg_": "PostgreSQL: what postgres_exporter has not",
    "mysql_": "MySQL and MariaDB: as mysqld_exporter names it",
    "elasticsearch_": "Elasticsearch: as elasticsearch_exporter names it",
    "logstash_": "Logstash",
    "kibana_": "Kibana",
    "node_": "The host: node_exporter, what the rules read",
    "container_": "Containers: as cAdvisor names it, what the rules read",
    "shipper_": "The log shipper",
    "log_": "The logs, counted by the log shipper",
}


@dataclass(frozen=True)
class Row:
    """One line of a table."""

    name: str
    kind: str
    labels: str
    text: str = ""

    def cells(self) -> tuple[str, ...]:
        return (f"`{self.name}`", self.kind, self.labels, unit_of(self.name), self.text)


async def _nothing(*_: Any) -> None:
    """An application to stand around."""


def _usage(registry: Registry) -> UsageSender:
    return UsageSender(lambda _: None, registry)  # type: ignore[arg-type, return-value]  # nothing is ever sent


def _guard(registry: Registry) -> None:
    BudgetGuard(ask=lambda: b"{}", registry=registry).close()


def registries() -> Iterator[tuple[str, str, Registry]]:
    """Yield (title, how it is installed, registry) of every part that declares families."""
    for title, how, declare in IN_AN_APPLICATION:
        registry = Registry()
        declare(registry)
        yield title, how, registry
    yield "Model calls, their cost, and the exporter", "the standalone exporter, at /metrics", of_the_exporter()


def of_the_exporter() -> Registry:
    """Return the registry of a standalone exporter that was started and stopped."""
    with tempfile.TemporaryDirectory() as folder:
        ports = iter((_free_port(), _free_port()))
        section = {
            "listen": f"127.0.0.1:{next(ports)}",
            "ingest": {"listen": f"127.0.0.1:{next(ports)}"},
            "data": folder,
            "workers": {"socket": ""},
        }
        exporter = Standalone(config.parse(section))
        asyncio.run(_run_and_stop(exporter))
        return exporter.registry


async def _run_and_stop(exporter: Standalone) -> None:
    running = asyncio.create_task(exporter.run())
    await asyncio.sleep(0)  # it has begun, and hears stop()
    for thread in threading.enumerate():
        if thread.name == "prices":  # it reads the price table while everything else starts
            await asyncio.to_thread(thread.join)
    exporter.stop()
    await running


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def unit_of(name: str) -> str:
    """Return the unit that a name ends in."""
    if name in UNITS_OF_NAMES:
        return UNITS_OF_NAMES[name]
    base = name.removesuffix("_total")
    return next((unit for ending, unit in UNITS.items() if base.endswith(f"_{ending}")), "")


def row_of(family: Family[Any]) -> Row:
    """Return the line of one family; its open labels stand in italics."""
    labels = ", ".join(f"*{name}*" if name in family.open_labels else name for name in family.labelnames)
    text = family.documentation
    if family.kind == "histogram":
        text += f" Bounds: {', '.join(f'{bound:g}' for bound in family.bounds)}."  # type: ignore[attr-defined]  # it is one
    return Row(family.name, family.kind, labels, text)


def table(rows: list[Row]) -> str:
    """Return the rows as a Markdown table."""
    lines = [("name", "type", "labels", "unit", "what it says"), ("---",) * 5, *(row.cells() for row in rows)]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def page() -> str:
    """Return the whole page."""
    parts = [
        "# Every metric\n",
        "Written by `scripts/metrics_reference.py` from what the instruments declare and from the contract"
        " (`appliance/topmast/metrics.yml`); a test fails when it is not up to date.\n",
        "Units are base units. A label in *italics* is open: beyond its family's admission (2,000 label sets, 20,000"
        " in all) it is counted as `_other`. Histograms have `_bucket{le}`, `_sum` and `_count`. Every sample has the"
        " labels of its target, too: `job`, `instance`, `environment`.\n",
    ]
    told: set[str] = set()
    for title, how, registry in registries():
        families = [family for family in registry.families() if family.name not in told]
        if title not in ("The instruments themselves", "Model calls, their cost, and the exporter"):
            families = [family for family in families if not family.name.startswith("exporter_")]
        told |= {family.name for family in families}
        parts += [f"## {title}\n", f"From {how}.\n", table([row_of(family) for family in families])]
    contract = metrics.load()
    scanned = {name: one for name, one in contract.families.items() if name.startswith("cache_") and name not in told}
    parts += ["## Caches, read from the server\n", "From the `redis` collector, a rolling scan of the keys.\n"]
    parts.append(table([of_the_contract(name, one) for name, one in scanned.items()]))
    parts += ["# Of servers\n", "Same names, labels and values as the field's own exporters have.\n"]
    for prefix, title in SERVERS.items():
        parts += [f"## {title}\n", table(list(of_a_server(contract, prefix)))]
    return "\n".join(parts)


def of_the_contract(name: str, metric: metrics.Metric) -> Row:
    """Return the line of a name that no registry declares beforehand."""
    labels = sorted((metric.labels or frozenset()) - metrics.TARGET_LABELS)
    return Row(name, metric.type, ", ".join(labels))


def of_a_server(contract: metrics.Metrics, prefix: str) -> Iterator[Row]:
    """Yield the lines of all names of one server."""
    families: Mapping[str, metrics.Metric] = contract.families
    yield from (of_the_contract(name, one) for name, one in families.items() if name.startswith(prefix))
    for one in contract.prefixes:
        if one.startswith(prefix) and prefix not in ("node_", "container_"):
            yield Row(f"{one}*", "", "", "as the server has them")


def main(arguments: list[str]) -> int:
    text = page()
    if arguments == ["--check"]:
        if PAGE.exists() and PAGE.read_text(encoding="utf-8") == text:
            return 0
        print(f"{PAGE}: not up to date; run .venv/bin/python scripts/metrics_reference.py", file=sys.stderr)
        return 1
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(text, encoding="utf-8")
    print(PAGE)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
