"""`topmast password` without Docker: it says what is missing."""

from pathlib import Path

from click.testing import CliRunner
from topmast.cli import Call
from topmast.commands.password import COMMAND
from topmast.errors import PrerequisiteError


def test_only_services_that_have_one_are_known(tmp_path: Path) -> None:
    done = CliRunner().invoke(COMMAND, ["show", "node-exporter"], obj=Call(tmp_path, tmp_path, None))

    assert done.exit_code == 2
    assert "elasticsearch" in done.output


def test_it_needs_a_clone(tmp_path: Path) -> None:
    done = CliRunner().invoke(COMMAND, ["show", "grafana"], obj=Call(tmp_path, tmp_path, None))

    assert isinstance(done.exception, PrerequisiteError)
    assert "compose mode needs a clone" in str(done.exception)
