"""A plain body is read at once, and means what it means event by event; whatever is odd is left to that."""

import json
import random

import pytest
from topmast_exporter import usage_body
from topmast_exporter.usage_body import MAX_LINE_BYTES, _Event, parse_body, parse_plain
from topmast_exporter.usage_event import OUTCOMES, parse
from topmast_exporter.web import HttpError

NOW = 1_795_176_000.0
PLAIN = {
    "id": "a",
    "timestamp": "2026-11-20T11:00:00Z",
    "provider": " OpenAI ",
    "model": "gpt-4o",
    "feature": "search",
    "usage": {"input": 100, "output": 10, "cache_read": 60, "reasoning": 3},
    "convention": "total",
    "duration_seconds": 1.25,
    "time_to_first_token_seconds": 1,
    "attempt": 2,
    "stream": True,
    "cost_usd": 0.01,
    "unknown": {"left": ["alone"]},
}
# What senders write into a field, right or wrong.
VALUES = [
    None,
    "",
    "x",
    "ä",
    "\ud800",
    "x" * 300,
    0,
    1,
    -1,
    1.0,
    1.5,
    10**15,
    2**70,
    True,
    False,
    [],
    {},
    "ok",
    "cached",
    "total",
    "additive",
    NOW,
    NOW - 10**7,
    NOW + 99,
    "2026-11-20T11:00:00",
    1e300,
    float("nan"),
]
USAGES = [
    {},
    {"input": 0},
    {"input": 5, "output": None},
    {"input": 5.0},
    {"input": 5, "cache_read": 9},
    {"x": 1},
    {"input": 5, "audio_in": 9},
    {"output": 3, "reasoning": 4},
    {"input": -1},
    {"input": 10, "cache_write_1h": 9},
]


def one_by_one(monkeypatch, *arguments):
    with monkeypatch.context() as patched:
        patched.setattr(usage_body, "parse_plain", lambda *_: None)
        return parse_body(*arguments)


def test_a_plain_body_is_read_at_once():
    body = "\n".join(json.dumps({**PLAIN, "id": str(number)}) for number in range(100)).encode()

    found = parse_plain(body, "application/x-ndjson", NOW)

    assert found == [parse({**PLAIN, "id": str(number)}, NOW) for number in range(100)]


def test_every_event_means_the_same_either_way(monkeypatch):
    chance, at_once = random.Random(5), 0
    for number in range(4_000):
        event = {"id": "a"} if chance.random() < 0.3 else dict(PLAIN)
        for _ in range(chance.randrange(3)):
            field = chance.choice(list(_Event.__struct_fields__))
            event[field] = chance.choice(USAGES if field == "usage" and chance.random() < 0.8 else VALUES)
        body = json.dumps([event] if number % 3 == 0 else event).encode()
        kind = "application/x-ndjson" if number % 3 == 1 else "application/json"

        at_once += parse_plain(body, kind, NOW) is not None
        assert parse_body(body, kind, NOW) == one_by_one(monkeypatch, body, kind, NOW), event

    assert 500 < at_once < 3_500  # both ways were gone


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(json.dumps(PLAIN).encode() + b"\r\n\r\n", id="empty lines"),
        pytest.param(json.dumps(PLAIN).encode() + b"\n{", id="a broken line"),
        pytest.param(json.dumps(PLAIN).encode() + b"\r" + json.dumps(PLAIN).encode(), id="carriage returns"),
        pytest.param(json.dumps({**PLAIN, "x": "y" * MAX_LINE_BYTES}).encode() + b"\n{}", id="a long line"),
        pytest.param(json.dumps(PLAIN, indent=1).encode(), id="one event on many lines"),
        pytest.param(b'{"id": "a", "id": "b"}', id="a key twice"),
        pytest.param(b'{"id": "a", "model": "\xff"}', id="no UTF-8"),
        pytest.param(b"[" * 50_000, id="deep"),
        pytest.param(b'{"id": "a", "x": ' + b"[" * 3_000 + b"]" * 3_000 + b"}", id="deep in what is left alone"),
        pytest.param(b"", id="nothing"),
        pytest.param(b"[]", id="no event"),
    ],
)
@pytest.mark.parametrize("kind", ["application/x-ndjson", "application/json"])
def test_odd_bodies_mean_the_same_either_way(monkeypatch, body, kind):
    def told(ask):
        try:
            return ask()
        except HttpError as error:
            return error.status, str(error)

    assert told(lambda: parse_body(body, kind, NOW)) == told(lambda: one_by_one(monkeypatch, body, kind, NOW))


def test_the_outcomes_are_those_of_an_event():
    for outcome in OUTCOMES:
        assert parse_plain(json.dumps({**PLAIN, "outcome": outcome}).encode(), "", NOW) is not None
