"""Marks are told to the ingest; where they cannot be told, nobody is stopped."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from topmast import marking
from topmast.errors import TopmastError
from topmast.layout import Layout


class StandIn:
    """An ingest that notes what it is told, or does not answer."""

    url = "http://ingest"

    def __init__(self) -> None:
        self.told: list[Mapping[str, Any]] = []
        self.away = False

    def tell(self, mark: Mapping[str, Any]) -> None:
        if self.away:
            raise TopmastError("away")
        self.told.append(mark)


def test_a_span_is_one_mark_that_is_told_its_end() -> None:
    to: Any = StandIn()

    span = marking.Span(to, "maintenance", "./deploy.sh", "production", 10.0)
    span.end(20.0)

    begun, ended = to.told
    assert begun == {
        "id": span.id, "kind": "maintenance", "text": "./deploy.sh", "environment": "production", "time": 10.0,
    }  # fmt: skip
    assert (ended, span.trouble) == ({**begun, "end": 20.0}, "")


def test_an_ingest_that_was_away_at_the_beginning_has_the_whole_mark_at_the_end() -> None:
    to: Any = StandIn()
    to.away = True

    span = marking.Span(to, "maintenance", "x", "production", 10.0)
    trouble, to.away = span.trouble, False
    span.end(20.0)

    assert (trouble, span.trouble) == ("away", "")
    assert [(mark["time"], mark["end"]) for mark in to.told] == [(10.0, 20.0)]


def test_the_environment_names_another_ingest_and_its_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "token").write_text("secret\n")
    monkeypatch.setenv(marking.URL, "http://there:4318/")
    monkeypatch.setenv(marking.TOKEN_FILE, str(tmp_path / "token"))

    found = marking.ingest(Layout(tmp_path, tmp_path), {"exporter": {"ingest": {}}})

    assert found == marking.Ingest("http://there:4318", "secret")


def test_without_one_the_ingest_of_this_machine_is_told(tmp_path: Path) -> None:
    layout = Layout(tmp_path, tmp_path / "state")

    assert marking.ingest(layout, {"exporter": {"ingest": {}}}).url == layout.url("ingest")


def test_nobody_there_is_said_with_the_remedy(port: int) -> None:
    with pytest.raises(TopmastError, match="TOPMAST_INGEST_URL names another"):
        marking.Ingest(f"http://127.0.0.1:{port}").tell(json.loads("{}"))
