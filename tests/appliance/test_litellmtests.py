"""The environment of LiteLLM's tests: made once, whole or not at all."""

import stat
from pathlib import Path

import pytest
from topmast import litellmtests
from topmast.errors import PrerequisiteError
from topmast.layout import Layout


@pytest.fixture
def layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Layout:
    """A state folder, and a Python whose `-m venv` makes a folder with a pip that writes down what it was asked."""
    monkeypatch.delenv(litellmtests.VARIABLE, raising=False)
    program = tmp_path / "python"
    program.write_text(
        '#!/bin/sh\nif [ "$2" = venv ]; then mkdir -p "$3/bin" && cp "$0" "$3/bin/python"; exit; fi\n'
        f'echo "$@" >> {tmp_path}/asked\n'
        f"[ ! -e {tmp_path}/no-index ] || {{ echo 'no index answers' >&2; exit 1; }}\n"
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(litellmtests.sys, "executable", str(program))
    (tmp_path / "state").mkdir()
    return Layout(tmp_path, tmp_path / "state")


def test_it_is_made_once(layout: Layout, tmp_path: Path) -> None:
    said: list[str] = []

    first, again = (litellmtests.install(layout, said.append) for _ in range(2))

    assert first == again == tmp_path / "state" / "litellm" / "bin" / "python"
    assert (tmp_path / "asked").read_text() == f"-m pip install -q {' '.join(litellmtests.PACKAGES)}\n"
    assert len(said) == 1


def test_half_of_it_is_none(layout: Layout, tmp_path: Path) -> None:
    (tmp_path / "no-index").touch()

    with pytest.raises(PrerequisiteError, match="cannot be installed: no index answers"):
        litellmtests.install(layout, lambda _text: None)

    assert not (tmp_path / "state" / "litellm").exists()


def test_a_named_one_is_taken(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(litellmtests.VARIABLE, "/opt/litellm/bin/python")

    assert litellmtests.install(layout, lambda _text: None) == Path("/opt/litellm/bin/python")
