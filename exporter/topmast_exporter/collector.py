"""The contract of the room collectors/: one module a kind of server, ending in COLLECTOR.

A module reads in this order: `Config` (frozen dataclass, defaults inside), a pure `parse(...)`, `build(config)` with
the I/O, `COLLECTOR = Collector(...)`. The folder is the registry: the module's name is the key in topmast.yml, the
`module` of /probe and the `collector` label.
"""

import importlib
import os
import pkgutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from prometheus_client.core import Metric
from prometheus_client.samples import Sample

from topmast_exporter.errors import CollectError
from topmast_exporter.series import number

_NOT_SAID = Sample("", {}, 0.0)[3:]
"""Of a sample: timestamp, exemplar, and what later versions of the library add."""


class Reading:
    """The samples of one reading of a server, as metric families in order of first mention."""

    def __init__(self) -> None:
        self._families: dict[str, Metric] = {}
        self.refused: dict[str, tuple[str, str]] = {}
        """What the server did not let us read: (reason, message). Left out of this reading, never guessed."""

    def gauge(self, name: str, documentation: str, value: float | None, /, **labels: str) -> None:
        """Add a sample of a gauge; None is unknown, and unknown is absent."""
        self._add(name, name, "gauge", documentation, value, labels)

    def counter(self, name: str, documentation: str, value: float | None, /, **labels: str) -> None:
        """Add a sample of a counter under its community name, with or without `_total`."""
        self._add(name.removesuffix("_total"), name, "counter", documentation, value, labels)

    def gauges(self, name: str, documentation: str, samples: Iterable[tuple[float | None, dict[str, str]]]) -> None:
        """Add samples of one gauge: (value, labels)."""
        self._add_all(name, name, "gauge", documentation, samples)

    def counters(self, name: str, documentation: str, samples: Iterable[tuple[float | None, dict[str, str]]]) -> None:
        """Add samples of one counter: (value, labels)."""
        self._add_all(name.removesuffix("_total"), name, "counter", documentation, samples)

    def untyped(self, name: str, documentation: str, value: float | None, /, **labels: str) -> None:
        """Add a sample of which the community's exporter does not say what it is."""
        self._add(name, name, "unknown", documentation, value, labels)

    def summary(
        self,
        name: str,
        documentation: str,
        quantiles: Mapping[str, float],
        count: float | None,
        total: float | None,
        /,
        **labels: str,
    ) -> None:
        """Add the samples of a summary: a value for each quantile, the count and the sum."""
        for quantile, value in quantiles.items():
            self._add(name, name, "summary", documentation, value, {**labels, "quantile": quantile})
        self._add(name, f"{name}_count", "summary", documentation, count, labels)
        self._add(name, f"{name}_sum", "summary", documentation, total, labels)

    def histogram(
        self,
        name: str,
        documentation: str,
        buckets: Mapping[float, float],
        count: float,
        total: float | None,
        /,
        **labels: str,
    ) -> None:
        """Add the samples of a histogram: how many up to each upper bound, the count and the sum."""
        for bound, up_to in sorted(buckets.items()):
            self._add(name, f"{name}_bucket", "histogram", documentation, up_to, {**labels, "le": number(bound)})
        self._add(name, f"{name}_bucket", "histogram", documentation, count, {**labels, "le": "+Inf"})
        self._add(name, f"{name}_count", "histogram", documentation, count, labels)
        self._add(name, f"{name}_sum", "histogram", documentation, total, labels)

    def leave_out(self, what: str, message: str, reason: str = "permission") -> None:
        """Say that `what` (a fixed word) was refused, for one of CollectError.REASONS."""
        self.refused[what] = (reason, message)

    def include(self, metrics: Iterable[Metric]) -> None:
        """Add whole families that were read before and stand still; they are shared, not copied."""
        self._families.update({metric.name: metric for metric in metrics})

    def metrics(self) -> list[Metric]:
        return list(self._families.values())

    def value(self, name: str, /, **labels: str) -> float | None:
        """Return the value of one sample, None when there is none: for tests and for people at a prompt."""
        for metric in self._families.values():
            for sample in metric.samples:
                if sample.name == name and sample.labels == labels:
                    return float(sample.value)
        return None

    def _add(
        self, family: str, name: str, kind: str, documentation: str, value: float | None, labels: dict[str, str]
    ) -> None:
        self._add_all(family, name, kind, documentation, ((value, labels),))

    def _add_all(
        self,
        family: str,
        name: str,
        kind: str,
        documentation: str,
        samples: Iterable[tuple[float | None, dict[str, str]]],
    ) -> None:
        # as Metric.add_sample(…) does, in a third of the time: a reading has a thousand of them
        made = [
            tuple.__new__(Sample, (name, labels, value, *_NOT_SAID)) for value, labels in samples if value is not None
        ]
        if made:
            metric = self._families.get(family)
            if metric is None:
                metric = self._families[family] = Metric(family, documentation, kind)
            metric.samples += made


