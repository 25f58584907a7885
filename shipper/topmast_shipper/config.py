"""The `shipper` section of topmast.yml: its schema, assembled from the rooms, and its values."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from topmast_shipper import rooms, schema_errors, strict_yaml
from topmast_shipper.errors import ConfigError
from topmast_shipper.placing import PATH, placed

# What topmast.yml needs is a hundredth and a tenth of it.
_MAX_BYTES = 4 << 20
_MAX_DEPTH = 100


def _component(room: str) -> dict[str, Any]:
    """Return the schema of `{name: options}` for what a room has."""
    return {
        "type": "object",
        "minProperties": 1,
        "maxProperties": 1,
        "additionalProperties": False,
        "properties": {name: rooms.kind(room, name).schema for name in rooms.names(room)},
    }


def schema() -> dict[str, Any]:
    """Return the JSON Schema of the section; imports every module of inputs/ and sinks/."""
    return {
        "type": "object",
        "additionalProperties": False,
        "required": ["data"],
        "properties": {
            "listen": {"type": "string", "pattern": "^(|[^:]*:[0-9]{1,5}|\\[[0-9a-fA-F:]+\\]:[0-9]{1,5})$"},
            "data": PATH,
            "inputs": {"type": "array", "items": _component("inputs")},
            "sinks": {"type": "array", "items": _component("sinks")},
        },
    }


def __getattr__(name: str) -> Any:
    """`SCHEMA` is assembled when it is asked for: the import of this module imports no room."""
    if name == "SCHEMA":
        return schema()
    raise AttributeError(name)


@dataclass(frozen=True)
class Component:
    """One entry of a list: the module's name, the name of this one, its options."""

    kind: str
    name: str
    options: Mapping[str, Any]


@dataclass(frozen=True)
class ShipperConfig:
    """What to read, where to send it, where to remember how far."""

    data: Path
    base: Path
    """The configuration's folder. All paths are absolute: relative ones began there."""
    listen: str = "127.0.0.1:9471"
    """Where /metrics answers; empty for nowhere."""
    inputs: tuple[Component, ...] = ()
    sinks: tuple[Component, ...] = ()


def load(path: Path, *, checked: bool = False) -> ShipperConfig:
    """Return the `shipper` section of a YAML file. Raises ConfigError: `FILE: $.json.path: what is wrong`.

    A file that is `checked` has been loaded before, and is not held against the schema again.
    """
    try:
        data = _bounded(path)
        if not checked:
            _refuse_depth(data)
        whole = strict_yaml.load(data)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: {' '.join(str(error).split())}") from error
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error
    if not isinstance(whole, Mapping) or not isinstance(whole.get("shipper"), Mapping):
        raise ConfigError(f"{path}: $.shipper: must be an object")
    try:
        section, folder = whole["shipper"], path.resolve().parent
        return _values(section, "$.shipper", folder) if checked else parse(section, base=folder)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error


def _bounded(path: Path) -> bytes:
    with path.open("rb") as file:
        data = file.read(_MAX_BYTES + 1)
    if len(data) > _MAX_BYTES:
        raise ConfigError(f"more than {_MAX_BYTES} bytes")
    return data


def _refuse_depth(data: bytes) -> None:
    """Raise ConfigError before values are made, which goes down into them and has no bound of its own."""
    depth = 0
    for event in yaml.parse(data, Loader=strict_yaml.LOADER):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > _MAX_DEPTH:
                raise ConfigError(f"more than {_MAX_DEPTH} levels deep")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def parse(section: Mapping[str, Any], where: str = "$.shipper", base: Path | None = None) -> ShipperConfig:
    """Return the section as values. Raises ConfigError: `$.json.path: what is wrong`."""
    if wrong := schema_errors.first(schema(), section):
        raise ConfigError(f"{where}{wrong}")
    config = _values(section, where, base or Path.cwd())
    for number, each in enumerate(config.inputs):
        chosen = each.options.get("parser")
        if chosen is not None:
            _check_parser(chosen, f"{where}.inputs[{number}].{each.kind}.parser")
    return config


def with_absolute_paths(section: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Return a section that fits the schema with its relative paths taken from a folder."""
    found = {**section, "data": placed(section["data"], PATH, folder)}
    for room in ("inputs", "sinks"):
        found[room] = [_placed(room, each, folder) for each in section.get(room, [])]
    return found


def _placed(room: str, entry: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Return `{name: options}`; the module of that name says which options are paths."""
    found = {}
    for name, options in entry.items():
        known = name in rooms.names(room)  # a parser that is not there is refused later
        found[name] = placed(options, rooms.kind(room, name).schema, folder) if known else options
        if isinstance(options, Mapping) and isinstance(options.get("parser"), Mapping):
            found[name]["parser"] = _placed("parsers", options["parser"], folder)
    return found


def _values(section: Mapping[str, Any], where: str, folder: Path) -> ShipperConfig:
    section = with_absolute_paths(section, folder)
    return ShipperConfig(
        data=Path(section["data"]),
        base=folder,
        listen=section.get("listen", "127.0.0.1:9471"),
        inputs=_components(section["inputs"], f"{where}.inputs"),
        sinks=_components(section["sinks"], f"{where}.sinks"),
    )


def _check_parser(value: str | Mapping[str, Any], where: str) -> None:
    """Refuse a parser that is not there, whose options do not fit, or that cannot be built."""
    try:
        name, options = rooms.entry(value)
        kind = rooms.kind("parsers", name)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from error
    if wrong := schema_errors.first(kind.schema, options):
        raise ConfigError(f"{where}.{name}{wrong}")
    try:
        kind.build(options)
    except ConfigError as error:
        raise ConfigError(f"{where}.{name}: {error}") from error


def _components(entries: list[Mapping[str, Any]], where: str) -> tuple[Component, ...]:
    """Return the entries with their names: `name`, else the kind's; each name once."""
    components: list[Component] = []
    taken: set[str] = set()
    for number, entry in enumerate(entries):
        ((kind, options),) = entry.items()
        name = str(options.get("name", kind))
        if name in taken:
            raise ConfigError(f"{where}[{number}].{kind}.name: {name!r} is taken")
        taken.add(name)
        components.append(Component(kind, name, options))
    return tuple(components)
