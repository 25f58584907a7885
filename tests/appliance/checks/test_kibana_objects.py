"""The check `kibana_objects` is silent about our house and sees each seeded defect."""

from typing import Any

import pytest
from topmast.checks.kibana_objects import CHECK, clauses, fields_of

FILE = "monitoring/kibana/objects/topmast.ndjson"


def test_is_silent_about_our_house(house: Any) -> None:
    assert house.said(CHECK) == []


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        pytest.param("log.level : (", "log.levle : (", "log.levle: no such field", id="in a query"),
        pytest.param('"error.type"', '"error.kind"', "error.kind: no such field", id="a column"),
        pytest.param('["event.duration","desc"]', '["duration","desc"]', "duration: no such field", id="a sort"),
        pytest.param('"timeFieldName":"@timestamp"', '"timeFieldName":"time"', "time: no such field", id="the time"),
        pytest.param('{\\"event.duration\\":{', '{\\"duration\\":{', "duration: no such field", id="a format"),
        pytest.param(",logs-raw-*", "", "leaves out logs-raw-*", id="a data stream"),
        pytest.param("event.duration >= 1", "url.path >= 1", "url.path >=: a keyword has no order", id="an order"),
        pytest.param('[{"id":"topmast-logs"', '[{"id":"logs"', "its data view is not in the file", id="a reference"),
        pytest.param('\\"kuery\\"', '\\"lucene\\"', "is no KQL", id="a language"),
        pytest.param('"type":"search"', '"type":"dashboard"', "not a data view or a saved search", id="a kind"),
        pytest.param('"topmast-llm-calls"', '"topmast-errors"', "search topmast-errors stands twice", id="twice"),
        pytest.param('"coreMigrationVersion":"8.8.0"', '"x":1', "coreMigrationVersion", id="a version"),
    ],
)
def test_sees(house: Any, old: str, new: str, message: str) -> None:
    house.change(FILE, old, new)

    assert [said for said in house.said(CHECK) if message in said]


def test_sees_a_field_that_the_template_lost(house: Any) -> None:
    house.change("monitoring/elasticsearch/templates/topmast-logs.json", '"duration": {"type": "long"},', "")

    assert [said for said in house.said(CHECK) if "event.duration: no such field" in said]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        pytest.param("a.b : * and not c >= 3", [("a.b", ":"), ("c", ">=")], id="two"),
        pytest.param('a : ("x : y" or "z")', [("a", ":")], id="a colon in quotes"),
        pytest.param("", [], id="nothing"),
    ],
)
def test_the_fields_of_a_query(query: str, found: list[tuple[str, str]]) -> None:
    assert clauses(query) == found


def test_fields_have_dotted_names() -> None:
    properties = {"a": {"properties": {"b": {"type": "long"}}}, "c": {"type": "keyword"}}

    assert dict(fields_of(properties)) == {"a.b": "long", "c": "keyword"}
