"""POST /v1/traces, /v1/metrics and /v1/logs: answered when what they hold is durable, as OTLP/HTTP 1.x wants it.

200 with `partialSuccess` when a part is refused, 429 and 503 with Retry-After when it has to be sent again, and the
same body twice changes nothing. Spans and metrics that are none of ours are taken and dropped.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from topmast_exporter.ledger import Result
from topmast_exporter.ledger_schema import LedgerError
from topmast_exporter.otlp import body, spans, usage_points
from topmast_exporter.otlp.growth import Growth
from topmast_exporter.otlp.points import Point, PointError, points_of
from topmast_exporter.otlp.spans import Found
from topmast_exporter.registry import Registry
from topmast_exporter.usage_event import EventError, UsageEvent, parse
from topmast_exporter.web import HttpError, Receive, Scope, Send, answer, header, read_body

SOURCE = "otlp"

# A batch of the SDKs is 512 spans, which may carry prompts; OTEL_BSP_MAX_EXPORT_BATCH_SIZE makes it smaller.
MAX_BODY_BYTES = 4 * 2**20
MAX_BODIES = 4
MAX_EVENTS = 5_000
MAX_POINTS = 10_000
# Events that the ledger could not take yet; the sender is asked to wait.
MAX_WAITING = 20_000

RESULTS = ("accepted", "late", "duplicate", "rejected", "refused", "ignored")

Submit = Callable[[Sequence[UsageEvent], str], Awaitable[Result]]
"""Commit events of a source; raises HttpError when they have to be sent again."""


class Otlp:
    """Answers the OTLP paths of the ingest."""

    def __init__(
        self, submit: Submit, registry: Registry, clock: Callable[[], float], folder: Path | None = None
    ) -> None:
        """Remember in `folder` how far each cumulative series was heard. Raises LedgerError."""
        self._submit = submit
        self._growth = Growth(folder)
        self._one_by_one = asyncio.Lock()
        self._clock = clock
        self._bodies = 0
        self._outer = spans.Outer()
        counted = registry.counter(
            "exporter_ingest_events_total",
            "Usage events that were sent to us, by what became of them.",
            ("source", "result"),
        )
        self._count = {result: counted.labels(SOURCE, result) for result in RESULTS}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind = body.PROTOBUF
        try:
            kind = body.content_type_of(header(scope, b"content-type"))
            if self._bodies >= MAX_BODIES:
                raise HttpError(429, "too many bodies at once", [(b"retry-after", b"1")])
            self._bodies += 1
            try:
                told = await self._take(scope, receive, kind)
            finally:
                self._bodies -= 1
        except HttpError as error:
            await answer(send, error.status, body.refusal(kind, str(error)), kind, error.headers)
            return
        await answer(send, 200, told, kind)

    async def _take(self, scope: Scope, receive: Receive, kind: str) -> bytes:
        path, packed = scope["path"], await read_body(scope, receive, MAX_BODY_BYTES)
        # in threads: attributes are read one by one, and what grew is on the disk before it is answered
        if path != body.METRICS:
            return await self._count_events(path, kind, await asyncio.to_thread(self._read, path, packed, kind))
        async with self._one_by_one:
            found = await asyncio.to_thread(self._learn, packed, kind)
            told = await self._count_events(path, kind, found)
            await asyncio.to_thread(self._growth.settle, [event.id for event in found.events])
        return told

    async def _count_events(self, path: str, kind: str, found: Found) -> bytes:
        if len(found.events) > MAX_EVENTS:
            raise HttpError(413, f"a body has at most {MAX_EVENTS} model calls")
        try:
            result = await self._submit(found.events, SOURCE)
        except HttpError:
            self._count["refused"].inc(len(found.events))
            raise
        self._count["accepted"].inc(result.accepted - result.late)
        self._count["late"].inc(result.late)
        self._count["duplicate"].inc(result.duplicates)
        self._count["ignored"].inc(found.ignored)
        rejected = found.rejected.total()
        self._count["rejected"].inc(rejected)
        return body.success(path, kind, rejected, _sentence(found.rejected, found.warning))

    def _read(self, path: str, packed: bytes, kind: str) -> Found:
        request: Any = body.decode(path, packed, kind)
        if path == body.TRACES:
            return spans.events_of(request, self._clock(), self._outer)
        return Found()

    def _learn(self, packed: bytes, kind: str) -> Found:
        request: Any = body.decode(body.METRICS, packed, kind)
        found, points = Found(), list[Point]()
        for one in points_of(request, usage_points.WANTED):
            if isinstance(one, PointError):
                found.rejected[one.reason] += 1
            elif one is None:
                found.ignored += 1
            elif not usage_points.is_counted(one.metric, one.resource):
                found.ignored += 1
                found.warning = usage_points.NOT_COUNTED
            else:
                points.append(one)
        if len(points) > MAX_POINTS:
            raise HttpError(413, f"a body has at most {MAX_POINTS} data points of model calls")
        try:
            if len(self._growth.waiting()) > MAX_WAITING:
                raise HttpError(429, "events wait for the ledger", [(b"retry-after", b"5")])
            found.ignored += self._growth.take(points, usage_points.events_of)
            self._parse(self._growth.waiting()[:MAX_EVENTS], found)
        except LedgerError as error:
            raise HttpError(503, "the disk cannot store data points now", [(b"retry-after", b"5")]) from error
        return found

    def _parse(self, waiting: Sequence[dict[str, Any]], found: Found) -> None:
        refused: list[str] = []
        for event in waiting:
            try:
                found.events.append(parse(event, self._clock()))
            except EventError as error:
                found.rejected[error.reason] += 1
                refused.append(event["id"])
        self._growth.settle(refused)

    def close(self) -> None:
        """Close the file; nothing is taken any more."""
        self._growth.close()


def _sentence(rejected: Counter[str], warning: str) -> str:
    refused = ", ".join(f"{count} {reason}" for reason, count in rejected.most_common())
    return "; ".join(one for one in (f"refused: {refused}" if refused else "", warning) if one)
