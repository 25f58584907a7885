"""shape.py, shapes.py: the shortest road gives what the careful one gives, or nothing; usual records take it."""

import json
from itertools import accumulate
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from topmast_shipper import ecs
from topmast_shipper.component import Line
from topmast_shipper.event import Event, Origin, Position
from topmast_shipper.intake import Intake
from topmast_shipper.parsers.json_lines import parse
from topmast_shipper.shapes import Shapes
from topmast_shipper.tail.lines import Lines
from topmast_shipper.template import Place

READ_AT = 1_795_382_160.0  # 2026-11-22T21:16:00Z
NOW = int(READ_AT * 1_000_000)
STREAM = "0123456789abcdef"
SHOP, BARE = Origin("app", "/var/log/app 100%.log", "shop"), Origin("app")
USUAL: dict[str, Any] = {"@timestamp": "2026-11-22T21:15:00.500Z", "log.level": "info", "message": "done"}
# Enough of a shape for it to be learnt.
OFTEN = 64


class Source:
    """Where lines are from; nothing is read."""

    stream, generation, size = STREAM, 0, 0

    def __init__(self, origin: Origin) -> None:
        self.origin = origin

    def read(self, *_: object) -> None:
        """Nothing is there."""


def lines_of(data: list[bytes]) -> Lines:
    ends = list(accumulate((len(line) + 1 for line in data), initial=0))
    return Lines(data, ends[:-1], ends[1:])


def careful(line: Line, origin: Origin) -> Event:
    event = Event(line.data, Position(STREAM, 0, line.end), line.start, origin, READ_AT)
    return ecs.complete(event, parse(line.data.decode()))


def learnt(sample: bytes, origin: Origin = SHOP) -> Shapes:
    shapes = Shapes()
    for _ in range(OFTEN):
        shapes.learn(sample, origin)
    return shapes


def fitting(shapes: Shapes, line: bytes, origin: Origin = SHOP) -> bool:
    place = Place(STREAM, 0, origin, [0], [len(line) + 1], NOW)
    return any(columns.documents for columns in shapes.read([line], place))


def same(one: Event, other: Event) -> bool:
    return one._replace(json=b"") == other._replace(json=b"") and one.document == other.document


TEXTS = st.text(max_size=8) | st.sampled_from(['say "hi"', "a\nb", "ü€😀", "\\", "%d", "\ud83d", "x\x00"])
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | TEXTS
NAMES = st.sampled_from(
    ["log", "event", "service", "ecs", "error", "http", "url", "labels", "gen_ai", "name", "level", "id", "version",
     "trace.id", "error.type", "log.logger", "event.dataset", "service.name", "file", "a", "a.b", "gen_ai.system"]
)  # fmt: skip
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=6,
)


def other(value: object, draw: st.DrawFn) -> object:
    """Return a value with the same names, of other values; sometimes of another kind."""
    if isinstance(value, dict):
        return {name: other(each, draw) for name, each in value.items()}
    if isinstance(value, str):
        return draw(TEXTS | st.integers(0, 3)) if draw(st.integers(0, 9)) == 0 else draw(TEXTS)
    return draw(SCALARS)


@st.composite
def records(draw: st.DrawFn) -> tuple[str, list[str]]:
    """Return a record, and others of the same names."""
    times = st.sampled_from(["2026-11-22T21:15:00.500Z", "2026-11-22T21:16:00.000001Z", "2026-13-22T21:15:00.500Z",
                             "2099-11-22T21:15:00.500Z", "yesterday"])  # fmt: skip
    levels = st.sampled_from(["info", "Error", "warn ", "loud", "CRITICAL"])
    more = dict(draw(st.lists(st.tuples(NAMES, VALUES), max_size=5)))
    dotted, separators = draw(st.booleans()), draw(st.sampled_from([(",", ":"), (", ", ": ")]))

    def line(time: str, level: str, message: object, more: dict[str, object]) -> str:
        record = {"@timestamp": time} | ({"log.level": level} if dotted else {"log": {"level": level}})
        return json.dumps(
            record | {"message": message} | more, separators=separators, ensure_ascii=draw(st.booleans())
        )  # fmt: skip

    sample = line(USUAL["@timestamp"], "info", "m", more)
    followers = [
        line(draw(times), draw(levels), draw(TEXTS), {name: other(each, draw) for name, each in more.items()})
        for _ in range(3)
    ]
    return sample, followers


@given(record=records(), origin=st.sampled_from([SHOP, BARE]))
def test_all_roads_give_the_same_document(record: tuple[str, list[str]], origin: Origin) -> None:
    sample, followers = record
    intake = Intake(parse)
    data = [line.encode("utf-8", "replace") for line in [*[sample] * OFTEN, *followers, sample]]

    intake.events(Source(origin), lines_of(data), READ_AT)
    events = intake.events(Source(origin), lines_of(data), READ_AT)

    for event, line in zip(events, lines_of(data), strict=True):
        assert same(event, careful(line, origin))


