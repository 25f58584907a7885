"""POST /v1/usage: usage events of everything that can only push. Answered when they are durable, never before.

The same listener takes OTLP/HTTP (otlp/service.py) and marks (marks.py), and tells the budgets.

The answer is 202 `{accepted, duplicates, rejected: [{index, reason}]}`; the same body twice changes nothing. Body and
limits: METRICS.md, last section.
"""

import asyncio
import hmac
import json
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from topmast_exporter.answers import Answers
from topmast_exporter.at_once import AtOnce
from topmast_exporter.ledger import LedgerFullError, Result, Settle
from topmast_exporter.ledger_schema import LedgerError
from topmast_exporter.marks import MAX_BODY_BYTES as MAX_MARK_BYTES
from topmast_exporter.marks import PATH as MARKS_PATH
from topmast_exporter.marks import Marks
from topmast_exporter.otlp.body import PATHS as OTLP_PATHS
from topmast_exporter.otlp.service import Otlp
from topmast_exporter.registry import Registry
from topmast_exporter.turns import Turns
from topmast_exporter.usage_body import MAX_BODY_BYTES, Batch, parse_body, parse_plain
from topmast_exporter.usage_event import UsageEvent
from topmast_exporter.web import (
    JSON,
    TEXT,
    Bodies,
    Headers,
    HttpError,
    Receive,
    Reply,
    Scope,
    Send,
    answer,
    check_host,
    header,
    is_loopback,
    read_body,
    refuse,
)

PATH = "/v1/usage"
BUDGETS_PATH = "/v1/budgets"
PATHS = (PATH, MARKS_PATH, *OTLP_PATHS)
SOURCE = "usage"

# Read at once, the next waits. What was read and is not stored yet is bounded by the ledger.
MAX_BODIES = 16
# An answer within this, or the sender asks again: ids make that harmless.
COMMIT_SECONDS = 10.0
# From here on, parsing is worth a thread of its own.
INLINE_BYTES = 65_536

RESULTS = ("accepted", "late", "duplicate", "rejected", "refused")


class Sink(Protocol):
    """What takes the events: the ledger."""

    def submit(self, events: Sequence[UsageEvent], source: str) -> "Future[Result]":
        """Return the future of the commit. Raises LedgerFullError."""

    def hand_over(self, events: Sequence[UsageEvent], source: str, settle: Settle) -> None:
        """Have `settle` told of the commit. Raises LedgerFullError."""


class _Admitted(NamedTuple):
    """What the head of a request says, that was let in."""

    content_type: str
    token: str
    """The one that was asked for then."""


