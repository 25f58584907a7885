"""tail/failures.py: files that cannot be read just now."""

import errno
import tempfile
from pathlib import Path

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
