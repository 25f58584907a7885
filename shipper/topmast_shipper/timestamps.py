"""Times as people and programs write them, as microseconds since 1970 in UTC.

ISO 8601 and RFC 3339 with `T`, space, comma or zone (also logging's `asctime`), Unix seconds, milli-, micro- and
nanoseconds, and the `22/Nov/2026:21:16:00 +0000` of access logs (Common Log Format).
"""

import re
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache

_MONTHS = {name: number for number, name in enumerate(
    ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"), start=1
)}  # fmt: skip
_SECOND = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def parse(value: object, zone: tzinfo = UTC) -> int | None:
    """Return the time in microseconds; None when the value is no time. `zone` is for values that name none."""
    try:
        if isinstance(value, str):
            return _parse_text(value.strip(), zone)
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
    return second(text[:19]) + int(text[20:].partition(b"Z")[0].ljust(6, b"0"))


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


def _parse_text(text: str, zone: tzinfo) -> int | None:
    if len(text) >= 20 and text[2] == "/" and text[6] == "/":
        return from_datetime(_parse_common(text), zone)
    if text.isdecimal() and len(text) > 8:
        return _parse_number(int(text))
    if len(text) < 10 or text[4] != "-":
        return _parse_number(float(text))
    return from_datetime(datetime.fromisoformat(text), zone)


def _parse_common(text: str) -> datetime:
    """Return the moment of `22/Nov/2026:21:16:00 +0000`."""
    month = _MONTHS.get(text[3:6].capitalize())
    if month is None:
        raise ValueError(text)
    clock, _, offset = text[7:].partition(" ")
    year, hour, minute, second = clock.split(":")
    return datetime.fromisoformat(f"{year}-{month:02d}-{text[:2]}T{hour}:{minute}:{second}{offset}")


def _parse_number(value: float) -> int | None:
    """Return the microseconds of a Unix time; its size tells its unit (1e8 s is 1973, 1e11 s the year 5138)."""
    size = abs(value)
    if not 1e8 <= size < 1e20:
        return None
    for limit, factor, divisor in ((1e11, 1_000_000, 1), (1e14, 1000, 1), (1e17, 1, 1), (1e20, 1, 1000)):
        if size < limit:
            return int(value * factor) // divisor
    return None
