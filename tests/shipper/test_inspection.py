"""inspection.py: what is said of a file is what the shipper will do with it."""

import gzip
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from topmast_shipper.checkpoint import Checkpoint, FileRecord
from topmast_shipper.component import Cursor
from topmast_shipper.inspection import explain, states
from topmast_shipper.tail.identity import digest

CONTENT = b"one\ntwo\n"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "app.log"
    path.write_bytes(CONTENT)
    status = path.stat()
    checkpoint = Checkpoint(tmp_path / "data")
    checkpoint.remember(
        FileRecord("app", status.st_dev, status.st_ino, "s" * 16, 0, 4, digest(b"one\n"), str(path), 4e9)
    )
    checkpoint.advance("sqlite", {("s" * 16, 0): Cursor(8, 4, digest(b"two\n"))})
    checkpoint.close()
    return path


def test_a_name_that_is_no_utf_8_is_legible(log: Path) -> None:
    odd = log.rename(log.with_name(os.fsdecode(b"app.log-\xe9")))

    assert [each.path for each in states(log.parent / "data", ["sqlite"])] == [f"{log}-\\xe9"]
    assert [each.path for each in explain(log.parent / "data", ["sqlite"], odd)] == [f"{log}-\\xe9"]


def rewrite(content: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(content)


@pytest.mark.parametrize(
    ("change", "verdict", "unread"),
    [
        pytest.param(lambda _: None, "complete", 0, id="nothing new"),
        pytest.param(rewrite(CONTENT + b"three\n"), "read on", 6, id="grown"),
        pytest.param(rewrite(CONTENT + b"thr"), "the last line is not finished yet", 3, id="in the middle of a line"),
        pytest.param(rewrite(b"one\n"), "truncated: its content is read as a new one", 4, id="truncated"),
        pytest.param(
            rewrite(b"new\ntwo\n"), "another content: its beginning is not the one that was read", 8, id="replaced"
        ),
        pytest.param(
            rewrite(b"one\nTWO\n"),
            "another content: what lies before the offset is not what was read",
            8,
            id="regrown",
        ),
        pytest.param(lambda path: path.rename(path.with_name("app.log.1")), "complete", 0, id="rotated"),
        pytest.param(Path.unlink, "gone", 0, id="gone"),
    ],
)
def test_verdict(log: Path, change: Callable[[Path], object], verdict: str, unread: int) -> None:
    change(log)

    (state,) = states(log.parent / "data", ["sqlite"])

    assert (state.verdict, state.unread_bytes) == (verdict, unread)


def test_a_sink_that_got_nothing_has_all_of_it_to_read(log: Path) -> None:
    (state,) = explain(log.parent / "data", ["other"], log)

    assert (state.sink, state.offset, state.unread_bytes, state.verdict) == ("other", 0, 8, "read on")


def test_a_file_that_nobody_read_has_no_state(log: Path) -> None:
    assert explain(log.parent / "data", ["sqlite"], log.parent / "other.log") == []


@pytest.mark.parametrize(
    ("content", "verdict"),
    [
        pytest.param(gzip.compress(CONTENT), "a copy of {log}: it waits until that is gone", id="a copy"),
        pytest.param(
            b"no gzip\n", "nothing of it can be read as gzip: it is damaged, or being written", id="no gzip"
        ),
    ],
)
def test_a_compressed_file_that_nobody_read_and_why(log: Path, content: bytes, verdict: str) -> None:
    packed = log.with_name("app.log.1.gz")
    packed.write_bytes(content)

    (state,) = explain(log.parent / "data", ["sqlite"], packed)

    assert (state.path, state.unread_bytes, state.verdict) == (str(packed), 0, verdict.format(log=log))


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(gzip.compress(CONTENT + b"three\n"), id="longer than the one that is there"),
        pytest.param(gzip.compress(b""), id="empty"),
    ],
)
def test_a_compressed_file_that_nobody_read_and_nothing_keeps_from_it(log: Path, content: bytes) -> None:
    packed = log.with_name("app.log.1.gz")
    packed.write_bytes(content)

    assert explain(log.parent / "data", ["sqlite"], packed) == []
