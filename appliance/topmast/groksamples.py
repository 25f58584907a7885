"""The samples of the grok patterns: lines that fit with their fields, lines that do not, and hostile ones for all."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

# Long, nearly fitting, without end: what makes a backtracking engine think for hours.
HOSTILE: tuple[str, ...] = (
    "a" * 30_000,
    " " * 30_000,
    "\n" * 30_000,
    '"' * 30_000,
    "\\" * 30_000,
    "[" * 15_000 + "]" * 15_000,
    "INFO:     " * 3_000,
    "203.0.113.7 - - [22/Nov/2026:21:16:00 +0000] " * 600,
    "2026/11/22 21:16:00 [error] 31#32: *7 " + ", client: " * 3_000,
    "Traceback (most recent call last):\n" * 800,
    "# Query_time: 1.0  Lock_time: 1.0 Rows_sent: 1  Rows_examined: 1\n" * 400,
    '<165>1 2026-11-22T21:16:00Z a b c d [x y="' + "\\" * 20_000,
    '<165>1 2026-11-22T21:16:00Z a b c d ' + "[x]" * 9_000,
    "\x00\x1b[31m\u202e\ufeff" * 5_000,
    "é" * 15_000,
)  # fmt: skip


@dataclass(frozen=True)
class Sample:
    """A line and what a pattern makes of it; `fields` is None for one that does not fit."""

    pattern: str
    line: str
    fields: Mapping[str, Any] | None


@cache
def samples() -> tuple[Sample, ...]:
    """Return the samples of every pattern, in the order of groksamples.yml."""
    told = yaml.safe_load(Path(__file__).with_suffix(".yml").read_text(encoding="utf-8"))
    return tuple(
        Sample(pattern, line, fields)
        for pattern, of in told.items()
        for line, fields in (
            *((each["line"], each["fields"]) for each in of["fits"]),
            *((line, None) for line in of["not"]),
        )
    )
