"""The effective configuration: defaults, the demo's additions, topmast.yml; checked before anything starts.

`topmast.yml` is optional and may hold any part of it. The schema is closed: an unknown key is refused with the place
and what was expected. The sections `exporter` and `shipper` are described by their own distributions.
"""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
import topmast_exporter.config
import topmast_exporter.errors
import topmast_shipper.config
import topmast_shipper.errors
import topmast_shipper.startable
import yaml
from topmast_exporter import plain_yaml

from topmast import notification, targets
from topmast.errors import ConfigError
from topmast.layout import Layout
from topmast.size import LITE_RETENTION, size

_PORTION = {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}
_USD = {"type": "number", "minimum": 0}
_DURATION = {"type": "string", "pattern": "^([0-9]+(ms|s|m|h|d|w|y))+$"}


def _closed(properties: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": False, "properties": dict(properties), **more}


_BUDGET = {"day_usd": _USD, "month_usd": _USD}
SCHEMA: dict[str, Any] = _closed(
    {
        "environment": {"type": "string", "pattern": "^[a-z][a-z0-9_-]{0,31}$"},
        "public_url": {"type": "string", "pattern": "^https?://"},
        "slo": _closed({"availability": _PORTION, "latency_p95_seconds": {"type": "number", "exclusiveMinimum": 0}}),
        "budgets": _closed(
            {
                **_BUDGET,
                "timezone": {"type": "string"},
                "features": {"type": "object", "additionalProperties": _closed(_BUDGET)},
            }
        ),
        # Whatever a section must have, the defaults bring: a topmast.yml may hold any part of it.
        "exporter": {**topmast_exporter.config.SCHEMA, "required": []},
        "shipper": {**topmast_shipper.config.SCHEMA, "required": []},
        "alerts": {
            "type": "object",
            "additionalProperties": _closed(
                {"threshold": {"type": "number"}, "for": _DURATION, "enabled": {"type": "boolean"}}
            ),
        },
        "notify": notification.SCHEMA,
        "targets": targets.SCHEMA,
        "retention": _closed(
            {
                "metrics_days": {"type": "integer", "minimum": 1},
                "metrics_bytes": {"type": "integer", "minimum": 100_000_000},
                "logs_days": {"type": "integer", "minimum": 1},
                "logs_bytes": {"type": "integer", "minimum": 10_000_000},
            }
        ),
        "engines": {
            "type": "object",
            "additionalProperties": {
                "oneOf": [
                    _closed({"path": {"type": "string"}}, required=["path"]),
                    _closed(
                        {
                            "archive": {"type": "string", "pattern": "^https://"},
                            "sha256": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
                        },
                        required=["archive", "sha256"],
                    ),
                ]
            },
        },
        "page": _closed(
            {
                "listen": {"type": "string", "pattern": r"^((\[[0-9a-fA-F:]+\]|[^\s:]+):[0-9]{1,5})?$"},
                "web_config_file": {"type": "string"},
                "hosts": {"type": "array", "items": {"type": "string", "pattern": r"^[^\s/]+$"}, "maxItems": 20},
                "trace_url": {"type": "string", "pattern": r"^(https?://\S*\{trace_id\}\S*)?$"},
            }
        ),
    }
)


@dataclass(frozen=True)
class Settings:
    """The effective configuration and where each value came from (`$.slo.availability` -> `default`)."""

    values: Mapping[str, Any]
    origins: Mapping[str, str]


def defaults(layout: Layout) -> dict[str, Any]:
    """Return every key with the value it has when nobody says otherwise."""
    return {
        "environment": "production",
        "public_url": layout.url("page").replace("127.0.0.1", "localhost"),
        "slo": {"availability": 0.999, "latency_p95_seconds": 0.2},
        "budgets": {"day_usd": 0, "month_usd": 0, "timezone": "UTC", "features": {}},
        "exporter": {
            "listen": layout.address("exporter"),
            "data": str(layout.data / "exporter"),
            "dependencies": [],
            "ingest": {"listen": layout.address("ingest"), "token_file": ""},
            "prices": {"overrides": {}},
            "collectors": [],
        },
        "shipper": {
            "listen": layout.address("shipper"),
            "data": str(layout.data / "shipper"),
            # What `topmast verify` writes, to see that a line is found.
            "inputs": [
                {
                    "file": {
                        "name": "verify",
                        "paths": [str(layout.data / "verify" / "*.log")],
                        "parser": "json_lines",
                        "service": "topmast",
                    }
                },
                {"spool": {"name": "stdin", "path": str(layout.spool)}},
            ],
            "sinks": [],
        },
        "alerts": {},
        "notify": {},
        "targets": {},
        "retention": {
            "metrics_days": 30,
            "metrics_bytes": 5 * 1024**3,
            "logs_days": 7,
            "logs_bytes": 2 * 1024**3,
            **(LITE_RETENTION if size(layout) == "lite" else {}),
        },
        "engines": {},
        "page": {"listen": "", "web_config_file": "", "hosts": [], "trace_url": ""},
    }


def read(path: Path) -> dict[str, Any]:
    """Return what a topmast.yml says, checked against the schema. Raises ConfigError `FILE: $.path: what`."""
    try:
        value = plain_yaml.load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = "" if mark is None else f":{mark.line + 1}:{mark.column + 1}"
        raise ConfigError(f"{path}{line}: not YAML: {getattr(error, 'problem', error)}") from error
    if value is None:
        return {}
    check(value, str(path))
    assert isinstance(value, dict)  # noqa: S101 - the schema says so
    return value


def check(value: Any, where: str) -> None:
    """Raise ConfigError for the first thing in `value` that the schema refuses, deepest first, or the exporter."""
    error = jsonschema.exceptions.best_match(jsonschema.Draft202012Validator(SCHEMA).iter_errors(value))
    if error is not None:
        told = error.message if len(error.message) <= 200 else error.message[:197] + "…"
        # What stands in the wrong place there may be a secret: it is not repeated.
        if error.json_path.startswith("$.notify.") and error.validator in ("type", "pattern", "minLength"):
            told = f"{error.validator} must be {error.validator_value}"
        raise ConfigError(f"{where}: {error.json_path}: {told}")
    # What no schema says (a name that stands twice, a timeout beyond its interval): the exporter would end over it.
    try:
        topmast_exporter.config.parse(
            value.get("exporter", {}),
            budget_section=value.get("budgets", {}),
            environment=value.get("environment", "production"),
        )
    except topmast_exporter.errors.ConfigError as refused:
        raise ConfigError(f"{where}: {refused}") from refused


def ask_the_shipper(values: Mapping[str, Any], where: str) -> None:
    """Raise ConfigError for what the shipper would end over. Where it runs: a parser may read files there."""
    try:
        topmast_shipper.startable.ask(topmast_shipper.config.parse(values["shipper"]))
    except topmast_shipper.errors.ConfigError as refused:
        raise ConfigError(f"{where}: {refused}") from refused


def with_absolute_paths(values: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Return a configuration with the shipper's relative paths taken from a folder: that of its file."""
    return {**values, "shipper": topmast_shipper.config.with_absolute_paths(values["shipper"], folder)}


def load(path: Path | None, layout: Layout, extra: Mapping[str, Any] | None = None) -> Settings:
    """Return the effective configuration: defaults, then `extra` (the demo's), then the file, which wins."""
    values = defaults(layout)
    origins = dict.fromkeys(_paths(values), "default")
    for origin, layer in (("demo", extra or {}), (str(path), read(path) if path else {})):
        merge(values, layer)
        origins.update(dict.fromkeys(_paths(layer), origin))
    if not values["shipper"]["sinks"]:
        retention = values["retention"]
        store = {"path": str(layout.log_store), "retention_days": retention["logs_days"]}
        values["shipper"]["sinks"] = [{"sqlite": {**store, "max_bytes": retention["logs_bytes"]}}]
    check(values, str(path or "defaults"))
    return Settings(values=values, origins={key: origins.get(key, "default") for key in _paths(values)})


def merge(into: dict[str, Any], layer: Mapping[str, Any]) -> None:
    """Lay `layer` over `into`: mappings key by key, lists one after the other, the rest replaced."""
    for key, value in layer.items():
        if isinstance(value, Mapping) and isinstance(into.get(key), dict):
            merge(into[key], value)
        elif isinstance(value, list) and isinstance(into.get(key), list):
            into[key] = [*into[key], *deepcopy(value)]
        else:
            into[key] = deepcopy(value)


def _paths(value: Mapping[str, Any], at: str = "$") -> Iterator[str]:
    """Yield the path of every leaf (an empty mapping and a list are leaves)."""
    for key, each in value.items():
        if isinstance(each, Mapping) and each:
            yield from _paths(each, f"{at}.{key}")
        else:
            yield f"{at}.{key}"