@pytest.mark.parametrize(
    "separators", [pytest.param((",", ":"), id="compact"), pytest.param((", ", ": "), id="usual")]
)
@pytest.mark.parametrize(
    "more",
    [
        pytest.param({}, id="nothing more"),
        pytest.param({"log": {"logger": "app.db", "origin": {"file": {"line": 7}}}}, id="a logger"),
        pytest.param({"ecs.version": "1.6.0", "trace.id": "ab", "process.pid": 7}, id="dotted names"),
        pytest.param({"service": {"name": "cart"}, "event": {"dataset": "a.b", "duration": 1.5e3}}, id="a service"),
        pytest.param({"gen_ai": {"provider": {"name": "x"}, "usage": {"input_tokens": 3}}}, id="a model call"),
        pytest.param({"user": None, "labels": {}, "tags": ["a", None, 1, True]}, id="nothing said"),
        pytest.param({"error": {"type": "KeyError", "stack_trace": 'File "a", line 1\n  x'}}, id="a trace"),
    ],
)
def test_usual_records_take_the_shortest_road(more: dict[str, Any], separators: tuple[str, str]) -> None:
    line = json.dumps(USUAL | more, separators=separators).encode()

    assert fitting(learnt(line), line)


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(b'{"@timestamp":"2026-11-22T21:15:00.500Z","log.level":"info","message":"a\tb"}', id="a tab"),
        pytest.param(b'{"@timestamp":"2026-11-22T21:15:00.500Z","log.level":"info","message":"\xff"}', id="no UTF-8"),
        pytest.param(b'{"@timestamp":"2026-11-22T21:15:00.500Z","log.level":"info","message":"\\ud800"}', id="half"),
        pytest.param(b'{"@timestamp":"2026-11-22T21:15:00.500Z","log.level":"info","message":"\\x"}', id="no escape"),
        pytest.param(b'{"@timestamp":"2026-11-22T21:15:00.500Z","log.level":"info","message":"a""}', id="quotes"),
        pytest.param(b'{"@timestamp":"2026-11-22T21:15:00.500Z","log.level":"info","message":"a"}}', id="braces"),
        pytest.param(b'{"@timestamp":"2026-11-22T21:15:00.500Z","log.level":"loud","message":"a"}', id="no level"),
        pytest.param(b'{"@timestamp":"2026-02-30T21:15:00.500Z","log.level":"info","message":"a"}', id="no such day"),
        pytest.param(b'{"@timestamp":"2099-11-22T21:15:00.500Z","log.level":"info","message":"a"}', id="the future"),
        pytest.param(b'{"@timestamp":"2026-11-22T21:15:00.500Z","log.level":"info","message":"a","message":"b"}',
                     id="a name twice"),
        pytest.param(b"", id="nothing"),
    ],
)  # fmt: skip
def test_what_is_not_as_usual_does_not(line: bytes) -> None:
    shapes = learnt(json.dumps(USUAL, separators=(",", ":")).encode())

    assert not fitting(shapes, line)


@pytest.mark.parametrize("number", ["01", "1" * 19, "1.", "-", "1e400", "NaN", "1,2"])
def test_a_number_is_one_of_json_and_of_usual_length(number: str) -> None:
    sample = json.dumps(USUAL | {"labels": {"n": 1}}, separators=(",", ":"))

    assert not fitting(learnt(sample.encode()), sample.replace('"n":1', f'"n":{number}').encode())


def test_a_string_does_not_end_in_the_next_line() -> None:
    sample = json.dumps(USUAL, separators=(",", ":")).encode()
    torn = [sample, sample[:-2], sample, sample]
    ends = list(accumulate(len(line) + 1 for line in torn))
    place = Place(STREAM, 0, SHOP, [0, *ends[:-1]], ends, NOW)

    (columns,) = learnt(sample).read(torn, place)

    assert list(columns.at) == [0, 2, 3]


@pytest.mark.parametrize(
    "more",
    [
        pytest.param({"levelname": "INFO"}, id="an old name"),
        pytest.param({"error": "boom"}, id="an old name of ECS's object"),
        pytest.param({"http": {"a.b": 1}}, id="a dotted name inside"),
        pytest.param({"log": {"level": "info"}}, id="the level twice"),
        pytest.param({"event": {"id": "mine"}}, id="an id of its own"),
        pytest.param({"tags": [{"a": 1}]}, id="objects in a list"),
        pytest.param({"é": 1}, id="an unusual name"),
        pytest.param({f"f{number}": number for number in range(300)}, id="too many names"),
    ],
)
def test_unusual_records_are_not_learnt_from(more: dict[str, Any]) -> None:
    line = json.dumps(USUAL | more).encode()

    assert not fitting(learnt(line), line)


def test_shapes_may_be_mixed_with_anything_else() -> None:
    usual = json.dumps(USUAL).encode()
    asked = json.dumps(USUAL | {"http": {"request": {"method": "GET"}}}).encode()
    data = [usual, asked, b"no JSON", json.dumps(USUAL | {"message": 'a "b"'}).encode(), b'{"levelname": "WARN"}']
    data *= OFTEN
    intake = Intake(parse)

    intake.events(Source(SHOP), lines_of(data), READ_AT)
    events = intake.events(Source(SHOP), lines_of(data), READ_AT)

    for event, line in zip(events, lines_of(data), strict=True):
        assert same(event, careful(line, SHOP))


def test_lines_with_flags_keep_them() -> None:
    line = json.dumps(USUAL).encode()
    lines = [Line(line, 0, 10), Line(line, 10, 20, ("unterminated",))] * OFTEN

    events = Intake(parse).events(Source(SHOP), lines, READ_AT)

    assert [event.flags for event in events] == [(), ("unterminated",)] * OFTEN
    assert events[-1].document["log"]["flags"] == ["unterminated"]


@pytest.mark.parametrize(
    "number", ["NaN", "-Infinity", "1e999", pytest.param("9" * 400, id="four hundred digits"), "1.5"]
)
def test_numbers_that_json_has_not_hold_up_no_other_line(number: str) -> None:
    usual = json.dumps(USUAL).encode()
    odd = usual[:-1] + f', "loss": {number}}}'.encode()
    data = [usual, odd, odd] * 4 * OFTEN
    intake = Intake(parse)

    for _ in range(2):
        events = intake.events(Source(SHOP), lines_of(data), READ_AT)

        for event, line in zip(events, lines_of(data), strict=True):
            assert same(event, careful(line, SHOP))
