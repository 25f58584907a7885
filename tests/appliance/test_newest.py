"""The newest promtool is what the environment names, else what was built; a release is told from its module's tag."""

from pathlib import Path

import pytest
from topmast import newest
from topmast.errors import PrerequisiteError
from topmast.layout import Layout


@pytest.mark.parametrize(
    ("tag", "release"),
    [
        pytest.param("v0.315.0", "3.15.0", id="3.x"),
        pytest.param("v0.305.2", "3.5.2", id="a single digit"),
        pytest.param("v1.2.3", "v1.2.3", id="whatever comes next"),
    ],
)
def test_release(tag: str, release: str) -> None:
    assert newest.release(tag) == release


def test_what_was_built_is_found_and_not_built_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(newest.VARIABLE, raising=False)
    layout = Layout(tmp_path, tmp_path)
    built = layout.engines / "newest" / "promtool"
    assert newest.find(layout) is None

    built.parent.mkdir(parents=True)
    built.write_text("")

    assert newest.find(layout) == newest.build(layout, print) == built


def test_the_environment_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    named = tmp_path / "mine"
    named.write_text("")
    monkeypatch.setenv(newest.VARIABLE, str(named))

    assert newest.find(Layout(tmp_path, tmp_path)) == named


def test_without_go_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(newest.VARIABLE, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(PrerequisiteError, match="no go on PATH"):
        newest.build(Layout(tmp_path, tmp_path), print)