class Ingest:
    """The ASGI application of the ingest listener."""

    def __init__(
        self,
        sink: Sink,
        registry: Registry,
        token: str = "",
        listens_on_loopback: bool = True,
        clock: Callable[[], float] = time.time,
        budgets: Callable[[], list[dict[str, Any]]] = list,
        folder: Path | None = None,
        environment: str = "production",
    ) -> None:
        """Remember marks and OTLP's cumulative series in `folder`; without one, until the end. Raises LedgerError."""
        self.token = token
        """Asked for when it is not empty. May be changed at any time."""
        self._sink = sink
        self._budgets = budgets
        self._clock = clock
        self._listens_on_loopback = listens_on_loopback
        self._bodies = Bodies(MAX_BODIES)
        # On loopback every program of this machine is one address: there the bodies at once are bound enough.
        self._turns = None if listens_on_loopback else Turns(clock)
        events = registry.counter(
            "exporter_ingest_events_total",
            "What was pushed to us, by what became of it.",
            ("source", "result"),
        )
        self._count = {result: events.labels(SOURCE, result) for result in RESULTS}
        self._marks = Marks(folder, registry, environment, clock)
        self._otlp = Otlp(self._commit, registry, clock, folder)
        self._answers: Answers | None = None

    def at_once(self) -> AtOnce | None:
        """Return the short way of small plain bodies, where there is one."""
        return None if self._turns is not None else AtOnce(PATH.encode(), self._admit, self._take_at_once)

    def _admit(self, headers: Headers) -> _Admitted | None:
        """Return what a head means whose body may be taken at once; None for any other."""
        said = dict(headers)
        if (
            len(said) < len(headers)
            or said.get(b"content-encoding")
            or not is_loopback(said.get(b"host", b"").decode("latin-1"))
            or not self._is_let_in(said.get(b"authorization", b"").decode("latin-1"))
        ):
            return None
        return _Admitted(said.get(b"content-type", b"").decode("latin-1").lower(), self.token)

    def _take_at_once(self, admitted: _Admitted, body: bytes, reply: Reply) -> bool:
        """Do what a request's task does, when there is nothing to wait for but the commit; else return False."""
        if len(body) > INLINE_BYTES or admitted.token != self.token:
            return False
        events = parse_plain(body, admitted.content_type, self._clock())
        if events is None:
            return False
        answers = self._answers_here()

        def tell(outcome: Result | BaseException) -> None:
            if isinstance(outcome, Result):
                reply(202, self._told(outcome, ()), JSON, ())
                return
            error = _cannot_store()
            self._count["refused"].inc(len(events))
            reply(error.status, f"{error}\n".encode(), TEXT, error.headers)

        try:
            self._sink.hand_over(events, SOURCE, partial(answers.settle, tell))
        except LedgerFullError:
            return False
        answers.expect(tell)
        return True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        try:
            if self._turns is not None:
                self._turns.take(scope)
            check_host(scope, self._listens_on_loopback)
            self._check_path(scope)
            self._check_token(scope)
            if scope["path"] == BUDGETS_PATH:
                await answer(send, 200, json.dumps({"budgets": self._budgets()}).encode(), JSON)
                return
            if scope["path"] == MARKS_PATH:
                await self._mark(scope, receive, send)
                return
            if scope["path"] in OTLP_PATHS:
                await self._otlp(scope, receive, send)
                return
            batch = await self._read(scope, receive)
            result = await self._submit(batch.events)
            await answer(send, 202, self._told(result, batch.rejected), JSON)
        except HttpError as error:
            await refuse(send, error)

    def close(self) -> None:
        """Close what OTLP remembers."""
        self._otlp.close()

    def _check_path(self, scope: Scope) -> None:
        path = scope["path"]
        if path == "/healthz" and scope["method"] == "GET":
            raise HttpError(200, "ok")
        if path in (BUDGETS_PATH, MARKS_PATH) and scope["method"] == "GET":
            return
        if path not in PATHS:
            raise HttpError(404, f"nothing is at this path; POST goes to one of {', '.join(PATHS)}")
        if scope["method"] != "POST":
            raise HttpError(405, f"{path} takes POST only", [(b"allow", b"POST")])

    def _check_token(self, scope: Scope) -> None:
        if not self._is_let_in(header(scope, b"authorization")):
            raise HttpError(401, "a bearer token is wanted", [(b"www-authenticate", b"Bearer")])

    def _is_let_in(self, authorization: str) -> bool:
        if not self.token:
            return True
        kind, _, given = authorization.partition(" ")
        return kind.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), self.token.encode())

    async def _mark(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "GET":
            await answer(send, 200, json.dumps({"marks": self._marks.listed()}).encode(), JSON)
            return
        mark, created = await asyncio.to_thread(self._marks.take, await read_body(scope, receive, MAX_MARK_BYTES))
        told = json.dumps({"id": mark.id, "created": created}).encode()
        await answer(send, 201 if created else 200, told, JSON)

    async def _read(self, scope: Scope, receive: Receive) -> Batch:
        async with self._bodies.one():
            body = await read_body(scope, receive, MAX_BODY_BYTES)
            content_type = header(scope, b"content-type").lower()
            if len(body) > INLINE_BYTES:
                return await asyncio.to_thread(parse_body, body, content_type, self._clock())
            return parse_body(body, content_type, self._clock())

    def _told(self, result: Result, rejected: Sequence[tuple[int, str]]) -> bytes:
        """Count what became of a body's events, and return the answer that says it."""
        counts = (result.accepted - result.late, result.late, result.duplicates, len(rejected))
        for name, count in zip(RESULTS, counts, strict=False):
            if count:
                self._count[name].inc(count)
        if not rejected:
            return b'{"accepted": %d, "duplicates": %d, "rejected": []}' % (result.accepted, result.duplicates)
        told = {
            "accepted": result.accepted,
            "duplicates": result.duplicates,
            "rejected": [{"index": index, "reason": reason} for index, reason in rejected],
        }
        return json.dumps(told).encode()

    async def _submit(self, events: Sequence[UsageEvent]) -> Result:
        try:
            return await self._commit(events, SOURCE)
        except HttpError:
            self._count["refused"].inc(len(events))
            raise

    async def _commit(self, events: Sequence[UsageEvent], source: str) -> Result:
        if not events:
            return Result(0, 0, 0)
        try:
            # when the sender hangs up the commit goes on, and its ids tell when it asks again
            waiting = self._answers_here().of(self._sink.submit(events, source))
            return await waiting
        except LedgerFullError as error:
            raise HttpError(429, f"the ledger is full: {error}", [(b"retry-after", b"1")]) from error
        except (LedgerError, TimeoutError) as error:
            raise _cannot_store() from error

    def _answers_here(self) -> Answers:
        loop = asyncio.get_running_loop()
        if self._answers is None or self._answers.loop is not loop:
            self._answers = Answers(loop, COMMIT_SECONDS)
        return self._answers


def _cannot_store() -> HttpError:
    return HttpError(503, "the ledger cannot store events now", [(b"retry-after", b"5")])
