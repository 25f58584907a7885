"""Find a Chromium for the browser tests and the pictures: on PATH, else from the distribution's packages."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from topmast.errors import PrerequisiteError
from topmast.layout import Layout

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chromium-headless-shell")


def find(_layout: Layout, say: Callable[[str], None]) -> Path:
    """Return the browser's program; as root it is installed with apt when the machine has none.

    Raises PrerequisiteError with the remedy.
    """
    named = os.environ.get("TOPMAST_CHROMIUM")
    if named:
        return Path(named)
    if (found := _on_path()) is not None:
        return found
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise PrerequisiteError("no Chromium on PATH (Debian: apt install chromium), or set TOPMAST_CHROMIUM")
    say("installing Chromium with apt for the browser tests")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for argv in (["apt-get", "-qq", "update"], ["apt-get", "-qq", "install", "--no-install-recommends", "chromium"]):
        done = subprocess.run(
            [*argv, "-y"], capture_output=True, text=True, env=environment, check=False, timeout=600
        )
        if done.returncode != 0 and "install" in argv:
            raise PrerequisiteError(f"apt could not install chromium: {done.stderr.strip()[-200:]}")
    if (found := _on_path()) is None:
        raise PrerequisiteError("apt installed chromium, yet there is none on PATH")
    return found


def _on_path() -> Path | None:
    return next((Path(path) for name in NAMES if (path := shutil.which(name))), None)
