"""POST /v1/traces, /v1/metrics and /v1/logs: answered when what they hold is durable, as OTLP/HTTP 1.x wants it.

200 with `partialSuccess` when a part is refused, 429 and 503 with Retry-After when it has to be sent again, and the
same body twice changes nothing. What is none of ours is taken and dropped.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from topmast_exporter.ledger import Result
from topmast_exporter.ledger_schema import LedgerError
from topmast_exporter.otlp import body, claude_events, request_points, requests, sessions, spans, usage_points
from topmast_exporter.otlp.buckets import PointError
from topmast_exporter.otlp.growth import Growth
from topmast_exporter.otlp.points import Point, points_of
from topmast_exporter.otlp.requests import Requests
from topmast_exporter.otlp.sessions import Sessions
from topmast_exporter.otlp.spans import Found
from topmast_exporter.registry import Registry
from topmast_exporter.usage_event import EventError, UsageEvent, parse
from topmast_exporter.web import Bodies, HttpError, Receive, Scope, Send, answer, header, read_body

SOURCE = "otlp"

# A batch of the SDKs is 512 spans, which may carry prompts; OTEL_BSP_MAX_EXPORT_BATCH_SIZE makes it smaller.
MAX_BODY_BYTES = 4 * 2**20
MAX_BODIES = 4
MAX_EVENTS = 5_000
MAX_POINTS = 10_000
# Events that the ledger could not take yet; the sender is asked to wait.
MAX_WAITING = 20_000

RESULTS = ("accepted", "late", "duplicate", "rejected", "refused", "ignored")

_WANTED = {**usage_points.WANTED, **request_points.WANTED}

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
        self._requests = Requests(folder, registry, clock)
        self._sessions = Sessions(folder, clock)
        self._one_by_one = asyncio.Lock()
        self._clock = clock
        self._bodies = Bodies(MAX_BODIES)
        self._outer = spans.Outer()
        counted = registry.counter(
            "exporter_ingest_events_total", "What was pushed to us, by what became of it.", ("source", "result")
        )
        self._count = {result: counted.labels(SOURCE, result) for result in RESULTS}
        self._points = {result: counted.labels(requests.SOURCE, result) for result in requests.RESULTS}
        self._moved = registry.counter(
            "exporter_ingest_rebucketed_total",
            "Pushed HTTP requests whose bucket straddles a bound of ours: counted at the next higher bound.",
        ).labels()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind = body.PROTOBUF
        try:
            kind = body.content_type_of(header(scope, b"content-type"))
            told = await self._take(scope, receive, kind)
        except HttpError as error:
            await answer(send, error.status, body.refusal(kind, str(error)), kind, error.headers)
            return
        await answer(send, 200, told, kind)

    async def _take(self, scope: Scope, receive: Receive, kind: str) -> bytes:
        # in threads: attributes are read one by one, and what grew is on the disk before it is answered
        path = scope["path"]
        async with self._bodies.one():
            packed = await read_body(scope, receive, MAX_BODY_BYTES)
            if path != body.TRACES:
                async with self._one_by_one:
                    return await self._count_growth(path, packed, kind)
            found = await asyncio.to_thread(self._read, packed, kind)
        return await self._count_events(path, kind, found)

    async def _count_growth(self, path: str, packed: bytes, kind: str) -> bytes:
        """Count what a body says of totals so far: each is understood by what came before it."""
        if path == body.LOGS:
            found, taken = await asyncio.to_thread(self._hear, packed, kind)
            try:
                return await self._count_events(path, kind, found)
            except HttpError:
                await asyncio.to_thread(self._sessions.release, taken)
                raise
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
        self._count["rejected"].inc(found.rejected.total())
        refused = found.rejected + found.points_rejected
        return body.success(path, kind, refused.total(), _sentence(refused, found.warning))

    def _read(self, packed: bytes, kind: str) -> Found:
        request: Any = body.decode(body.TRACES, packed, kind)
        return spans.events_of(request, self._clock(), self._outer)

    # --- logs ------------------------------------------------------------------------------------------------

    def _hear(self, packed: bytes, kind: str) -> tuple[Found, list[str]]:
        """Return (the model calls that are counted, what was taken of the sessions for them)."""
        request: Any = body.decode(body.LOGS, packed, kind)
        calls = claude_events.calls_of(request, self._clock())
        found, taken = Found(rejected=calls.rejected, ignored=calls.ignored), list[str]()
        if not calls.told:
            return found, taken
        try:
            counted, taken = self._sessions.claim([keys for _, keys in calls.told], sessions.EVENTS)
        except LedgerError as error:
            raise _not_now(error) from error
        found.events = [event for (event, _), one in zip(calls.told, counted, strict=True) if one]
        found.ignored += counted.count(False)
        return found, taken

    # --- metrics ---------------------------------------------------------------------------------------------

    def _learn(self, packed: bytes, kind: str) -> Found:
        request: Any = body.decode(body.METRICS, packed, kind)
        found, calls, served = Found(), list[Point](), list[Point]()
        for one in points_of(request, _WANTED):
            if isinstance(one, PointError):
                found.rejected[one.reason] += 1
            elif one is None:
                found.ignored += 1
            elif one.metric in request_points.WANTED:
                if request_points.is_counted(one.resource):
                    served.append(one)
                else:
                    found.ignored += 1
            elif not usage_points.is_counted(one.metric, one.resource):
                found.ignored += 1
                found.warning = usage_points.NOT_COUNTED
            else:
                calls.append(one)
        if len(calls) > MAX_POINTS or len(served) > MAX_POINTS:
            raise HttpError(413, f"a body has at most {MAX_POINTS} data points of model calls, and of requests")
        try:
            self._learn_requests(served, found)
            self._learn_calls(calls, found)
        except LedgerError as error:
            raise _not_now(error) from error
        return found

    def _learn_requests(self, served: Sequence[Point], found: Found) -> None:
        try:
            took = self._requests.take(served)
        except requests.FullError as error:
            raise HttpError(429, "too many delta points within an hour", [(b"retry-after", b"60")]) from error
        for result, count in took.results.items():
            self._points[result].inc(count)
        self._moved.inc(took.moved)
        found.points_rejected = took.reasons
        if took.results["baseline"]:
            found.warning = requests.BASELINE.format(took.results["baseline"])

    def _learn_calls(self, calls: Sequence[Point], found: Found) -> None:
        if len(self._growth.waiting()) > MAX_WAITING:
            raise HttpError(429, "events wait for the ledger", [(b"retry-after", b"5")])
        told = [point for point in calls if point.metric.startswith(usage_points.CLAUDE)]
        keys = [sessions.keys_of(point.told, point.resource, sessions.METRICS) for point in told]
        counted, taken = self._sessions.claim(keys, sessions.METRICS) if told else ([], [])
        by_events = {id(point) for point, one in zip(told, counted, strict=True) if not one}
        # what events tell is learnt all the same: when they stop, only what grows from then on is counted
        known = [point for point in calls if id(point) in by_events]
        try:
            if known:
                self._growth.take(known, lambda _: ())
                found.ignored += len(known)
            found.ignored += self._growth.take(
                [point for point in calls if id(point) not in by_events], usage_points.events_of
            )
        except LedgerError:
            self._sessions.release(taken)
            raise
        self._parse(self._growth.waiting()[:MAX_EVENTS], found)

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
        """Close the files; nothing is taken any more."""
        self._growth.close()
        self._requests.close()
        self._sessions.close()


def _not_now(error: LedgerError) -> HttpError:
    del error  # it names a file of this machine
    return HttpError(503, "the disk cannot store this now", [(b"retry-after", b"5")])


def _sentence(rejected: Counter[str], warning: str) -> str:
    refused = ", ".join(f"{count} {reason}" for reason, count in rejected.most_common())
    return "; ".join(one for one in (f"refused: {refused}" if refused else "", warning) if one)
