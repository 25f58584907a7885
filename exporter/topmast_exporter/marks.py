"""POST /v1/marks: what a person or a CI did (a deploy, a rollback, maintenance), shown on the dashboards.

A body is one JSON object: `text` (or `title`), and as wanted `kind`, `service`, `environment`, `time` and `end` (unix
seconds or RFC 3339), `id`. The answer is 201 `{"id": …, "created": true}` once the mark is durable, 200 when its id
is known: then only an `end` that is told later is taken over. GET /v1/marks lists what is kept, the newest first.

A mark is a series whose value is its time, so it is drawn where it belongs although it is scraped later, and however
far one looks back. Its text is a label: marks are few, and only the newest are shown.
"""

import json
import logging
import os
import re
import threading
import time
import uuid
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from topmast_exporter.registry import Registry
from topmast_exporter.web import HttpError

log = logging.getLogger(__name__)

PATH = "/v1/marks"
FILE = "marks.json"
METRIC = "exporter_mark_timestamp_seconds"
KINDS = ("deploy", "rollback", "maintenance", "incident", "other")
FIELDS = ("text", "title", "kind", "service", "environment", "time", "end", "id")

MAX_BODY_BYTES = 16_384
MAX_TEXT = 500
MAX_LABEL = 120
"""Characters of a text that is shown."""
MAX_KEPT, MAX_SHOWN = 500, 50
MAX_AN_HOUR = 120
_DAY = 86_400.0
_OLDEST, _AHEAD, _LONGEST = 30 * _DAY, _DAY, 7 * _DAY
_NAME = re.compile(r"[A-Za-z0-9._/-]{1,64}\Z")
_ID = re.compile(r"[\x21-\x7e]{1,128}\Z")


@dataclass(frozen=True)
class Mark:
    """Something that was done. Times are unix seconds; `end` is None for a moment, or while it is going on."""

    id: str
    kind: str
    text: str
    service: str
    environment: str
    time: float
    end: float | None = None


def parse(body: bytes, now: float, environment: str) -> Mark:
    """Return the mark that a body tells of. Raises HttpError(400) with what is wrong."""
    try:
        given = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise HttpError(400, "the body is not JSON") from error
    if not isinstance(given, dict):
        raise HttpError(400, "a mark is one JSON object")
    if unknown := sorted(set(given) - set(FIELDS)):
        raise HttpError(400, f"{unknown[0][:64]!r} is unknown; a mark has {', '.join(FIELDS)}")
    text = _text(given)
    kind = given.get("kind", "deploy")
    if kind not in KINDS:
        raise HttpError(400, f"kind is one of {', '.join(KINDS)}")
    at = _time("time", given.get("time"), now)
    if not now - _OLDEST <= at <= now + _AHEAD:
        raise HttpError(400, "time lies at most 30 days back and one day ahead")
    end = None if given.get("end") is None else _time("end", given["end"], now)
    if end is not None and not at <= end <= at + _LONGEST:
        raise HttpError(400, "end lies after time, by seven days at the most")
    name = given.get("id") or uuid.uuid4().hex
    if not isinstance(name, str) or not _ID.match(name):
        raise HttpError(400, "id is 1 to 128 visible ASCII characters")
    return Mark(name, kind, text, _name(given, "service", ""), _name(given, "environment", environment), at, end)


def _text(given: dict[str, Any]) -> str:
    text = given.get("text") or given.get("title")
    if not isinstance(text, str) or not (text := clean(text)):
        raise HttpError(400, "text says what was done")
    if len(text) > MAX_TEXT:
        raise HttpError(400, f"text has at most {MAX_TEXT} characters")
    return text


def clean(text: str) -> str:
    """Return a text in one line, without what is not to be seen."""
    return " ".join("".join(each if each.isprintable() else " " for each in text).split())


def _name(given: dict[str, Any], key: str, default: str) -> str:
    value = given.get(key) or default
    if value == default or (isinstance(value, str) and _NAME.match(value)):
        return str(value)
    raise HttpError(400, f"{key} is 1 to 64 letters, digits, dots, dashes, slashes or underscores")


