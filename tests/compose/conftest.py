"""The compose files as Docker Compose itself reads them."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
# The real Compose v5 from its wheel; `config` needs no engine.
COMPOSE = Path(sys.executable).with_name("docker-compose")


def config(*files: str, environment: dict[str, str] | None = None, options: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return what Compose makes of the files, with nothing set that a user would have to set."""
    argv = [str(COMPOSE), *(word for file in files for word in ("-f", str(ROOT / file))), *options]
    clean = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **(environment or {})}
    done = subprocess.run(
        [*argv, "config", "--format", "json"], cwd=ROOT, env=clean, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == "", "Compose warns"
    result: dict[str, Any] = json.loads(done.stdout)
    return result


@pytest.fixture(scope="session")
def compose() -> Callable[..., dict[str, Any]]:
    return config


@pytest.fixture(scope="session")
def stack() -> dict[str, Any]:
    """The full stack on a clean clone."""
    return config("docker-compose.monitoring.yml")
