"""The command line in this process: exit code, standard output and standard error."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from topmast import cli


@dataclass(frozen=True)
class Answer:
    """What a call of the command line left."""

    code: int
    out: str
    err: str


@pytest.fixture
def topmast(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Answer]:
    """Call `topmast --state TMP/state ARGUMENTS…`."""

    def call(*arguments: str) -> Answer:
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            cli.main(["--state", str(tmp_path / "state"), *arguments])
        told = capsys.readouterr()
        code = left.value.code
        return Answer(code if isinstance(code, int) else 0, told.out, told.err)

    return call
