"""tail/watch.py: who wakes the waiter."""

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from topmast_shipper.tail.watch import Watch

FOREVER = 30.0


@pytest.fixture
def watch() -> Iterator[Watch]:
    watch = Watch()
    yield watch
    watch.close()


def waits_out(watch: Watch) -> bool:
    """Return whether the watch waits until its time is up."""
    began = time.monotonic()
    watch.wait(0.05)
    return time.monotonic() - began >= 0.05


def test_nothing_happens(watch: Watch, tmp_path: Path) -> None:
    watch.follow([str(tmp_path)])

    assert waits_out(watch)


@pytest.mark.parametrize("change", ["written", "made", "renamed", "removed"])
def test_a_change_in_a_folder_wakes(watch: Watch, tmp_path: Path, change: str) -> None:
    log = tmp_path / "app.log"
    log.write_text("")
    watch.follow([str(tmp_path)])

    match change:
        case "written":
            log.write_text("one\n")
        case "made":
            (tmp_path / "new.log").touch()
        case "renamed":
            log.rename(tmp_path / "app.log.1")
        case "removed":
            log.unlink()

    watch.wait(FOREVER)


def test_what_was_heard_is_not_heard_again(watch: Watch, tmp_path: Path) -> None:
    watch.follow([str(tmp_path)])
    (tmp_path / "a").touch()
    watch.wait(FOREVER)

    assert waits_out(watch)


def test_a_folder_that_is_no_longer_followed_is_silent(watch: Watch, tmp_path: Path) -> None:
    watch.follow([str(tmp_path)])
    watch.follow([])
    (tmp_path / "a").touch()
    watch.wait(0)  # the end of a watch announces itself

    assert waits_out(watch)


def test_a_folder_that_was_made_again_is_followed_again(watch: Watch, tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    watch.follow([str(folder)])
    folder.rmdir()
    watch.wait(FOREVER)
    folder.mkdir()
    watch.follow([str(folder)])

    (folder / "a").touch()

    watch.wait(FOREVER)


def test_another_thread_wakes(watch: Watch) -> None:
    threading.Thread(target=watch.wake).start()

    watch.wait(FOREVER)


def test_more_changes_than_the_kernel_keeps(watch: Watch, tmp_path: Path) -> None:
    """Its queue overflows and says so; the waiter only hears that something happened, as always."""
    most = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    watch.follow([str(tmp_path)])
    names = [str(tmp_path / "a"), str(tmp_path / "b")]
    Path(names[0]).touch()
    for number in range(most // 2 + 1):
        os.rename(names[number % 2], names[1 - number % 2])  # noqa: PTH104 - thousands of them

    watch.wait(FOREVER)
    while not waits_out(watch):
        pass  # what was queued
    (tmp_path / "c").touch()

    watch.wait(FOREVER)
