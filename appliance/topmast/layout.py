"""Where things are: the source tree, the state folder, and the port of every component."""

import os
from dataclasses import dataclass
from pathlib import Path

from topmast.errors import ConfigError

LOOPBACK = "127.0.0.1"

# One place for every port; `--port-offset N` moves all of them.
PORTS = {
    "page": 3001,
    "inbox-smtp": 3025,
    "ingest": 4318,
    "prometheus": 9090,
    "alertmanager": 9093,
    "node_exporter": 9100,
    "blackbox_exporter": 9115,
    "exporter": 9470,
    "shipper": 9471,
    "demo-app": 18000,
    "demo-model": 18010,
    "demo-postgres": 15432,
    "demo-redis": 16379,
}


@dataclass(frozen=True)
class Layout:
    """The folders and ports of one appliance. Two of them run side by side with two states and two offsets."""

    home: Path
    """The source tree (or the wheel's data): holds monitoring/, docs/ and examples/."""
    state: Path
    """Everything that a run writes."""
    port_offset: int = 0

    @property
    def monitoring(self) -> Path:
        return self.home / "monitoring"

    @property
    def engines(self) -> Path:
        return self.state / "engines"

    @property
    def rendered(self) -> Path:
        return self.state / "rendered"

    @property
    def data(self) -> Path:
        return self.state / "data"

    @property
    def run(self) -> Path:
        """The supervisor's lock, plan and status."""
        return self.state / "run"

    @property
    def logs(self) -> Path:
        """The components' own output, one file each."""
        return self.state / "logs"

    @property
    def log_store(self) -> Path:
        """The embedded log store: one SQLite file an event day."""
        return self.data / "logs"

    @property
    def spool(self) -> Path:
        """What `topmast ship --stdin` takes in, until the shipper has stored it."""
        return self.data / "spool"

    @property
    def inbox(self) -> Path:
        """One JSON line a notification that no real channel received."""
        return self.data / "inbox.ndjson"

    def port(self, component: str) -> int:
        return PORTS[component] + self.port_offset

    def address(self, component: str) -> str:
        return f"{LOOPBACK}:{self.port(component)}"

    def url(self, component: str) -> str:
        return f"http://{self.address(component)}"


def find_home() -> Path:
    """Return the folder that holds monitoring/: the clone's root, or the installed package."""
    named = os.environ.get("TOPMAST_HOME")
    if named:
        return Path(named).resolve()
    package = Path(__file__).resolve().parent
    return package if (package / "monitoring").is_dir() else package.parents[1]


def find_state(named: str | None, home: Path) -> Path:
    """Return the state folder: `--state`, else TOPMAST_STATE, else `.topmast` beside the clone or here."""
    chosen = named or os.environ.get("TOPMAST_STATE")
    if chosen:
        return Path(chosen).resolve()
    return (home if (home / "topmast").is_file() else Path.cwd()) / ".topmast"


def find_config(named: str | None, home: Path) -> Path | None:
    """Return the topmast.yml to read: `--config` (must exist), else the one here, else the clone's; None is fine."""
    if named:
        if not Path(named).is_file():
            raise ConfigError(f"{named}: no such file")
        return Path(named).resolve()
    return next((path.resolve() for path in (Path("topmast.yml"), home / "topmast.yml") if path.is_file()), None)
