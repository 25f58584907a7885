"""The section `exporter` of topmast.yml (and `budgets`, `environment` beside it): schema, parsing, errors.

Errors read `FILE: $.json.path: what is wrong` and never repeat a value: it may be a secret.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from topmast_exporter import budgets, collector, plain_yaml
from topmast_exporter.budgets import BudgetConfig
from topmast_exporter.collector import Collector, TargetConfig
from topmast_exporter.errors import ConfigError
from topmast_exporter.pricing import overrides

MAX_FILE_BYTES = 4 * 2**20
MAX_TARGETS = 100

# What the absence alerts know of; any of them may be declared.
DEPENDENCIES = ("app", "redis", "postgresql", "mysql", "elasticsearch", "logstash", "kibana", "cadvisor")


@dataclass(frozen=True)
class Address:
    """Where to listen."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True)
class ExporterConfig:
    """Everything the standalone exporter needs to know."""

    listen: Address = Address("127.0.0.1", 9470)
    data: Path = Path("topmast-exporter")
    environment: str = "production"
    dependencies: tuple[str, ...] = ()
    ingest: Address = Address("127.0.0.1", 4318)
    token_file: str = ""
    """Holds the bearer token of the scrapes."""
    web_config_file: str = ""
    """TLS, passwords and headers of the scrapes, as exporter-toolkit has them."""
    private_network: bool = False
    """Beyond loopback without TLS and password all the same: nobody else is in that network (compose's own)."""
    ingest_token_file: str = ""
    ingest_web_config_file: str = ""
    workers_socket: str | None = None
    """Where workers hand over what they counted; None is the place they look at by default, "" is nowhere."""
    price_overrides: Mapping[str, Any] = field(default_factory=dict)
    second_prices: str = ""
    """The file of the second price table; "" is the one that comes along."""
    models: tuple[tuple[str, str], ...] = ()
    """(provider, model) that are shown at 0 before their first request."""
    collectors: tuple[tuple[Collector, TargetConfig], ...] = ()
    budgets: BudgetConfig = field(default_factory=BudgetConfig)


_ADDRESS = {"type": "string", "pattern": r"^(\[[0-9a-fA-F:]+\]|[A-Za-z0-9._-]+):[0-9]{1,5}$"}
_MODEL = r"^[^/\s]{1,64}/\S{1,256}$"


@cache
def schema() -> dict[str, Any]:
    """Return the closed JSON Schema of the section `exporter`, assembled from the room collectors/."""
    kinds = {name: collector.schema(collector.load(name)) for name in collector.names()}
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "listen": _ADDRESS,
            "token_file": {"type": "string"},
            "web_config_file": {"type": "string"},
            "private_network": {"type": "boolean"},
            "data": {"type": "string", "minLength": 1},
            "dependencies": {"type": "array", "items": {"enum": list(DEPENDENCIES)}, "uniqueItems": True},
            "ingest": {
                "type": "object",
                "additionalProperties": False,
                "properties": {
                    "listen": _ADDRESS,
                    "token_file": {"type": "string"},
                    "web_config_file": {"type": "string"},
                },
            },
            "workers": {
                "type": "object",
                "additionalProperties": False,
                # sun_path of a Unix socket has 108 bytes, the last one a null
                "properties": {"socket": {"type": "string", "maxLength": 107}},
            },
            "prices": {
                "type": "object",
                "additionalProperties": False,
                "properties": {
                    "overrides": {
                        "type": "object",
                        "propertyNames": {"pattern": _MODEL},
                        "additionalProperties": dict(overrides.SCHEMA),
                    },
                    "second": {"type": "string", "minLength": 1},
                    "models": {"type": "array", "items": {"type": "string", "pattern": _MODEL}, "maxItems": 200},
                },
            },
            "collectors": {
                "type": "array",
                "maxItems": MAX_TARGETS,
                "items": {
                    "type": "object",
                    "minProperties": 1,
                    "maxProperties": 1,
                    "additionalProperties": False,
                    "properties": kinds,
                },
            },
        },
    }


def __getattr__(name: str) -> Any:
    """Give SCHEMA when it is asked for: importing this module loads no collector."""
    if name == "SCHEMA":
        return schema()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def load(path: str | Path) -> ExporterConfig:
    """Return the configuration of a file. Raises ConfigError: `FILE: $.path: what is wrong`."""
    import yaml

    file = Path(path)
    try:
        with file.open(encoding="utf-8") as opened:
            text = opened.read(MAX_FILE_BYTES + 1)
        if len(text) > MAX_FILE_BYTES:
            raise ConfigError(f"{path}: larger than {MAX_FILE_BYTES} characters")
        document = plain_yaml.load(text)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error
    except yaml.MarkedYAMLError as error:
        where = "" if error.problem_mark is None else f"line {error.problem_mark.line + 1}: "
        raise ConfigError(f"{path}: {where}not YAML: {error.problem}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not YAML") from error
    document = {} if document is None else document
    if not isinstance(document, Mapping):
        raise ConfigError(f"{path}: $: must be an object")
    try:
        return parse(
            document.get("exporter") or {},
            budget_section=document.get("budgets") or {},
            environment=document.get("environment", "production"),
        )
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error


