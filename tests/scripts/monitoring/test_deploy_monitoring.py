"""deploy-monitoring.sh is a thin door: each action is one call of the command line."""

import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[3] / "scripts/monitoring/deploy-monitoring.sh"


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone whose command line only says how it was called."""
    target = tmp_path / "scripts/monitoring" / SCRIPT.name
    target.parent.mkdir(parents=True)
    shutil.copy(SCRIPT, target)
    topmast = tmp_path / "topmast"
    topmast.write_text('#!/bin/sh\necho "$@"\nexit 69\n')
    topmast.chmod(0o755)
    return target


def call(script: Path, *arguments: str) -> tuple[int, str]:
    done = subprocess.run([script, *arguments], cwd="/", capture_output=True, text=True, timeout=30)
    return done.returncode, done.stdout


@pytest.mark.parametrize(
    ("arguments", "called"),
    [
        pytest.param(("deploy",), "up --mode compose --detach\n", id="deploy"),
        pytest.param(("verify",), "verify\n", id="verify"),
        pytest.param(("stop",), "down\n", id="stop"),
        pytest.param(("clean", "--yes"), "down --purge\n", id="clean"),
    ],
)
def test_calls_the_command_line_and_passes_its_exit_code_on(
    clone: Path, arguments: tuple[str, ...], called: str
) -> None:
    assert call(clone, *arguments) == (69, called)


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param((), id="nothing"),
        pytest.param(("restart",), id="an unknown action"),
        pytest.param(("deploy", "now"), id="one word too many"),
        pytest.param(("clean",), id="clean without --yes"),
        pytest.param(("clean", "--yes", "really"), id="clean with more than --yes"),
    ],
)
def test_a_wrong_call_does_nothing(clone: Path, arguments: tuple[str, ...]) -> None:
    assert call(clone, *arguments) == (64, "")
