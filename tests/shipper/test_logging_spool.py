"""logging.py and its spool: a bound, and a full disk."""

import json
import logging
import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from topmast_shipper.errors import ConfigError
from topmast_shipper.logging import SpoolHandler, configure_logging
from topmast_shipper.records import decode


class Quiet(SpoolHandler):
    """Keeps what would be told on standard error."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.told: list[str] = []

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's own name for it
        self.told.append(record.getMessage())


def spooled(folder: Path) -> list[dict[str, Any]]:
    """Return the records of all segments, the oldest segment first; none may be torn."""
    found: list[dict[str, Any]] = []
    for path in sorted(folder.glob("*.seg"), key=lambda each: (each.stat().st_mtime_ns, each.name)):
        read = decode(path.read_bytes(), 0, 1_000_000, final=True)
        assert (read.damaged, read.end) == (0, path.stat().st_size)
        found += [json.loads(record.payload) for record in read.records]
    return found


def messages(folder: Path) -> list[str]:
    return [each["message"] for each in spooled(folder)]


def numbered(count: int) -> Iterator[str]:
    """Yield texts of which a thousand make a megabyte."""
    return (f"{number} {'x' * 750}" for number in range(count))


def held(folder: Path) -> int:
    return sum(each.stat().st_size for each in folder.iterdir())


def logged(handler: logging.Handler, *texts: str) -> None:
    for text in texts:
        handler.handle(logging.LogRecord("shop", logging.INFO, "shop.py", 1, text, (), None))


def until_it_takes(handler: SpoolHandler, text: str) -> None:
    """A folder that was full is looked at again after half a second."""
    waited = threading.Event()
    for _ in range(200):
        before = handler.dropped
        logged(handler, text)
        if handler.dropped == before:
            return
        waited.wait(0.05)
    pytest.fail("there is room and it is not taken")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    argv = ["mount", "-t", "tmpfs", "-o", "size=256k", "none", str(folder)]
    if os.geteuid() != 0 or subprocess.run(argv, check=False, capture_output=True).returncode != 0:
        pytest.skip("no file system can be mounted here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_folder_that_nobody_ships_does_not_grow_beyond_its_bound(tmp_path: Path) -> None:
    handler = Quiet(tmp_path, "shop", max_bytes=1_000_000)

    logged(handler, *numbered(2000))

    kept = messages(tmp_path)
    assert kept == list(numbered(len(kept)))
    assert 400_000 < held(tmp_path) <= 1_000_000
    assert handler.dropped == 2000 - len(kept)
    assert [text.split()[0] for text in handler.told] == [str(len(kept))], (
        "standard error is told the first, no other"
    )
    handler.close()


def test_when_there_is_room_again_a_record_tells_how_many_are_missing(tmp_path: Path) -> None:
    handler = Quiet(tmp_path, "shop", max_bytes=1_000_000)
    logged(handler, *numbered(2000))
    shipped = messages(tmp_path)
    for path in tmp_path.iterdir():
        path.unlink()

    until_it_takes(handler, "again")

    missing, again = spooled(tmp_path)
    assert missing["labels.dropped"] == handler.dropped >= 2000 - len(shipped)
    assert (missing["event.action"], missing["log.level"], again["message"]) == ("spool_full", "error", "again")
    handler.close()


def test_with_drop_oldest_the_newest_are_there_and_a_record_tells_how_many_are_not(tmp_path: Path) -> None:
    handler = Quiet(tmp_path, "shop", max_bytes=1_000_000, when_full="drop_oldest")

    logged(handler, *numbered(3000))
    handler.close()

    found = spooled(tmp_path)
    kept = [int(each["message"].split()[0]) for each in found if "labels.dropped" not in each]
    assert kept == list(range(kept[0], 3000))
    assert held(tmp_path) <= 1_000_000
    told = [each["labels.dropped_total"] for each in found if "labels.dropped" in each]
    assert told[-1] == handler.dropped == kept[0]
    assert handler.told == []


def test_a_segment_that_another_has_open_does_not_give_way(tmp_path: Path) -> None:
    other = Quiet(tmp_path, "other")
    logged(other, "of another")
    handler = Quiet(tmp_path, "shop", max_bytes=1_000_000, when_full="drop_oldest")

    logged(handler, *numbered(2000))
    logged(other, "and again")

    assert {"of another", "and again"} <= set(messages(tmp_path))
    assert handler.dropped > 0
    handler.close()
    other.close()


def test_the_child_of_a_fork_does_not_tell_what_its_parent_dropped(tmp_path: Path) -> None:
    handler = Quiet(tmp_path, "shop", max_bytes=1_000_000)
    logged(handler, *numbered(2000))
    for path in tmp_path.iterdir():
        path.unlink()

    child = os.fork()
    if child == 0:
        until_it_takes(handler, "of the child")
        os._exit(handler.dropped)
    _, status = os.waitpid(child, 0)

    told = [each["labels.dropped"] for each in spooled(tmp_path) if "labels.dropped" in each]
    assert sum(told) == os.waitstatus_to_exitcode(status) < handler.dropped
    handler.close()


def test_a_full_disk_is_counted_and_logging_goes_on_when_there_is_room(small_disk: Path) -> None:
    spool = small_disk / "spool"
    handler = Quiet(spool, "shop")
    logged(handler, "before")
    with (small_disk / "ballast").open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))

    logged(handler, *(f"{number} {'x' * 1000}" for number in range(100)))
    written = messages(spool)
    (small_disk / "ballast").unlink()
    logged(handler, "after")

    assert handler.dropped == 101 - len(written) > 90
    assert len(handler.told) == 1
    *_, missing, after = spooled(spool)
    assert (missing["labels.dropped"], after["message"]) == (handler.dropped, "after")
    assert "No space left" in missing["message"]
    assert len(list(spool.iterdir())) <= 3
    handler.close()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"sync": "sometimes"}, "sync: not one of none, interval, always: 'sometimes'"),
        ({"max_bytes": 0}, "max_bytes: not a number of bytes: 0"),
        ({"when_full": "block"}, "when_full: not one of drop_new, drop_oldest: 'block'"),
    ],
)
def test_an_option_that_means_nothing_is_refused(tmp_path: Path, options: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        SpoolHandler(tmp_path, "shop", **options)


def test_the_bound_from_the_environment(tmp_path: Path) -> None:
    root = logging.getLogger()
    environ = {
        "TOPMAST_SPOOL": str(tmp_path),
        "TOPMAST_SPOOL_MAX_BYTES": "1000000",
        "TOPMAST_SPOOL_WHEN_FULL": "drop_oldest",
    }
    level, factory = root.level, logging.getLogRecordFactory()
    handler = configure_logging("shop", environ=environ)
    try:
        logged(handler, *numbered(2000))
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
        logging.setLogRecordFactory(factory)
        handler.close()

    assert held(tmp_path) <= 1_000_000
    assert list(numbered(2000))[-1] in messages(tmp_path)


def test_a_bound_that_is_no_number_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="TOPMAST_SPOOL_MAX_BYTES: not a number of bytes: '1GiB'"):
        configure_logging("shop", spool=tmp_path, environ={"TOPMAST_SPOOL_MAX_BYTES": "1GiB"})
