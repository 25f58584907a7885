"""What real exporters really said: for each version a small file with what rules and panels read of it.

tests/monitoring/expositions/EXPORTER-VERSION.prom, recorded by `topmast prove metrics --record` from a running one.
Of each selector a few series are kept, so that a file reads like a page, and nothing that tells of a machine.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import requests
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from topmast.errors import TopmastError
from topmast.selectors import Selector, picking

FOLDER = "tests/monitoring/expositions"
SERIES_KEPT = 2
"""Of each selector. Two, so that a join sees more than one series."""
_SECONDS = 10.0
# Numbers, states, models, addresses; no path, no id, no kernel.
_WORD = re.compile(r"^[\w.:+| -]{0,24}$")
_TYPE = re.compile(r"^# TYPE (\S+) (\w+)$", re.MULTILINE)
_NAME = re.compile(r"^(?P<exporter>[a-z_]+)-(?P<version>[0-9][0-9A-Za-z.]*)$")


@dataclass(frozen=True)
class Source:
    """An exporter: the job that scrapes it, and which metrics it is there for."""

    exporter: str
    job: str
    prefixes: tuple[str, ...]


# The names before the dash of the files. Ours are recorded from the demo, whose application is the reference.
SOURCES = {
    source.exporter: source
    for source in (
        Source("prometheus", "prometheus", ("prometheus_",)),
        Source("alertmanager", "alertmanager", ("alertmanager_",)),
        Source("node_exporter", "node", ("node_",)),
        Source("redis_exporter", "redis", ("redis_",)),
        Source("postgres_exporter", "postgres", ("pg_",)),
        Source("mysqld_exporter", "mysql", ("mysql_",)),
        Source("elasticsearch_exporter", "elasticsearch", ("elasticsearch_",)),
        Source("topmast_exporter", "exporter", ("exporter_", "llm_", "app_dependency_")),
        Source(
            "topmast_redis",
            "redis",
            ("redis_", "cache_keys", "cache_memory_", "cache_avg_", "cache_namespace_"),
        ),
        Source("topmast_postgres", "postgres", ("pg_",)),
        Source("topmast_mysql", "mysql", ("mysql_",)),
        Source("topmast_shipper", "shipper", ("shipper_", "log_")),
        Source("topmast_agents", "app", ("agent_",)),
        Source("topmast_app", "app", ("app_http_", "app_event_", "app_start_", "cache_requests_", "db_")),
    )
}


@dataclass(frozen=True)
class Exposition:
    """One exporter's answer to a scrape, as Prometheus would store it."""

    name: str
    """`redis_exporter-1.45.0`."""
    source: Source
    text: str

    @cached_property
    def series(self) -> list[tuple[str, dict[str, str]]]:
        """Every sample's name and labels, with those of its target."""
        target = {"job": self.source.job, "instance": f"{self.source.exporter}:1", "environment": "production"}
        return [(sample.name, {**target, **sample.labels}) for sample in samples(self.text)]

    def has(self, selector: Selector) -> bool:
        return any(selector.picks(*each) for each in self.series)

    def asked(self, selectors: Iterable[Selector]) -> list[Selector]:
        """Return the selectors that this exporter is there to answer."""
        return picking(selectors, self.source.prefixes)


def load(home: Path) -> list[Exposition]:
    """Return the recorded expositions, sorted by name. Raises TopmastError for a file that is none."""
    return [read(path.stem, path.read_text(encoding="utf-8")) for path in sorted((home / FOLDER).glob("*.prom"))]


def read(name: str, text: str) -> Exposition:
    """Return an exposition by its name. Raises TopmastError when nobody exports by that name."""
    matched = _NAME.match(name)
    if matched is None or matched["exporter"] not in SOURCES:
        raise TopmastError(f"{name}: not EXPORTER-VERSION with an exporter of {', '.join(sorted(SOURCES))}")
    return Exposition(name, SOURCES[matched["exporter"]], text)


def record(home: Path, name: str, url: str, selectors: Sequence[Selector]) -> Path:
    """Scrape `url` and keep what the selectors read of it; return the file. Raises TopmastError."""
    try:
        answer = requests.get(url, timeout=_SECONDS, headers={"Accept": "text/plain;version=0.0.4"})
        answer.raise_for_status()
    except requests.RequestException as error:
        raise TopmastError(f"{url}: {error}") from error
    whole = read(name, answer.text)
    path = home / FOLDER / f"{name}.prom"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(cut(whole, whole.asked(selectors)), encoding="utf-8")
    return path


def cut(whole: Exposition, selectors: Sequence[Selector]) -> str:
    """Return the exposition with the first series of each selector only, in its own order, and their TYPE lines."""
    kept: set[int] = set()
    for selector in selectors:
        found = [place for place, each in enumerate(whole.series) if selector.picks(*each)]
        kept.update(found[:SERIES_KEPT])
    matched = {(selector.name, label) for selector in selectors for label, _, _ in selector.matchers}
    types = dict(_TYPE.findall(whole.text))
    lines: dict[str, None] = {}
    for place, sample in enumerate(samples(whole.text)):
        if place in kept:
            family = next((name for name in _families(sample.name) if name in types), sample.name)
            lines[f"# TYPE {family} {types.get(family, 'untyped')}"] = None
            labels = ",".join(
                f'{key}="{_shown(value, (sample.name, key) in matched)}"' for key, value in sample.labels.items()
            )
            lines[f"{sample.name}{{{labels}}} {sample.value:.12g}".replace("{}", "")] = None
    return "".join(line + "\n" for line in lines)


def samples(text: str) -> Iterator[Sample]:
    """Yield the samples by the names that they are exposed with.

    The parser appends `_total` to a counter's name that has none, as OpenMetrics wants it; Prometheus does not.
    """
    for family in text_string_to_metric_families(_TYPE.sub(r"# TYPE \1 untyped", text)):
        yield from family.samples


def _families(name: str) -> list[str]:
    return [name, *(name.removesuffix(part) for part in ("_bucket", "_sum", "_count") if name.endswith(part))]


def _shown(value: str, matched: bool) -> str:
    """Return a label's value; one that nothing matches on and that may tell of the machine is `…`."""
    return _escaped(value) if matched or _WORD.match(value) else "…"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