def parse(
    section: Mapping[str, Any],
    where: str = "$.exporter",
    budget_section: Mapping[str, Any] | None = None,
    environment: str = "production",
) -> ExporterConfig:
    """Return the configuration of the section. Raises ConfigError: `$.path: what is wrong`."""
    validate(section, schema(), where)
    validate(budget_section or {}, budgets.SCHEMA, "$.budgets")
    validate(environment, {"type": "string", "minLength": 1, "maxLength": 64}, "$.environment")
    defaults = ExporterConfig()
    ingest, prices = section.get("ingest", {}), section.get("prices", {})
    own = prices.get("overrides", {})
    wrong = list(overrides.problems(own, f"{where}.prices.overrides"))
    if wrong:
        raise ConfigError("; ".join(wrong))
    listed = [*prices.get("models", ()), *own]
    return ExporterConfig(
        listen=_address(section, "listen", where, defaults.listen),
        data=Path(section.get("data", defaults.data)),
        environment=environment,
        dependencies=tuple(section.get("dependencies", ())),
        ingest=_address(ingest, "listen", f"{where}.ingest", defaults.ingest),
        token_file=section.get("token_file", ""),
        web_config_file=section.get("web_config_file", ""),
        private_network=section.get("private_network", False),
        ingest_token_file=ingest.get("token_file", ""),
        ingest_web_config_file=ingest.get("web_config_file", ""),
        workers_socket=section.get("workers", {}).get("socket"),
        price_overrides=own,
        second_prices=prices.get("second", ""),
        models=tuple(dict.fromkeys((one.partition("/")[0].lower(), one.partition("/")[2]) for one in listed)),
        collectors=_collectors(section.get("collectors", ()), f"{where}.collectors"),
        budgets=budgets.parse(budget_section or {}),
    )


def _collectors(items: Any, where: str) -> tuple[tuple[Collector, TargetConfig], ...]:
    found: dict[tuple[str, str], tuple[Collector, TargetConfig]] = {}
    for place, item in enumerate(items):
        ((kind, options),) = item.items()
        kept = collector.load(kind)
        config = kept.config(**options)
        if (kind, config.target) in found:
            raise ConfigError(f"{where}[{place}].{kind}.target: another {kind} has this name: {config.target!r}")
        if config.timeout_seconds > config.interval_seconds:
            raise ConfigError(f"{where}[{place}].{kind}.timeout_seconds: longer than the interval")
        found[kind, config.target] = (kept, config)
    return tuple(found.values())


def _address(section: Mapping[str, Any], key: str, where: str, default: Address) -> Address:
    text = section.get(key)
    if text is None:
        return default
    host, _, port = str(text).rpartition(":")
    if not 0 < int(port) < 65_536:
        raise ConfigError(f"{where}.{key}: a port is 1 to 65535")
    return Address(host.strip("[]"), int(port))


def validate(value: object, wanted: Mapping[str, Any], where: str) -> None:
    """Check a value against a JSON Schema. Raises ConfigError: `$.path: what is wrong`, without the value."""
    from jsonschema import Draft202012Validator

    errors = sorted(Draft202012Validator(wanted).iter_errors(value), key=lambda error: list(map(str, error.path)))
    if errors:
        error = errors[0]
        path = where + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error.path)
        raise ConfigError(f"{path}: {_what(error)}")


def _what(error: Any) -> str:
    """Return what is wrong, without the value."""
    rule, wanted = error.validator, error.validator_value
    if rule == "additionalProperties":
        unknown = sorted(set(error.instance) - set(error.schema.get("properties", {})))
        return f"no such option: {str(unknown[0])[:64]!r}"
    if rule == "required":
        missing = [name for name in wanted if name not in error.instance]
        return f"{missing[0]!r} is missing"
    if rule == "type":
        kinds = [wanted] if isinstance(wanted, str) else wanted
        return f"must be {'an' if kinds[0][0] in 'aeio' else 'a'} {' or '.join(kinds)}"
    if rule == "pattern":
        return f"must look like {wanted}"
    if rule == "enum":
        return f"must be one of {', '.join(map(str, wanted))}"
    if rule == "anyOf":
        return "fits none of the shapes that are allowed here"
    return f"{rule} is {wanted!r}"
