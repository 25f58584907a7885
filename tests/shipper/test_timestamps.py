"""timestamps.py: times as people and programs write them."""

from datetime import timedelta, timezone

import pytest
from topmast_shipper.timestamps import day, is_canonical, isoformat, of_canonical, parse

MOMENT = 1_795_382_160_123_000  # 2026-11-22T21:16:00.123Z


@pytest.mark.parametrize(
    "value",
    [
        pytest.param("2026-11-22T21:16:00.123Z", id="ISO 8601"),
        pytest.param("2026-11-22T21:16:00.123+00:00", id="offset"),
        pytest.param("2026-11-22T23:16:00.123+02:00", id="another zone"),
        pytest.param("2026-11-22T23:16:00.123+0200", id="another zone, no colon"),
        pytest.param("2026-11-22 21:16:00.123", id="a space, no zone"),
        pytest.param("2026-11-22 21:16:00,123", id="asctime of logging"),
        pytest.param(" 2026-11-22T21:16:00.123Z ", id="blanks around"),
        pytest.param("2026-11-22T21:16:00.123000Z", id="microseconds"),
        pytest.param(1_795_382_160.123, id="seconds"),
        pytest.param(1_795_382_160_123, id="milliseconds"),
        pytest.param(1_795_382_160_123_000, id="microseconds as a number"),
        pytest.param(1_795_382_160_123_000_000, id="nanoseconds"),
        pytest.param("1795382160123", id="milliseconds as text"),
        pytest.param("1795382160.123", id="seconds as text"),
    ],
)
def test_parse(value: object) -> None:
    assert parse(value) == pytest.approx(MOMENT, abs=1)


def test_common_log_format() -> None:
    assert parse("22/Nov/2026:23:16:00 +0200") == MOMENT - 123_000


def test_a_zone_for_those_that_name_none() -> None:
    assert parse("2026-11-22 23:16:00,123", timezone(timedelta(hours=2))) == MOMENT


@pytest.mark.parametrize(
    "value",
    ["", "yesterday", "2026-13-01T00:00:00Z", "22/Foo/2026:21:16:00 +0000", None, True, [], {}, 0, -1, 1e30,
     float("nan"), float("inf"), "nan", "1e999", "9" * 400],
)  # fmt: skip
def test_what_is_no_time(value: object) -> None:
    assert parse(value) is None


@pytest.mark.parametrize(
    ("microseconds", "text"),
    [
        pytest.param(MOMENT, "2026-11-22T21:16:00.123Z", id="milliseconds"),
        pytest.param(MOMENT + 456, "2026-11-22T21:16:00.123456Z", id="microseconds"),
        pytest.param(0, "1970-01-01T00:00:00.000Z", id="the beginning"),
    ],
)
def test_isoformat(microseconds: int, text: str) -> None:
    assert isoformat(microseconds) == text
    assert is_canonical(text)
    assert parse(text) == microseconds


def test_day() -> None:
    assert day(MOMENT) == "2026-11-22"
    assert day(MOMENT // 86_400_000_000 * 86_400_000_000 - 1) == "2026-11-21"


@pytest.mark.parametrize("behind", [b"", b'","mes'])
@pytest.mark.parametrize("microseconds", [MOMENT, MOMENT + 456, MOMENT - 123_000, 0])
def test_what_isoformat_writes_is_read_whatever_stands_behind_it(microseconds: int, behind: bytes) -> None:
    assert of_canonical(isoformat(microseconds).encode() + behind) == microseconds
