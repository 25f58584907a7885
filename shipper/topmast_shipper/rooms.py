"""The rooms inputs/, parsers/ and sinks/ as a registry: their modules are what there is."""

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

from topmast_shipper import inputs, parsers, sinks
from topmast_shipper.checkpoint import Checkpoint
from topmast_shipper.component import Kind, Parser, Written
from topmast_shipper.errors import ConfigError

_ROOMS: dict[str, tuple[ModuleType, str]] = {
    "inputs": (inputs, "INPUT"),
    "parsers": (parsers, "PARSER"),
    "sinks": (sinks, "SINK"),
}


class Left(Protocol):
    """What an input leaves open for the one of its name that follows it."""

    def close(self) -> None: ...


@dataclass(frozen=True)
class Setting:
    """What an input is told about where it works."""

    base: Path
    """The folder of the configuration."""
    data: Path
    checkpoint: Checkpoint
    sinks: tuple[str, ...]
    inputs: tuple[str, ...]
    lost: Callable[[str, int], None]
    """Told (reason, bytes) when unread data is gone."""
    clock: Callable[[], float]
    failed: Callable[[], None] = lambda: None
    """Told when a file cannot be read just now."""
    written: tuple[Written, ...] = ()
    """What this shipper writes itself."""
    left: dict[str, Left] = field(default_factory=dict)
    """By input: what outlives a reload. Who closes puts it there, who follows takes it, and the rest is closed."""


def names(room: str) -> list[str]:
    """Return the module names of a room, sorted; imports none of them."""
    return sorted(info.name for info in pkgutil.iter_modules(_ROOMS[room][0].__path__))


def kind(room: str, name: str) -> Kind[Any]:
    """Return what the module of that name ends in. Raises ConfigError when the room has no such module."""
    module, constant = _ROOMS[room]
    if name not in names(room):
        raise ConfigError(f"no {constant.lower()} {name!r}; there are {', '.join(names(room))}")
    found: Kind[Any] = getattr(importlib.import_module(f"{module.__name__}.{name}"), constant)
    return found


def entry(value: str | Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """Return name and options of `NAME` or `{NAME: options}`. Raises ConfigError for another shape."""
    if isinstance(value, str):
        return value, {}
    if len(value) == 1:
        ((name, options),) = value.items()
        if isinstance(options, Mapping) or options is None:
            return str(name), options or {}
    raise ConfigError("must be a name, or one name with its options: {name: {…}}")


def parser(value: str | Mapping[str, Any], where: str) -> Parser:
    """Return the parser that a configuration names."""
    try:
        name, options = entry(value)
        built: Parser = kind("parsers", name).build(options)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from error
    return built
