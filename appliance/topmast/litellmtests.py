"""LiteLLM in an environment of its own, for the tests of its hook: it pins forty libraries and takes 450 MB."""

import os
from collections.abc import Callable
from pathlib import Path

from topmast import environments
from topmast.layout import Layout

VARIABLE = "TOPMAST_LITELLM_PYTHON"
# What LiteLLM's cache imports of its proxy comes with no extra of its own: fastapi and soundfile.
PACKAGES = ("litellm", "langchain-core", "fastapi", "soundfile")


def install(layout: Layout, say: Callable[[str], None]) -> Path:
    """Return the environment's Python, made if it is not there. Raises PrerequisiteError with pip's words."""
    named = os.environ.get(VARIABLE)
    return Path(named) if named else environments.made(layout.state / "litellm", PACKAGES, say)
