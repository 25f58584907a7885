"""Files of the user's on their way into a container."""

import io
from pathlib import Path

import pytest
from topmast.errors import ConfigError
from topmast.setup import given


def test_what_is_packed_is_there_under_its_name(tmp_path: Path) -> None:
    for name, text in (("a/costs.json", b"{}\n"), ("b/costs.json", b"[1]"), ("empty.csv", b"")):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(text)
    files = [tmp_path / "a/costs.json", tmp_path / "b/costs.json", tmp_path / "empty.csv"]

    payload, there = given.pack(files)
    given.unpack(io.BytesIO(payload), tmp_path / "inside")

    assert list(there.values()) == [
        str(given.FOLDER / each) for each in ("0/costs.json", "1/costs.json", "2/empty.csv")
    ]
    inside = {str(path): path.read_bytes() for path in (tmp_path / "inside").rglob("*.*")}
    assert {path.removeprefix(f"{tmp_path}/inside/"): text for path, text in inside.items()} == {
        "0/costs.json": b"{}\n",
        "1/costs.json": b"[1]",
        "2/empty.csv": b"",
    }


def test_nothing_on_standard_input_is_no_file(tmp_path: Path) -> None:
    assert given.unpack(io.BytesIO(b""), tmp_path) == {}


def test_what_no_container_could_hold_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(given, "MAX_BYTES", 3)
    (tmp_path / "big.csv").write_text("1234")

    with pytest.raises(ConfigError, match=r"big\.csv: more than"):
        given.pack([tmp_path / "big.csv"])