class Source(Protocol):
    """One server, as its collector reads it. Used by one thread at a time."""

    def collect(self) -> Reading:
        """Read the server within the configured timeout. Raises CollectError; keeps one connection at most."""

    def close(self) -> None:
        """Let go of the connection. Never raises, never waits."""


class TargetConfig(Protocol):
    """What the options of every collector have."""

    @property
    def target(self) -> str:
        """The NAME of /probe?module=KIND&target=NAME."""

    @property
    def interval_seconds(self) -> float:
        """From one refresh to the next."""

    @property
    def timeout_seconds(self) -> float:
        """The deadline of one refresh."""


@dataclass(frozen=True)
class Collector:
    """One module of collectors/."""

    name: str
    summary: str
    config: Callable[..., TargetConfig]
    """The Config class: called with the options, as the schema let them through."""
    properties: Mapping[str, Any]
    """The JSON Schema of each option but the common ones."""
    required: tuple[str, ...]
    build: Callable[[Any], Source]
    up: str
    """The name of the gauge that says whether the last refresh succeeded, e.g. redis_up."""
    up_documentation: str = field(default="")


# Every collector has these. `target` ends in a URL and a label: short and plain.
COMMON_PROPERTIES: Mapping[str, Any] = {
    "target": {"type": "string", "pattern": r"^[A-Za-z0-9._-]{1,64}$"},
    "interval_seconds": {"type": "number", "minimum": 1, "maximum": 3600},
    "timeout_seconds": {"type": "number", "minimum": 0.05, "maximum": 60},
}

MAX_SECRET_BYTES = 4096


def secret_properties(name: str) -> Mapping[str, Any]:
    """Return the options of a secret, which stands in a file or in the environment and never in topmast.yml."""
    return {
        f"{name}_file": {"type": "string"},
        f"{name}_env": {"type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]{0,127}$"},
    }


def schema(collector: Collector) -> dict[str, Any]:
    """Return the closed JSON Schema of a collector's options."""
    return {
        "type": "object",
        "additionalProperties": False,
        "required": ["target", *collector.required],
        "properties": {**COMMON_PROPERTIES, **collector.properties},
    }


def names() -> list[str]:
    """Return the kinds of server there is a module for, sorted. Imports none of them."""
    from topmast_exporter import collectors

    return sorted(info.name for info in pkgutil.iter_modules(collectors.__path__))


def load(name: str) -> Collector:
    """Return the COLLECTOR of the module `name`. Raises LookupError for a name that names() does not have."""
    if name not in names():
        raise LookupError(f"no collector {name!r}: there are {', '.join(names())}")
    collector = importlib.import_module(f"topmast_exporter.collectors.{name}").COLLECTOR
    if not isinstance(collector, Collector):
        raise LookupError(f"collectors/{name}.py does not end in a COLLECTOR")
    return collector


def secret(path: str, variable: str, environment: Mapping[str, str] = os.environ) -> str:
    """Return a secret from its file, else from the variable of the environment; "" when neither is named.

    Read for each connection: secrets change. Raises CollectError with the reason `authentication`.
    """
    if path:
        return read_secret(path)
    if variable and variable not in environment:
        raise CollectError(f"{variable}: no such variable in the environment", "authentication")
    return environment[variable] if variable else ""


def read_secret(path: str) -> str:
    """Return a secret from its file, without the line end. Read anew for each connection: secrets change.

    Raises CollectError with the reason `authentication` when the file cannot be read. The secret is in no message.
    """
    try:
        with Path(path).open(encoding="utf-8") as file:
            return file.read(MAX_SECRET_BYTES).rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise CollectError(f"{path}: the password file cannot be read: {error}", "authentication") from error
