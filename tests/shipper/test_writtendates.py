"""writtendates.py: every form, zones, the end of summer time, texts without a year."""

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from topmast_shipper import timestamps

SECOND = 1_795_382_160_000_000  # 2026-11-22T21:16:00Z
NOW = SECOND + 3_600_000_000
BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("2026-11-22T21:16:00Z", id="RFC 3339"),
        pytest.param("2026-11-22T22:16:00+01:00", id="an offset"),
        pytest.param("2026-11-22T22:16:00+0100", id="an offset without a colon"),
        pytest.param("2026-11-22T22:16:00+01", id="an offset of hours"),
        pytest.param("2026-11-22 21:16:00 +0000", id="a blank before the offset (gunicorn, git)"),
        pytest.param("2026-11-22 21:16:00.000 UTC", id="a zone's name (PostgreSQL)"),
        pytest.param("2026-11-22 22:16:00 CET", id="another zone's name"),
        pytest.param("2026-11-22 16:16:00 EST", id="an American zone's name"),
        pytest.param("2026-11-22T21:16:00.000000000Z", id="nanoseconds (Go, Docker)"),
        pytest.param("2026-11-22T22:16:00.000+01:00[Europe/Berlin]", id="ZonedDateTime (Java)"),
        pytest.param("2026-11-22T22:16:00[Europe/Berlin]", id="ZonedDateTime by the place alone"),
        pytest.param("2026-11-22 21:16:00,000", id="asctime of logging"),
        pytest.param("2026-11-22 21:16", id="no seconds"),
        pytest.param("2026/11/22 21:16:00", id="Go's log, nginx's errors"),
        pytest.param("2026/11/22 21:16:00.000000", id="Go's log with microseconds"),
        pytest.param("22/Nov/2026:21:16:00 +0000", id="access logs"),
        pytest.param("22/Nov/2026 21:16:00", id="Django's server"),
        pytest.param("Sun, 22 Nov 2026 21:16:00 GMT", id="RFC 1123 (HTTP)"),
        pytest.param("Sun, 22 Nov 2026 22:16:00 +0100", id="RFC 2822 (mail)"),
        pytest.param("22 Nov 2026 21:16:00.000", id="Redis"),
        pytest.param("22-Nov-2026 21:16:00", id="with hyphens (BIND, Tomcat)"),
        pytest.param("Sun Nov 22 21:16:00 2026", id="asctime of C"),
        pytest.param("Sun Nov 22 22:16:00 CET 2026", id="date(1)"),
        pytest.param("Nov 22 21:16:00", id="RFC 3164"),
        pytest.param("November 22 21:16:00", id="a month written out"),
        pytest.param("22.11.2026 21:16:00", id="with dots"),
        pytest.param("20261122T211600Z", id="ISO 8601, basic"),
        pytest.param("20261122211600", id="digits alone"),
        pytest.param("2026-11-22T21:15:60Z", id="a leap second"),
    ],
)
def test_forms(text: str) -> None:
    assert timestamps.parse(text, UTC, NOW) == SECOND


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        pytest.param("2026-07-01 12:00:00", "2026-07-01T10:00:00", id="summer"),
        pytest.param("2026-12-01 12:00:00", "2026-12-01T11:00:00", id="winter"),
        pytest.param("2026-10-25 02:30:00", "2026-10-25T00:30:00", id="an hour that comes twice: the first"),
        pytest.param("2026-03-29 02:30:00", "2026-03-29T01:30:00", id="an hour that never was"),
        pytest.param("01/Jul/2026 12:00:00", "2026-07-01T10:00:00", id="another form"),
    ],
)
def test_a_place_for_texts_that_name_none(text: str, moment: str) -> None:
    expected = timestamps.from_datetime(datetime.fromisoformat(moment))

    assert timestamps.parse(text, BERLIN, NOW) == expected


@pytest.mark.parametrize(
    ("text", "now", "year"),
    [
        pytest.param("Dec 31 23:59:59", "2026-01-01T00:00:05", 2025, id="read after New Year"),
        pytest.param("Jan  1 00:00:01", "2025-12-31T23:59:59", 2026, id="a clock that is ahead at New Year"),
        pytest.param("Mar  1 10:00:00", "2026-11-22T00:00:00", 2026, id="this year"),
        pytest.param("Dec 24 10:00:00", "2026-11-22T00:00:00", 2025, id="last year"),
        pytest.param("Feb 29 10:00:00", "2025-01-05T00:00:00", 2024, id="a leap day"),
    ],
)
def test_a_text_without_a_year_is_of_the_nearest(text: str, now: str, year: int) -> None:
    found = timestamps.parse(text, UTC, timestamps.from_datetime(datetime.fromisoformat(now)))

    assert found is not None
    assert timestamps.isoformat(found)[:4] == str(year)


@pytest.mark.parametrize(
    "text",
    ["Nov 22", "22 Foo 2026 21:16:00", "2026-11-22 21:16:00 XYZ", "2026-11-22 21:16:00 CST", "Feb 30 10:00:00",
     "32/Nov/2026:21:16:00 +0000", "2026-11-22T21:16:00[Nowhere/At_All]", "2026-11-22T25:00:00Z", "1" * 81],
)  # fmt: skip
def test_what_is_no_time(text: str) -> None:
    assert timestamps.parse(text, UTC, NOW) is None


def test_without_now_a_text_without_a_year_is_none() -> None:
    assert timestamps.parse("Nov 22 21:16:00") is None


def test_every_offset() -> None:
    for hours in range(-12, 15):
        zone = timezone(timedelta(hours=hours))
        text = datetime.fromtimestamp(SECOND / 1e6, zone).strftime("%d/%b/%Y:%H:%M:%S %z")

        assert timestamps.parse(text, UTC, NOW) == SECOND
