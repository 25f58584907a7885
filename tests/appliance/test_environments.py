"""An environment beside our own: made once, whole or not at all, without ensurepip."""

import stat
import subprocess
from pathlib import Path

import pytest
from topmast import environments, litellmtests
from topmast.errors import PrerequisiteError
from topmast.layout import Layout

PACKAGES = ("here==1.0", "there")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder, and a Python whose `-m venv` makes one in it and whose `-m pip` writes down what it was asked."""
    program = tmp_path / "python"
    program.write_text(
        '#!/bin/sh\nif [ "$2" = venv ]; then mkdir -p "$4/bin" && cp "$0" "$4/bin/python"; exit; fi\n'
        f'echo "$@" >> {tmp_path}/asked\n'
        f"[ ! -e {tmp_path}/no-index ] || {{ echo 'no index answers' >&2; exit 1; }}\n"
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(environments.sys, "executable", str(program))
    return tmp_path / "made"


def ignored(_text: str) -> None:
    """Say nothing."""


def test_it_is_made_once(place: Path) -> None:
    said: list[str] = []

    first, again = (environments.made(place, PACKAGES, said.append) for _ in range(2))

    assert first == again == place / "bin" / "python"
    asked = (place.parent / "asked").read_text()
    assert asked == f"-m pip --python {first} --disable-pip-version-check install -q here==1.0 there\n"
    assert said == ["installing here==1.0, there into an environment of its own, once"]


def test_other_packages_are_another_environment(place: Path) -> None:
    environments.made(place, PACKAGES, ignored)
    (place / "left over").touch()

    environments.made(place, ("here==2.0",), ignored)

    assert not (place / "left over").exists()
    assert (place.parent / "asked").read_text().endswith("install -q here==2.0\n")


def test_half_of_it_is_none(place: Path) -> None:
    refuses = place.parent / "no-index"
    refuses.touch()
    with pytest.raises(PrerequisiteError, match=r"^here==1\.0 cannot be installed: no index answers$"):
        environments.made(place, PACKAGES, ignored)
    refuses.unlink()

    environments.made(place, PACKAGES, ignored)

    assert len((place.parent / "asked").read_text().splitlines()) == 2


def test_the_real_one_needs_no_ensurepip(tmp_path: Path) -> None:
    python = environments.made(tmp_path / "made", ["iniconfig"], ignored)

    has = "import iniconfig, importlib.util as u; print(u.find_spec('pip'))"
    done = subprocess.run([python, "-c", has], capture_output=True, text=True, check=False, timeout=60)
    assert (done.stdout, done.stderr) == ("None\n", "")


def test_a_named_litellm_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(litellmtests.VARIABLE, "/opt/litellm/bin/python")

    assert litellmtests.install(Layout(tmp_path, tmp_path), ignored) == Path("/opt/litellm/bin/python")


def test_litellm_is_made_below_the_state(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(litellmtests.VARIABLE, raising=False)

    python = litellmtests.install(Layout(place.parent, place.parent), ignored)

    assert python == place.parent / "litellm" / "bin" / "python"
