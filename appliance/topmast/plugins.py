"""The one law of every plug-in room: a module per thing, ending in one constant; the folder is the registry."""

import importlib
import pkgutil
from types import ModuleType
from typing import Any


def names(room: ModuleType) -> list[str]:
    """Return the module names in a room, sorted. Imports nothing."""
    return sorted(info.name for info in pkgutil.iter_modules(room.__path__))


def load(room: ModuleType, name: str, constant: str) -> Any:
    """Return the constant that the room's module `name` ends in, e.g. load(engines, "prometheus", "ENGINE")."""
    return getattr(importlib.import_module(f"{room.__name__}.{name}"), constant)


def load_all(room: ModuleType, constant: str) -> list[Any]:
    """Return every module's constant, in order of module name."""
    return [load(room, name, constant) for name in names(room)]
