"""Times as people and programs write them, as microseconds since 1970 in UTC.

ISO 8601 and RFC 3339 with `T`, space, comma or zone (also logging's `asctime`), Unix seconds, milli-, micro- and
nanoseconds; what else programs write is in writtendates.py.
"""

import re
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache

from topmast_shipper import writtendates

_SECOND = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def parse(value: object, zone: tzinfo = UTC, now: int | None = None) -> int | None:
    """Return the time in microseconds; None when the value is no time.

    `zone` is for values that name none, `now` (microseconds) for those without a year; without it those are no times.
    """
    try:
        if isinstance(value, str):
            return _parse_text(value.strip(), zone, now)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return _parse_number(value)
    except (ValueError, OverflowError):
        pass
    return None


def isoformat(microseconds: int) -> str:
    """Return `2026-11-22T21:16:00.123456Z`; milliseconds only when there are no finer ones."""
    moment = _EPOCH + timedelta(microseconds=microseconds)
    precision = "milliseconds" if microseconds % 1000 == 0 else "microseconds"
    return moment.replace(tzinfo=None).isoformat(timespec=precision) + "Z"


def is_canonical(text: str) -> bool:
    """Return whether a text that is a time has the form that `isoformat` gives."""
    return len(text) in (24, 27) and text[10] == "T" and text[19] == "." and text.endswith("Z")


def of_canonical(text: bytes) -> int:
    """Return the microseconds of `2026-11-22T21:16:00.123Z` (or with six digits), whatever stands behind it.

    Far below 0 for what is no time.
    """
    return second(text[:19]) + (int(text[20:23]) * 1000 if text[23:24] == b"Z" else int(text[20:26]))


@lru_cache(maxsize=4096)
def second(text: bytes) -> int:
    """Return the microseconds of `2026-11-22T21:16:00` (UTC); far below 0 for what is no time."""
    found = parse(text.decode("latin-1") + "Z") if _SECOND.fullmatch(text) else None
    return -(1 << 62) if found is None else found


def day(microseconds: int) -> str:
    """Return the UTC day, `2026-11-22`."""
    return _day(microseconds // 86_400_000_000)


@lru_cache(maxsize=64)
def _day(number: int) -> str:
    return (_EPOCH + timedelta(days=number)).strftime("%Y-%m-%d")


def from_datetime(moment: datetime, zone: tzinfo = UTC) -> int:
    """Return the microseconds of a moment; one without a zone is taken to be in `zone`."""
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=zone)
    since = aware - _EPOCH
    return (since.days * 86400 + since.seconds) * 1_000_000 + since.microseconds


def _parse_text(text: str, zone: tzinfo, now: int | None) -> int | None:
    # fourteen digits are 20261122211600
    if text.isdecimal() and len(text) > 8 and len(text) != 14:
        return _parse_number(int(text))
    if len(text) >= 10 and text[4] == "-" and text[-1] != "]":
        try:
            return from_datetime(datetime.fromisoformat(text), zone)
        except ValueError:
            pass  # a blank before the zone, its name
    moment = writtendates.parse(text, zone, None if now is None else _EPOCH + timedelta(microseconds=now))
    return from_datetime(moment) if moment is not None else _parse_number(float(text))


def _parse_number(value: float) -> int | None:
    """Return the microseconds of a Unix time; its size tells its unit (1e8 s is 1973, 1e11 s the year 5138)."""
    size = abs(value)
    if not 1e8 <= size < 1e20:
        return None
    for limit, factor, divisor in ((1e11, 1_000_000, 1), (1e14, 1000, 1), (1e17, 1, 1), (1e20, 1, 1000)):
        if size < limit:
            return int(value * factor) // divisor
    return None
