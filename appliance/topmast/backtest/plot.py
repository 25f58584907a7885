"""When an alert fired, as rows of cells for a terminal, and as one HTML file that loads nothing."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, tzinfo
from html import escape

from topmast.backtest.states import Episode

QUIET, PENDING, FIRING = "·", "░", "█"
# (at most so long, seconds of a row, seconds of a cell, what the quarters of a row are called)
_SCALES = (
    (12 * 3600.0, 3600.0, 60.0, (":00", ":15", ":30", ":45")),
    (2 * 86400.0, 14400.0, 300.0, ("+0 h", "+1 h", "+2 h", "+3 h")),
    (float("inf"), 86400.0, 1800.0, ("0:00", "6:00", "12:00", "18:00")),
)
MAX_ROWS = 60
_COLORS = {QUIET: "none", PENDING: "#d9822b55", FIRING: "#c4314b"}


def rows(episodes: Sequence[Episode], start: float, end: float, zone: tzinfo) -> list[tuple[str, str]]:
    """Return (when the row begins, its cells), oldest first; what lies outside the span is blank."""
    _, row_seconds, cell_seconds, _ = next(each for each in _SCALES if end - start <= each[0])
    begin = _begin(start, row_seconds, zone)
    found: list[tuple[str, str]] = []
    while begin.timestamp() <= end and len(found) < MAX_ROWS:
        cells = ""
        for index in range(int(row_seconds / cell_seconds)):
            left = begin.timestamp() + index * cell_seconds
            cells += _cell(episodes, left, left + cell_seconds, start, end)
        name = begin.strftime("%a %d %b" if row_seconds >= 86400 else "%d %b %H:%M")
        found.append((name, cells))
        begin += timedelta(seconds=row_seconds)
    return found


def _begin(start: float, row_seconds: float, zone: tzinfo) -> datetime:
    first = datetime.fromtimestamp(start, zone)
    hour = 0 if row_seconds >= 86400 else first.hour // int(row_seconds // 3600) * int(row_seconds // 3600)
    return first.replace(hour=hour, minute=0, second=0, microsecond=0)


def _cell(episodes: Sequence[Episode], left: float, right: float, start: float, end: float) -> str:
    if right <= start or left > end:
        return " "
    cell = QUIET
    for each in episodes:
        over = end if each.ended is None else each.ended
        if each.active < right and over > left:
            if each.fired is not None and each.fired < right:
                return FIRING
            cell = PENDING
    return cell


def text(episodes: Sequence[Episode], start: float, end: float, zone: tzinfo) -> str:
    """Return the rows for a terminal, with what the cells mean."""
    listed = rows(episodes, start, end, zone)
    width, cells = len(listed[0][0]), len(listed[0][1])
    quarters = "".join(each.ljust(cells // 4) for each in next(one for one in _SCALES if end - start <= one[0])[3])
    lines = [f"{'':<{width}}  {quarters.rstrip()}", *(f"{name}  {row}" for name, row in listed)]
    return "\n".join([*lines, f"{FIRING} fired  {PENDING} held, not for long enough  {QUIET} quiet"])


def page(title: str, tables: Mapping[str, str], parts: Mapping[str, Sequence[tuple[str, str]]]) -> str:
    """Return an HTML document: each part's figures as text, and its rows as squares."""
    body = ""
    for name, listed in parts.items():
        squares = ""
        for y, (when, cells) in enumerate(listed):
            squares += f'<text x="0" y="{y * 14 + 11}">{escape(when)}</text>'
            squares += "".join(
                f'<rect x="{90 + x * 12}" y="{y * 14}" width="11" height="12" fill="{_COLORS.get(cell, "none")}"'
                f' stroke="#8884" stroke-width="{0 if cell == " " else 0.5}"/>'
                for x, cell in enumerate(cells)
            )
        width = 90 + 12 * max((len(cells) for _, cells in listed), default=0)
        body += (
            f"<h2>{escape(name)}</h2><pre>{escape(tables.get(name, ''))}</pre>"
            f'<svg viewBox="0 0 {width} {max(len(listed), 1) * 14}" width="{width}" role="img" '
            f'aria-label="when {escape(name)} fired">{squares}</svg>'
        )
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        f"<title>{escape(title)}</title><style>:root {{ color-scheme: light dark }} "
        "body { font: 15px/1.5 system-ui, sans-serif; max-width: 1000px; margin: 2rem auto; padding: 0 1rem } "
        "svg { max-width: 100%; height: auto } text { font-size: 10px; fill: currentColor }</style></head>"
        f"<body><h1>{escape(title)}</h1>{body}<p>Red: it fired. Orange: it held, not for long enough.</p>"
        "</body></html>\n"
    )
