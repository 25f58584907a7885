"""LiteLLM in an environment of its own, for the tests of its hook: it pins forty libraries and takes 450 MB."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from topmast.errors import PrerequisiteError
from topmast.layout import Layout

VARIABLE = "TOPMAST_LITELLM_PYTHON"
# What LiteLLM's cache imports of its proxy comes with no extra of its own: fastapi and soundfile.
PACKAGES = ("litellm", "langchain-core", "fastapi", "soundfile")
_PATIENCE_SECONDS = 900


def install(layout: Layout, say: Callable[[str], None]) -> Path:
    """Return the environment's Python, made if it is not there. Raises PrerequisiteError with pip's words."""
    named = os.environ.get(VARIABLE)
    if named:
        return Path(named)
    folder = layout.state / "litellm"
    python = folder / "bin" / "python"
    if not python.is_file():
        say("installing LiteLLM for the tests of its hook, once; about a minute")
        made = folder.with_name("litellm.new")
        shutil.rmtree(made, ignore_errors=True)
        _run(sys.executable, "-m", "venv", str(made))
        _run(str(made / "bin" / "python"), "-m", "pip", "install", "-q", *PACKAGES)
        made.rename(folder)  # under its final name only when it is whole
    return python


def _run(*argv: str) -> None:
    try:
        done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=_PATIENCE_SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PrerequisiteError(f"LiteLLM cannot be installed: {error}") from error
    if done.returncode != 0:
        said = (done.stderr.strip().splitlines() or ["no word"])[-1]
        raise PrerequisiteError(f"LiteLLM cannot be installed: {said[:300]}")
