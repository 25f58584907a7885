"""What the page server is told: where the state lies, and whom it may ask."""

from dataclasses import dataclass
from pathlib import Path

from topmast.layout import LOOPBACK, Layout
from topmast.page.door import Door


@dataclass(frozen=True)
class Settings:
    """The page's surroundings as values; nothing here is read from the environment."""

    layout: Layout
    prometheus: str
    """Base URL of Prometheus, without a slash at its end."""
    alertmanager: str
    timeout_seconds: float = 20.0
    """How long an upstream may take before the page answers 504 in its place."""
    max_response_bytes: int = 16 * 1024 * 1024
    max_request_bytes: int = 1024 * 1024
    listen: tuple[str, int] | None = None
    """Where to listen, in a container; None is loopback, at the layout's port."""
    allowed_hosts: frozenset[str] = frozenset()
    """Host headers that are ours beside loopback's: what the page is called on a container network."""

    trace_url: str = ""
    """Where a tracing system shows a trace, `{trace_id}` in its place; empty without one."""
    door: Door | None = None
    """The second listener, for other machines."""

    @property
    def address(self) -> tuple[str, int]:
        return self.listen or (LOOPBACK, self.layout.port("page"))

    @property
    def hosts(self) -> frozenset[str]:
        """Host headers that are ours. Any other name that resolves here is DNS rebinding."""
        port = self.address[1]
        door = frozenset() if self.door is None else frozenset({f"{self.door.host}:{self.door.port}"})
        return frozenset(f"{name}:{port}" for name in (LOOPBACK, "localhost", "[::1]")) | self.allowed_hosts | door

    @property
    def dashboard_folders(self) -> tuple[Path, ...]:
        """Our dashboards, then the user's own; a user's file wins over ours of the same name."""
        return (self.layout.monitoring / "grafana" / "dashboards", self.layout.state / "dashboards")

    @property
    def runbooks(self) -> Path:
        return self.layout.home / "docs" / "runbooks"


def from_layout(layout: Layout) -> Settings:
    """Return the settings of embedded mode: every neighbour on loopback, at the layout's ports."""
    return Settings(layout, prometheus=layout.url("prometheus"), alertmanager=layout.url("alertmanager"))
