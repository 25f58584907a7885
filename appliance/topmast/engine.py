"""The contract of the room engines/: one module a thing that the supervisor keeps."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from topmast.component import Component
from topmast.layout import Layout


@dataclass(frozen=True)
class Setup:
    """What an engine may look at while it prepares its component."""

    layout: Layout
    settings: Mapping[str, Any]
    """The effective configuration (config.py): every key present."""
    demo: bool
    real_clocks: bool
    say: Callable[[str], None]
    """Tells a person what is going on, one short line."""


@dataclass(frozen=True)
class Engine:
    """One module of engines/. `ENGINE.name` is the component's name; the module has it with `_` for `-`."""

    name: str
    summary: str
    component: Callable[[Setup], Component]
    """Find or unpack the binary, make the folders, render what it reads; return what to keep running.
    Raises PrerequisiteError with the remedy. Idempotent; needs no network the second time."""
    demo: bool = False
    """Only started with `--demo`."""
    job: str = ""
    """Only started when the configuration has a target of this job."""


def wanted(engine: Engine, setup: Setup) -> bool:
    if engine.job and not setup.settings["targets"].get(engine.job):
        return False
    return setup.demo or not engine.demo
