"""The three wheels: built twice, from two checkouts that differ in all but their content, they are the same bytes."""

import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("exporter", "shipper", "appliance")


def checkout(tracked: list[Path], folder: Path, umask: int, when: int) -> Path:
    """Copy what git knows into `folder`, as another person's clone would have it."""
    before = os.umask(umask)
    try:
        for path in tracked:
            copy = folder / path.relative_to(ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
            os.utime(copy, (when, when))
    finally:
        os.umask(before)
    return folder


def built(folder: Path, room: str, out: Path) -> Path:
    argv = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", out, folder / room]
    environment = {name: value for name, value in os.environ.items() if name != "SOURCE_DATE_EPOCH"}
    done = subprocess.run(argv, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    return next(out.glob("*.whl"))


@pytest.mark.parametrize("room", ROOMS)
def test_a_wheel_is_the_same_bytes_each_time(tracked: list[Path], tmp_path: Path, room: str) -> None:
    wanted = [path for path in tracked if path.relative_to(ROOT).parts[0] in {room, "monitoring", "docs", "examples"}]

    one = built(checkout(wanted, tmp_path / "one", 0o022, 1_600_000_000), room, tmp_path / "first")
    two = built(checkout(wanted, tmp_path / "elsewhere/two", 0o077, 1_700_000_000), room, tmp_path / "second")

    assert one.name == two.name
    assert hashlib.sha256(one.read_bytes()).hexdigest() == hashlib.sha256(two.read_bytes()).hexdigest()


def test_a_wheel_holds_no_path_of_the_machine_that_built_it(tracked: list[Path], tmp_path: Path) -> None:
    wanted = [path for path in tracked if path.relative_to(ROOT).parts[0] == "exporter"]
    wheel = built(checkout(wanted, tmp_path / "one", 0o022, 1_600_000_000), "exporter", tmp_path / "out")

    with zipfile.ZipFile(wheel) as archive:
        assert [name for name in archive.namelist() if str(tmp_path).encode() in archive.read(name)] == []
