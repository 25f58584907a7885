"""tail/failures.py: files that cannot be read just now."""

import errno
import gzip
import os
import tempfile
from pathlib import Path
from typing import Any

import pytest
from nobody import as_nobody
from tailing import Reader, append
from topmast_shipper.tail.failures import Failures


def test_a_file_that_may_not_be_read_is_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    # Not tmp_path: nobody may not enter it.
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        log, reader = folder / "app.log", Reader(folder)
        append(log, "one\n")
        log.chmod(0)
        with as_nobody():
            reader.catalogue.sweep()
            reader.catalogue.sweep()
            assert reader.catalogue.sources() == []
        log.chmod(0o600)

        assert reader.read() == ["one"]
        reader.kill()

    assert [record.getMessage() for record in caplog.records] == [
        f"a file cannot be followed just now, trying again: {log}: Permission denied"
    ]


def test_a_file_whose_reading_fails_holds_up_no_other(tmp_path: Path) -> None:
    """The kernel refuses to say how fast the loopback is: a regular file of 4,096 bytes, and an error."""
    log, reader = tmp_path / "app.log", Reader(tmp_path)
    bad = Path("/sys/class/net/lo/speed")
    if not bad.is_file():
        pytest.skip("no /sys here")
    with pytest.raises(OSError, match="Invalid argument"):
        bad.read_bytes()
    log.with_name("app.log.0").symlink_to(bad)
    append(log, "one\n")
    append(log.with_name("app.log.1"), "two\n")

    assert sorted(reader.read()) == ["one", "two"]
    append(log, "three\n")
    assert reader.read() == ["three"]


def test_a_full_disk_is_passed_on_where_nothing_else_is_asked_for() -> None:
    failed: list[bool] = []
    full = OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space"), Failures(lambda: failed.append(True), lambda: 0.0).at("a.log"):
        raise full
    assert failed == []

    with Failures(lambda: failed.append(True), lambda: 0.0, passed_on=frozenset()).at("a.log"):
        raise full
    assert failed == [True]


class Disk:
    """Refuses one file what a bad disk or a file server refuses; the others are as they are."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._patch = monkeypatch

    def refuse(self, path: Path, call: str, number: int) -> None:
        inode, stat, asked = path.stat().st_ino, os.fstat, getattr(os, call)

        def refusing(descriptor: int, *rest: int) -> Any:
            if stat(descriptor).st_ino == inode:
                raise OSError(number, os.strerror(number))
            return asked(descriptor, *rest)

        self._patch.setattr(os, call, refusing)

    def mend(self) -> None:
        self._patch.undo()


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


def test_a_compressed_file_whose_reading_fails_holds_up_no_other(tmp_path: Path, disk: Disk) -> None:
    reader, packed = Reader(tmp_path), tmp_path / "app.log.2.gz"
    packed.write_bytes(gzip.compress(b"old\n"))
    (tmp_path / "app.log.3.gz").write_bytes(gzip.compress(b"older\n"))
    append(tmp_path / "app.log", "one\n")
    disk.refuse(packed, "pread", errno.EIO)

    assert sorted(reader.read()) == ["older", "one"]
    disk.mend()
    assert reader.read() == ["old"]


def test_a_new_file_whose_reading_fails_holds_up_no_compressed_one(tmp_path: Path, disk: Disk) -> None:
    reader, log = Reader(tmp_path), tmp_path / "app.log"
    append(log, "one\n")
    (tmp_path / "app.log.1.gz").write_bytes(gzip.compress(b"old\n"))
    disk.refuse(log, "pread", errno.EIO)

    assert reader.read() == ["old"]
    disk.mend()
    assert reader.read() == ["one"]


def test_a_stale_handle_of_a_rotated_file_holds_up_no_end_of_another(tmp_path: Path, disk: Disk) -> None:
    """What is left to do for the others: a last line that nobody ends, and a deleted file that nobody needs."""
    reader = Reader(tmp_path)
    stale, ended, deleted = [tmp_path / f"app.log.{number}" for number in range(3)]
    for log in (stale, ended, deleted):
        append(log, f"{log.name}\nthe end of {log.name}")
    reader.read()
    for log in (stale, ended):
        log.rename(log.with_name(log.name + ".old"))
    deleted.unlink()
    disk.refuse(stale.with_name(stale.name + ".old"), "fstat", errno.ESTALE)
    reader.wait(30.0)

    assert {"the end of app.log.1", "the end of app.log.2"} <= set(reader.read())
    reader.wait(30.0)
    assert reader.catalogue.open_files == 1


def test_a_file_that_a_server_has_forgotten_is_let_go_and_counted(tmp_path: Path, disk: Disk) -> None:
    reader, log = Reader(tmp_path), tmp_path / "app.log"
    append(log, "one\n")
    reader.catalogue.sweep()
    disk.refuse(log, "fstat", errno.ESTALE)
    log.unlink()

    reader.wait(300.0)

    assert reader.lost == [("deleted", 4)]
    assert reader.catalogue.open_files == 0


def test_a_handle_that_is_stale_is_opened_anew(tmp_path: Path, disk: Disk) -> None:
    reader, log = Reader(tmp_path), tmp_path / "app.log"
    append(log, "one\n")
    reader.catalogue.sweep()
    disk.refuse(log, "pread", errno.ESTALE)
    with pytest.raises(OSError, match="Stale"):
        reader.read()

    disk.mend()

    assert reader.read() == ["one"]


def test_a_stale_handle_gives_its_place_to_the_one_that_needs_it(tmp_path: Path, disk: Disk) -> None:
    reader = Reader(tmp_path, max_open_files=1)
    stale, log = tmp_path / "app.log.0", tmp_path / "app.log"
    append(stale, "one\n")
    assert reader.read() == ["one"]
    disk.refuse(stale, "fstat", errno.ESTALE)
    append(log, "two\n")

    assert reader.read() == ["two"]
