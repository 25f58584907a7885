"""POST /v1/traces, /v1/metrics and /v1/logs: answered when what they hold is durable, as OTLP/HTTP 1.x wants it.

200 with `partialSuccess` when a part is refused, 429 and 503 with Retry-After when it has to be sent again, and the
same body twice changes nothing. Spans and metrics that are none of ours are taken and dropped.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from topmast_exporter.ledger import Result
from topmast_exporter.otlp import body, spans
from topmast_exporter.otlp.spans import Found
from topmast_exporter.registry import Registry
from topmast_exporter.usage_event import UsageEvent
from topmast_exporter.web import HttpError, Receive, Scope, Send, answer, header, read_body

SOURCE = "otlp"

# A batch of the SDKs is 512 spans, which may carry prompts; OTEL_BSP_MAX_EXPORT_BATCH_SIZE makes it smaller.
MAX_BODY_BYTES = 4 * 2**20
MAX_BODIES = 4
MAX_EVENTS = 5_000

RESULTS = ("accepted", "late", "duplicate", "rejected", "refused", "ignored")

Submit = Callable[[Sequence[UsageEvent], str], Awaitable[Result]]
"""Commit events of a source; raises HttpError when they have to be sent again."""


class Otlp:
    """Answers the OTLP paths of the ingest."""

    def __init__(self, submit: Submit, registry: Registry, clock: Callable[[], float]) -> None:
        self._submit = submit
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
        # in a thread: attributes are read one by one
        found = await asyncio.to_thread(self._read, path, packed, kind)
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


def _sentence(rejected: Counter[str], warning: str) -> str:
    refused = ", ".join(f"{count} {reason}" for reason, count in rejected.most_common())
    return "; ".join(one for one in (f"refused: {refused}" if refused else "", warning) if one)