def _time(key: str, value: object, now: float) -> float:
    if value is None:
        return now
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1e11:
        return float(value)
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        found = None
    if found is None:
        raise HttpError(400, f"{key} is unix seconds or RFC 3339 (2026-03-01T10:00:00Z)")
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


class Marks:
    """The marks that are kept: in memory, and in one small file that is replaced as a whole."""

    def __init__(
        self,
        folder: Path | None,
        registry: Registry,
        environment: str = "production",
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Without a folder they are forgotten at the end."""
        self.environment = environment
        self._clock, self._lock = clock, threading.Lock()
        self._path = None if folder is None else folder / FILE
        self._marks = {mark.id: mark for mark in self._read()}
        self._created: list[float] = []
        family = registry.gauge(
            METRIC,
            "When something was done that a person or a CI told of; a span begins and ends.",
            ("kind", "text", "service", "env", "moment"),
        )
        family.set_source(self.samples)

    def take(self, body: bytes) -> tuple[Mark, bool]:
        """Keep the mark that a body tells of; return it and whether it is new. Durable when this returns.

        Raises HttpError: the body is wrong (400), too many of them (429), no space (503).
        """
        now = self._clock()
        wanted = parse(body, now, self.environment)
        with self._lock:
            known = self._marks.get(wanted.id)
            if known is not None:
                kept = known if wanted.end is None else replace(known, end=max(wanted.end, known.time))
            else:
                kept = wanted
                self._created = [each for each in self._created if each > now - 3600]
                if len(self._created) >= MAX_AN_HOUR:
                    raise HttpError(429, f"at most {MAX_AN_HOUR} marks an hour", [(b"retry-after", b"60")])
            if kept != known:
                marks = sorted({**self._marks, kept.id: kept}.values(), key=lambda mark: mark.time)[-MAX_KEPT:]
                self._write(marks)
                self._marks = {mark.id: mark for mark in marks}
            if known is None:
                self._created.append(now)
        return kept, known is None

    def listed(self) -> list[dict[str, Any]]:
        """Return the marks that are kept, the newest first."""
        with self._lock:
            found = sorted(self._marks.values(), key=lambda mark: mark.time, reverse=True)
        return [asdict(mark) for mark in found]

    def samples(self) -> Iterable[tuple[tuple[str, ...], float]]:
        """Return the newest marks as (label values, unix seconds): a moment is one sample, a span has two."""
        with self._lock:
            newest = sorted(self._marks.values(), key=lambda mark: mark.time)[-MAX_SHOWN:]
        found: dict[tuple[str, ...], float] = {}
        for mark in newest:
            text = mark.text if len(mark.text) <= MAX_LABEL else f"{mark.text[: MAX_LABEL - 1]}…"
            labels = (mark.kind, text, mark.service, mark.environment)
            if mark.end is None:
                found[(*labels, "")] = mark.time
            else:
                # The same thing again has the same labels: the newest is shown.
                found |= {(*labels, "begins"): mark.time, (*labels, "ends"): mark.end}
        return list(found.items())

    def _read(self) -> list[Mark]:
        if self._path is None or not self._path.is_file():
            return []
        try:
            return [Mark(**each) for each in json.loads(self._path.read_text(encoding="utf-8"))][-MAX_KEPT:]
        except (OSError, ValueError, TypeError) as error:
            aside = self._path.with_suffix(".broken")
            self._path.replace(aside)
            log.error("the marks cannot be read and are put aside", extra={"file": str(aside), "error": str(error)})
            return []

    def _write(self, marks: list[Mark]) -> None:
        if self._path is None:
            return
        draft = self._path.with_suffix(".new")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with draft.open("w", encoding="utf-8") as file:
                json.dump([asdict(mark) for mark in marks], file, ensure_ascii=False)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self._path)
            folder = os.open(self._path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)  # the new name, too
            finally:
                os.close(folder)
        except OSError as error:
            reason = error.strerror or "the disk says no"
            raise HttpError(503, f"the mark cannot be stored: {reason}", [(b"retry-after", b"30")]) from error
