"""Dates as texts of programs that do not write ISO 8601: access logs, mail, C, syslog, Go, Redis, Java.

Each form is a regular expression with named parts; what no form fits is no time. A text without a year is of the year
that brings it nearest to `now` without lying more than a day ahead of it.
"""

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_MONTHS = {name: number for number, name in enumerate(
    ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"), start=1
)}  # fmt: skip
# RFC 2822 section 4.3, and those of Europe and Japan; a name that several zones have is none.
_ZONES = {
    "z": 0, "utc": 0, "gmt": 0, "ut": 0, "wet": 0, "est": -5, "edt": -4, "cdt": -5, "mst": -7, "mdt": -6, "pst": -8,
    "pdt": -7, "cet": 1, "cest": 2, "eet": 2, "eest": 3, "west": 1, "msk": 3, "jst": 9,
}  # fmt: skip
_MONTH = r"(?P<month>[A-Za-z]{3})[a-z]{0,6}"
_NUMBER = r"(?P<month>\d\d)"
_DAY = r"(?P<day>\d?\d)"
_YEAR = r"(?P<year>\d{4})"
_CLOCK = r"(?P<hour>\d\d):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:[.,](?P<fraction>\d{1,9}))?)?"
_ZONE = r"(?:\s?(?P<zone>[+-]\d\d(?::?\d\d)?|[A-Za-z]{1,4}))?"
_FORMS = tuple(
    re.compile(form)
    for form in (
        rf"{_YEAR}[-/]{_NUMBER}[-/]{_DAY}[T ]{_CLOCK}{_ZONE}(?:\[(?P<place>[A-Za-z_/+-]{{1,64}})\])?",
        rf"{_YEAR}[-/]{_NUMBER}[-/]{_DAY}",
        # access logs; Django's server has a blank before the time
        rf"{_DAY}/{_MONTH}/{_YEAR}[: ]{_CLOCK}{_ZONE}",
        # RFC 2822 and RFC 1123 (with a comma), Redis
        rf"(?:[A-Za-z]{{3}},?\s)?{_DAY}[ -]{_MONTH}[ -]{_YEAR} {_CLOCK}{_ZONE}",
        # C's asctime, date(1)
        rf"(?:[A-Za-z]{{3}}\s)?{_MONTH}\s{{1,2}}{_DAY} {_CLOCK}(?:\s(?P<zone>[A-Za-z]{{1,4}}))? {_YEAR}",
        # RFC 3164
        rf"{_MONTH}\s{{1,2}}{_DAY} {_CLOCK}",
        rf"{_DAY}\.{_NUMBER}\.{_YEAR}[ ,]\s?{_CLOCK}{_ZONE}",
        # ISO 8601, basic
        rf"{_YEAR}{_NUMBER}(?P<day>\d\d)[T ]?(?P<hour>\d\d)(?P<minute>\d\d)(?P<second>\d\d)"
        rf"(?:[.,](?P<fraction>\d{{1,9}}))?{_ZONE}",
    )
)
_MAX_CHARACTERS = 80
_DAY_AHEAD = timedelta(days=1)


def parse(text: str, zone: tzinfo, now: datetime | None) -> datetime | None:
    """Return the moment; None for what is no time.

    `zone` is for texts that name none, `now` for those without a year (without it, they are none). In the hour that
    the end of summer time repeats, the first of the two is meant.
    """
    if len(text) > _MAX_CHARACTERS:
        return None
    for form in _FORMS:
        found = form.fullmatch(text)
        if found is not None:
            return _moment(found.groupdict(), zone, now)
    return None


def _moment(parts: dict[str, str | None], zone: tzinfo, now: datetime | None) -> datetime | None:
    said = parts["month"] or ""
    month = int(said) if said.isdecimal() else _MONTHS.get(said.lower())
    named = _zone(parts.get("zone"), parts.get("place"), zone)
    if month is None or named is None:
        return None
    second = int(parts.get("second") or 0)
    leap = second == 60
    microsecond = int((parts.get("fraction") or "0").ljust(6, "0")[:6])

    def of(year: int) -> datetime:
        moment = datetime(
            year, month, int(parts["day"] or 1), int(parts.get("hour") or 0), int(parts.get("minute") or 0),
            59 if leap else second, microsecond, tzinfo=named,
        )  # fmt: skip
        return moment + timedelta(seconds=1) if leap else moment

    if (year := parts.get("year")) is not None:
        return of(int(year))
    if now is None:
        return None
    for candidate in (now.year + 1, now.year, now.year - 1):
        try:
            moment = of(candidate)
        except ValueError:
            continue  # the 29th of February
        if moment - now <= _DAY_AHEAD:
            return moment
    return None


def _zone(text: str | None, place: str | None, otherwise: tzinfo) -> tzinfo | None:
    """Return the zone that a text names; None for a name that nobody knows."""
    if text is not None:
        hours = _ZONES.get(text.lower())
        if hours is not None:
            return timezone(timedelta(hours=hours)) if hours else UTC
        if text[0] not in "+-":
            return None
        digits = text[1:].replace(":", "")
        offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:] or 0))
        return timezone(-offset if text[0] == "-" else offset)
    if place is not None:
        try:
            return ZoneInfo(place)
        except (ZoneInfoNotFoundError, ValueError):
            return None
    return otherwise
