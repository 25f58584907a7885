"""What the supervisor keeps alive, as a value. Standard library only: the supervisor imports this."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Component:
    """One child process of the appliance."""

    name: str
    """`prometheus`, `exporter`, `demo-app`, …: the same everywhere (status, log file, documentation)."""
    argv: tuple[str, ...]
    ready: str
    """Polled until it answers: `http://…` (status 200), `tcp://HOST:PORT` (a connection), `unix://PATH`,
    or `file://PATH` (it exists and is newer than the process)."""
    version: str = ""
    address: str = ""
    """HOST:PORT it serves, for people; empty if it serves nothing."""
    cwd: str = ""
    env: Mapping[str, str] = field(default_factory=dict)
    """Added to the supervisor's own environment."""
    needs: tuple[str, ...] = ()
    """Names of components that must be ready before this one starts."""
    stop_signal: str = "SIGTERM"
    stop_seconds: float = 10.0
    """After the stop signal, this long until SIGKILL."""
    ready_seconds: float = 60.0
    """A child that is not ready by then is killed and started again, with back-off."""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Component":
        listed = dict(value)
        listed["argv"] = tuple(listed["argv"])
        listed["needs"] = tuple(listed["needs"])
        return cls(**listed)
