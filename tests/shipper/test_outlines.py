"""outline.py, outlines.py: what is found by an outline is what is read as JSON; usual documents have one."""

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from topmast_shipper.outline import Columns, Outline, read
from topmast_shipper.outlines import Outlines
from topmast_shipper.store import WORDED_CHARACTERS
from topmast_shipper.testing import event

USUAL: dict[str, Any] = {
    "@timestamp": "2026-11-22T21:15:00.500Z",
    "message": "checkout of ä took 12 ms",
    "http": {"request": {"method": "GET"}, "response": {"status_code": 200, "body": {"bytes": 512}}},
    "event": {"duration": 420025666, "id": "0123456789abcdef00000000000008a8", "outcome": "success"},
    "tags": ["a", "b", 3],
    "labels": {"share": 0.25, "paid": True, "left": None, "count": -7},
    "log": {"level": "info", "logger": "shop.checkout", "offset": 1662, "file": {"path": "/var/log/app.log"}},
    "service": {"name": "shop"},
}
# Enough of an outline for it to be learnt.
OFTEN = 64


def documents(*changes: dict[str, Any]) -> list[bytes]:
    return [orjson.dumps({**USUAL, **each}) for each in changes]


def as_json(some: list[bytes]) -> Columns:
    return Columns(*map(list, zip(*map(read, some), strict=True)))


def columns(found: Columns) -> list[list[object]]:
    return [list(each) for each in found]


def learnt(*samples: bytes) -> Outlines:
    outlines = Outlines()
    for sample in samples:
        outlines.read([sample] * OFTEN)
    return outlines


def test_an_outline_finds_the_status_the_message_and_the_words() -> None:
    outline = Outline(orjson.dumps(USUAL))
    (other,) = documents({"message": "no", "labels": {"share": 2e9, "paid": False, "left": True, "count": 10**17}})

    found = outline.columns(outline.expression.findall(other))

    assert columns(found) == [
        [200],
        ["no"],
        ["\n".join(["GET", "200", "512", "success", "a", "b", "3", str(10**17), "shop.checkout", "shop"])],
    ]


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"message": 'in "quotes"'}, id="escaped"),
        pytest.param({"message": "x" * (WORDED_CHARACTERS + 1)}, id="long"),
        pytest.param({"tags": ["x" * (WORDED_CHARACTERS + 1), "b", 3]}, id="a long word"),
        pytest.param({"tags": ["a", "b", 3, 4]}, id="another list"),
        pytest.param({"tags": ["a", "b", 3.0]}, id="a fraction for a whole number"),
        pytest.param({"tags": ["a", "b", 10**18]}, id="a number of nineteen digits"),
        pytest.param({"tags": ["a", "b", None]}, id="null for a number"),
        pytest.param({"tags": [{"a": "b"}, "c"]}, id="an object in a list"),
        pytest.param({"http": {"response": {"status_code": "200"}}}, id="the status is text"),
        pytest.param({"http": {"response": {"status_code": 200.5}}}, id="the status is no whole number"),
        pytest.param({"http": {"response.status_code": 201}}, id="the status has a dotted name"),
        pytest.param({"http": 7}, id="http is a number"),
        pytest.param({"log": ["level", {"offset": "worded"}]}, id="log is a list"),
        pytest.param({"event": {"id": {"deep": "worded"}}, "ecs": {"version": "8"}}, id="inside what is not worded"),
        pytest.param({"labels": {"message": "another"}}, id="a message elsewhere"),
        pytest.param({"": {"": "worded"}}, id="no name"),
        pytest.param({"labels": {"first\nsecond": "x"}}, id="a line break in a name"),
    ],
)
def test_another_document_is_read_as_json_until_it_is_usual_too(change: dict[str, Any]) -> None:
    some = documents(*[{"message": f"m {number}"} for number in range(5)], change, {})
    outlines = learnt(orjson.dumps(USUAL))

    first = outlines.read(some)
    outlines.read(documents(change) * OFTEN)
    second, alone = outlines.read(some), outlines.read(documents(change) * 3)

    assert columns(first) == columns(second) == columns(as_json(some))
    assert columns(alone) == columns(as_json(documents(change) * 3))


def test_numbers_that_json_writes_in_another_way_are_read() -> None:
    bare = orjson.dumps(USUAL)
    some = [
        bare.replace(b'"count":-7', b'"count":' + each)
        for each in (b"-0", b"0", b"1E5", b"-0.0", b"123456789012345678901")
    ]

    assert columns(learnt(bare, *some).read([bare, *some])) == columns(as_json([bare, *some]))


def test_documents_with_blanks_between_are_told_apart_from_those_without() -> None:
    some = [json.dumps(USUAL, ensure_ascii=False).encode(), orjson.dumps(USUAL)]

    assert columns(learnt(*some).read(some * 20)) == columns(as_json(some * 20))


def test_more_outlines_than_are_kept_are_read() -> None:
    some = [orjson.dumps({**USUAL, f"field{number}": "worded"}) for number in range(40)]

    assert columns(learnt(*some).read(some)) == columns(as_json(some))


def test_a_document_without_a_message_is_not_learnt() -> None:
    outlines, sample = learnt(orjson.dumps(USUAL)), orjson.dumps({"service": {"name": "shop"}})

    for _ in range(OFTEN):
        with pytest.raises(KeyError):
            outlines.read([sample])


def test_nothing_says_nothing() -> None:
    assert Outlines().read([]) == Columns([], [], [])


@given(
    st.lists(
        st.recursive(
            st.one_of(st.none(), st.booleans(), st.integers(-(2**63), 2**64 - 1), st.floats(), st.text(max_size=9)),
            lambda inner: st.one_of(
                st.lists(inner, max_size=3),
                st.dictionaries(st.sampled_from(("id", "level", "file", "a.b", "message", "é")), inner, max_size=3),
            ),
            max_leaves=12,
        ),
        min_size=2,
        max_size=2,
    ),
    st.sampled_from(("labels", "log", "event", "process", "http")),
)
def test_any_document_is_found_as_it_is_read(values: list[Any], name: str) -> None:
    some = [event(0).json, *documents({name: values[0]}, {name: values[1]})]

    assert columns(learnt(*some).read(some * 2)) == columns(as_json(some * 2))
