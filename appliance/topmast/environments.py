"""Python environments beside our own, for packages that must not stand in it: each is made once."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from topmast.errors import PrerequisiteError

_LIST = "packages.txt"
"""Written last: an environment without it is half of one."""
_PATIENCE_SECONDS = 900


def made(folder: Path, packages: Sequence[str], say: Callable[[str], None]) -> Path:
    """Return the interpreter of the environment that has these packages, made anew where it was made for others.

    Raises PrerequisiteError with the words of what refused.
    """
    python, told, wanted = folder / "bin" / "python", folder / _LIST, "\n".join(packages)
    if told.is_file() and told.read_text() == wanted:
        return python
    say(f"installing {', '.join(packages)} into an environment of its own, once")
    shutil.rmtree(folder, ignore_errors=True)
    # Debian keeps what puts a pip into an environment in a package of its own: ours installs into it from here.
    _run(packages, sys.executable, "-m", "venv", "--without-pip", str(folder))
    pip = [sys.executable, "-m", "pip", "--python", str(python), "--disable-pip-version-check"]
    _run(packages, *pip, "install", "-q", *packages)
    told.write_text(wanted)
    return python


def _run(packages: Sequence[str], *argv: str) -> None:
    try:
        done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=_PATIENCE_SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PrerequisiteError(f"{packages[0]} cannot be installed: {error}") from error
    if done.returncode != 0:
        said = (done.stderr.strip().splitlines() or ["no word"])[-1]
        raise PrerequisiteError(f"{packages[0]} cannot be installed: {said[:300]}")
