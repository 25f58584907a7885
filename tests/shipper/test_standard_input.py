"""standard_input.py: what a program prints is in the spool, whatever it looks like, and is still shown."""

import io
import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from topmast_shipper import records, standard_input
from topmast_shipper.errors import StateError


@pytest.fixture(autouse=True)
def _interrupts() -> Iterator[None]:
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)


def taken(folder: Path, data: bytes, service: str = "app") -> list[dict[str, Any]]:
    echo = io.BytesIO()
    count = standard_input.take(io.BytesIO(data), echo, folder, service)
    assert echo.getvalue() == data
    found = [
        json.loads(each.payload)
        for path in sorted(folder.glob("*.seg"))
        for each in records.decode(path.read_bytes(), 0, 1_000_000, final=True).records
    ]
    assert len(found) == count
    return found


def test_lines_of_each_kind(tmp_path: Path) -> None:
    found = taken(tmp_path, b'{"msg":"a","service":"own"}\r\nlevel=info msg=b\n\nERROR c\nthe last, \xff unended')

    assert all(each.pop("@timestamp").startswith("20") for each in found)
    assert found == [
        {"msg": "a", "service": "own"},
        {"level": "info", "msg": "b", "service.name": "app"},
        {"message": "ERROR c", "log.level": "ERROR", "service.name": "app"},
        {"message": "the last, \\xff unended", "service.name": "app"},
    ]


def test_a_time_of_its_own_is_kept(tmp_path: Path) -> None:
    (found,) = taken(tmp_path, b"time=2026-11-22T21:16:00Z msg=x")

    assert found["time"] == "2026-11-22T21:16:00Z"
    assert "@timestamp" not in found


def test_a_line_without_end_comes_in_parts(tmp_path: Path) -> None:
    found = taken(tmp_path, b"x" * 3_000_000)

    assert sum(len(each["message"]) for each in found) == 3_000_000


def test_nobody_who_reads_the_echo_is_no_harm(tmp_path: Path) -> None:
    class Gone(io.BytesIO):
        def write(self, _data: Any) -> int:
            raise BrokenPipeError

    assert standard_input.take(io.BytesIO(b"a\nb\n"), Gone(), tmp_path, "") == 2


def test_a_spool_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(StateError, match="lines are lost"):
        standard_input.take(io.BytesIO(b"a\n"), io.BytesIO(), tmp_path / "file", "")
