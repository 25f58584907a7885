"""Find and run promtool and amtool, the engines' own checkers."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from topmast.errors import PrerequisiteError
from topmast.layout import find_home, find_state

SECONDS = 120.0


@dataclass(frozen=True)
class Answer:
    """What a tool said. promtool 2.42 has exits 0 with errors in its output: look at both."""

    code: int
    output: str


def find_promtool(state: Path | None = None) -> Path | None:
    """Return promtool: TOPMAST_PROMTOOL, else on PATH, else unpacked in the state folder; None when there is none."""
    return _find("promtool", "TOPMAST_PROMTOOL", state)


def find_amtool(state: Path | None = None) -> Path | None:
    """Return amtool: TOPMAST_AMTOOL, else on PATH, else unpacked in the state folder; None when there is none."""
    return _find("amtool", "TOPMAST_AMTOOL", state)


def need_promtool(state: Path | None = None) -> Path:
    """Return promtool. Raises PrerequisiteError with the remedy."""
    found = find_promtool(state)
    if found is None:
        raise PrerequisiteError(
            "promtool: not on PATH and not unpacked yet; run `topmast up` once, or set TOPMAST_PROMTOOL"
        )
    return found


def run(program: Path, arguments: Sequence[str], *, folder: Path | None = None, seconds: float = SECONDS) -> Answer:
    """Run a tool to its end and return its exit code with both of its outputs.

    Raises PrerequisiteError when it does not run here or does not end within `seconds`.
    """
    try:
        done = subprocess.run(
            [str(program), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            cwd=folder,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise PrerequisiteError(f"{program}: no answer within {seconds:.0f} s") from error
    except OSError as error:
        raise PrerequisiteError(f"{program}: does not run here: {error}") from error
    return Answer(done.returncode, done.stdout)


def _find(name: str, variable: str, state: Path | None) -> Path | None:
    named = os.environ.get(variable)
    if named:
        return Path(named).resolve() if Path(named).is_file() else None
    on_path = shutil.which(name)
    if on_path:
        return Path(on_path)
    engines = (state or find_state(None, find_home())) / "engines"
    return next(
        (found for found in sorted(engines.rglob(name)) if found.is_file() and os.access(found, os.X_OK)), None
    )
