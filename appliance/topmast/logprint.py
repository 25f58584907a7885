"""How found events look: a line each for people, CSV, bars over time, shapes."""

import csv
import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import click

_COLOURS = {"debug": "bright_black", "warning": "yellow", "error": "red", "critical": "bright_red"}
COLUMNS = ("@timestamp", "log.level", "service.name", "message")
_BAR = 50
# Widths of a bucket that people read easily, in seconds.
_WIDTHS = (1, 5, 10, 30, 60, 300, 600, 1800, 3600, 10_800, 21_600, 43_200, 86_400, 604_800)
_BUCKETS = 30
# What a spreadsheet takes for a formula.
_FORMULA = re.compile(r"^[=+\-@\t\r]")


def one_line(document: Mapping[str, Any], fields: Sequence[str] = ()) -> str:
    """Return time, level, service and message, and the status and error where there are some; or these fields."""
    level = str(at(document, "log.level") or "info")
    if fields:
        text = "  ".join(harmless(as_text(at(document, name))) for name in fields)
    else:
        service = str(at(document, "service.name") or "-")
        told = [str(document.get("message", ""))]
        for name, path in (("status", "http.response.status_code"), ("error", "error.type")):
            value = at(document, path)
            if value is not None:
                told.append(f"{name}={value}")
        if stack := at(document, "error.stack_trace"):
            told.append(f"| {str(stack).strip().rsplit(chr(10), 1)[-1]}")
        moment = str(document.get("@timestamp", ""))
        text = f"{moment:<27} {level.upper():<8} {harmless(service):<12} {harmless(' '.join(told))}"
    return click.style(text, fg=_COLOURS[level]) if level in _COLOURS else text


def harmless(text: str) -> str:
    """Return the text on one line, with control characters written out: no log line drives a terminal."""
    return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def at(document: Mapping[str, Any], name: str) -> Any:
    """Return the value at a dotted name; None when there is none."""
    value: Any = document
    for key in name.split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def as_text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def picked(document: Mapping[str, Any], fields: Sequence[str]) -> dict[str, Any]:
    """Return the fields that are there, flat."""
    return {name: value for name in fields if (value := at(document, name)) is not None}


def csv_row(values: Iterable[Any]) -> str:
    """Return a row (RFC 4180); text that a spreadsheet would calculate has an apostrophe before it."""
    out = io.StringIO()
    cells = (as_text(value) for value in values)
    csv.writer(out, lineterminator="").writerow([f"'{cell}" if _FORMULA.match(cell) else cell for cell in cells])
    return out.getvalue()


def width_of(seconds: float) -> int:
    """Return how wide a bucket is so that there are about thirty."""
    return next((width for width in _WIDTHS if seconds / width <= _BUCKETS), _WIDTHS[-1])


def bars(buckets: Sequence[Mapping[str, Any]], width: int) -> list[str]:
    """Return a line for each bucket from the first to the last that has any; errors stand first, in another sign."""
    if not buckets:
        return []
    counts = {each["time"]: each for each in buckets}
    most = max(each["count"] for each in buckets)
    lines = []
    for time in range(buckets[0]["time"], buckets[-1]["time"] + 1, width):
        found = counts.get(time, {"count": 0, "levels": {}})
        bad = sum(found["levels"].get(level, 0) for level in ("error", "critical"))
        length = -(-found["count"] * _BAR // most)
        worse = min(length, -(-bad * _BAR // most))
        moment = datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%d %H:%M:%S")
        drawn = click.style("█" * worse, fg="red") + "▒" * (length - worse)
        lines.append(f"{moment}  {found['count']:>9}  {drawn}".rstrip())
    return lines
