"""ratelimit.py: what is too much is dropped, and how much that was is written."""

import io
import json
import logging

from topmast_shipper.formatter import EcsFormatter
from topmast_shipper.logging import limit_rates
from topmast_shipper.ratelimit import RateLimit


def record(name: str, level: int = logging.INFO) -> logging.LogRecord:
    return logging.makeLogRecord({"name": name, "levelno": level, "msg": "m"})


def test_so_many_a_second_pass_and_the_rest_is_counted() -> None:
    now, told = [0.0], []
    limit = RateLimit({"chatty": 2}, lambda: now[0], lambda name, dropped: told.append((name, dropped)))

    passed = [limit.filter(record("chatty.child")) for _ in range(5)]
    now[0] = 1.0
    later = limit.filter(record("chatty"))

    assert (passed, later) == ([True, True, False, False, False], True)
    assert (limit.total, told) == (3, [("chatty", 3)])


def test_others_and_errors_always_pass() -> None:
    limit = RateLimit({"chatty": 1}, lambda: 0.0)

    assert all(limit.filter(record("quiet")) for _ in range(5))
    assert all(limit.filter(record("chatty", logging.ERROR)) for _ in range(5))


def test_the_nearest_name_counts_and_the_empty_one_is_everybody_else() -> None:
    limit = RateLimit({"": 1, "a.b": 3}, lambda: 0.0)

    assert [limit.filter(record("a.b.c")) for _ in range(4)] == [True, True, True, False]
    assert [limit.filter(record("x")) for _ in range(2)] == [True, False]


def test_what_was_dropped_last_is_told_at_the_end() -> None:
    told: list[tuple[str, int]] = []
    limit = RateLimit({"a": 1}, lambda: 0.0, lambda name, dropped: told.append((name, dropped)))
    for _ in range(4):
        limit.filter(record("a"))

    limit.close()
    limit.close()

    assert told == [("a", 3)]


def test_the_number_is_a_record_of_its_own() -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(EcsFormatter("shop"))
    limit = limit_rates(handler, {"a": 1})
    for _ in range(3):
        handler.handle(record("a"))

    limit.close()

    told = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [one["message"] for one in told] == ["m", "records over the rate limit were dropped: 2"]
    assert told[1]["labels.dropped"] == 2
