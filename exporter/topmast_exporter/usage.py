"""Usage events of model calls on their way from an application to the exporter that owns the ledger.

`UsageSender.send` puts an event into a bounded queue and returns; one daemon thread posts what waits, as NDJSON,
once a second (METRICS.md: `POST /v1/usage`, 1 MiB). The receiver knows an event by its id, so that sending a batch
again after a lost answer changes nothing. What cannot be delivered is counted in exporter_usage_dropped_total, never
raised.
"""

import atexit
import http.client
import json
import os
import random
import ssl
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from topmast_exporter.registry import Registry, default_registry

DEFAULT_URL = "http://127.0.0.1:4318"
URL_VARIABLE, TOKEN_VARIABLE, TOKEN_FILE_VARIABLE = (
    "TOPMAST_INGEST_URL",
    "TOPMAST_INGEST_TOKEN",
    "TOPMAST_INGEST_TOKEN_FILE",
)
PATH = "/v1/usage"

MAX_QUEUED = 10_000
MAX_BATCH = 1_000
# The receiver takes 1 MiB, and 16 KiB a line.
MAX_BATCH_BYTES = 1_000_000
MAX_EVENT_BYTES = 16_384
MAX_ANSWER_BYTES = 1_048_576

INTERVAL_SECONDS = 1.0
TIMEOUT_SECONDS = 5.0
FIRST_WAIT_SECONDS = 1.0
LONGEST_WAIT_SECONDS = 30.0
AT_EXIT_SECONDS = 2.0

REASONS = ("queue_full", "too_large", "malformed", "refused", "rejected", "exit")


@dataclass(frozen=True, slots=True)
class Answer:
    """What the receiver said."""

    status: int
    body: bytes = b""
    retry_after_seconds: float = 0.0


Post = Callable[[bytes], Answer]
"""Send a body; return the answer, or raise OSError or http.client.HTTPException when there is none."""


def http_post(url: str, token: str) -> Post:
    """Return what posts to an ingest at `url`. Raises ValueError when it is not an http(s) URL."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{URL_VARIABLE}: an http or https URL is wanted, not {url[:80]!r}")
    host, port, path = parts.hostname, parts.port, parts.path.rstrip("/")
    headers = {"content-type": "application/x-ndjson", **({"authorization": f"Bearer {token}"} if token else {})}

    def post(body: bytes) -> Answer:
        if parts.scheme == "https":
            context = ssl.create_default_context()
            connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                host, port, timeout=TIMEOUT_SECONDS, context=context
            )
        else:
            connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT_SECONDS)
        try:
            connection.request("POST", path if path.endswith(PATH) else path + PATH, body, headers)
            response = connection.getresponse()
            wait = response.headers.get("retry-after", "")
            return Answer(response.status, response.read(MAX_ANSWER_BYTES), float(wait) if wait.isdecimal() else 0.0)
        finally:
            connection.close()

    return post


def post_from_environment(environment: Mapping[str, str] = os.environ) -> Post:
    """Return what posts to the ingest that the environment names, the local one without a token by default."""
    return http_post(environment.get(URL_VARIABLE) or DEFAULT_URL, token_from_environment(environment))


def token_from_environment(environment: Mapping[str, str] = os.environ) -> str:
    """Return the ingest's token, "" for none; a file that is named wins."""
    file = environment.get(TOKEN_FILE_VARIABLE, "")
    return Path(file).read_text(encoding="utf-8").strip() if file else environment.get(TOKEN_VARIABLE, "")


class UsageSender:
    """Hands usage events to the exporter. One a process is enough; see `default_sender`."""

    def __init__(
        self,
        post: Post | None = None,
        registry: Registry | None = None,
        *,
        max_queued: int = MAX_QUEUED,
        interval_seconds: float = INTERVAL_SECONDS,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._post = post or post_from_environment()
        self._registry = registry or default_registry()
        self._max_queued = max_queued
        self._interval = interval_seconds
        self._jitter = jitter
        self._sent = self._registry.counter(
            "exporter_usage_sent_total", "Usage events handed to the exporter."
        ).labels()
        self._dropped = self._registry.counter(
            "exporter_usage_dropped_total", "Usage events that could not be handed to the exporter.", ("reason",)
        )
        for reason in REASONS:
            self._dropped.labels(reason)
        self._registry.gauge("exporter_usage_queued", "Usage events that wait to be sent.").labels().set_function(
            lambda: float(self.waiting())
        )
        self._start_over()

    def send(self, event: Mapping[str, Any]) -> None:
        """Queue one event (the body of METRICS.md's last section). Never raises, never waits."""
        try:
            if self._pid != os.getpid():
                # A forked child: the thread and what waited stayed in the parent, which sends it.
                self._start_over()
            with self._changed:
                if len(self._queue) >= self._max_queued:
                    self._drop("queue_full")
                    return
                self._queue.append(dict(event))
                if self._thread is None:
                    self._start()
                elif len(self._queue) in (1, MAX_BATCH):
                    self._changed.notify_all()
        except Exception:  # noqa: BLE001 a guard: an instrument never raises into the application
            self._registry.count_internal_error("usage")

    def waiting(self) -> int:
        """Return how many events are queued or on their way."""
        return len(self._queue) + self._under_way if self._pid == os.getpid() else 0

    def flush(self, timeout_seconds: float = AT_EXIT_SECONDS) -> bool:
        """Send what waits now; return whether everything was settled in time."""
        with self._changed:
            self._hurry = True
            self._changed.notify_all()
            return self._changed.wait_for(lambda: self.waiting() == 0, timeout_seconds)

    def close(self, timeout_seconds: float = AT_EXIT_SECONDS) -> None:
        """Send what waits and end the thread; what is left is counted as dropped."""
        self.flush(timeout_seconds)
        with self._changed:
            self._closing = True
            left = self.waiting()
            self._queue.clear()
            self._changed.notify_all()
        self._drop("exit", left)

    def _start_over(self) -> None:
        self._pid = os.getpid()
        self._queue: deque[dict[str, Any]] = deque()
        self._under_way = 0
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._hurry = False
        self._closing = False

    def _start(self) -> None:
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="topmast-usage", daemon=True)
        self._thread.start()
        atexit.register(self._at_exit, os.getpid())

    def _at_exit(self, pid: int) -> None:
        if pid == os.getpid():
            self.close()

    def _drop(self, reason: str, count: int = 1) -> None:
        self._dropped.labels(reason).inc(count)

    # --- the thread ------------------------------------------------------------------------------------------

    def _run(self) -> None:
        failures = 0
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._queue or self._closing)
                # Give a batch time to gather, unless somebody waits for it.
                self._changed.wait_for(
                    lambda: self._hurry or self._closing or len(self._queue) >= MAX_BATCH, self._interval
                )
                if self._closing and not self._queue:
                    self._thread = None
                    return
                events = [self._queue.popleft() for _ in range(min(len(self._queue), MAX_BATCH))]
                self._under_way = len(events)
            lines = self._lines(events)
            pause = 0.0
            while lines and not self._closing:
                lines, pause = self._deliver(lines)
                with self._changed:
                    self._under_way = len(lines)
                    if not lines:
                        failures = 0
                    elif pause >= 0:
                        failures += 1
                        backoff = min(LONGEST_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2 ** min(failures - 1, 10))
                        wait = max(pause, backoff * (0.5 + self._jitter() / 2))
                        self._hurry = False
                        self._changed.wait_for(lambda: self._hurry or self._closing, wait)
            with self._changed:
                self._under_way = 0
                if not self._queue:
                    self._hurry = False
                self._changed.notify_all()

    def _lines(self, events: list[dict[str, Any]]) -> list[bytes]:
        lines = []
        for event in events:
            try:
                line = json.dumps(event, separators=(",", ":"), allow_nan=False).encode() + b"\n"
            except (TypeError, ValueError):
                self._drop("malformed")
                continue
            if len(line) > MAX_EVENT_BYTES:
                self._drop("too_large")
            else:
                lines.append(line)
        return lines

    def _deliver(self, lines: list[bytes]) -> tuple[list[bytes], float]:
        """Post as many lines as fit into one body.

        Return the lines that are still to be sent, and the seconds to wait before that: at least 0 after a failure,
        -1 to go on at once.
        """
        count, size = 0, 0
        for line in lines:
            if count and size + len(line) > MAX_BATCH_BYTES:
                break
            count, size = count + 1, size + len(line)
        rest = lines[count:]
        try:
            answer = self._post(b"".join(lines[:count]))
        except (OSError, http.client.HTTPException):
            return lines, 0.0
        except Exception:  # noqa: BLE001 a guard: the thread outlives whatever a transport does
            self._registry.count_internal_error("usage")
            return lines, 0.0
        status = answer.status
        if 200 <= status < 300:
            rejected = min(_rejected(answer.body), count)
            self._sent.inc(count - rejected)
            self._drop("rejected", rejected)
            return rest, -1.0
        # 401 and 403 are waited out as well: a token that is wrong now is put right, and the queue is bounded.
        if status in (401, 403, 408, 429) or status >= 500:
            return lines, answer.retry_after_seconds
        self._drop("refused", count)
        return rest, -1.0


def _rejected(body: bytes) -> int:
    """Return how many events the receiver says it rejected."""
    try:
        rejected = json.loads(body).get("rejected", ())
    except (ValueError, AttributeError):
        return 0
    return len(rejected) if isinstance(rejected, list) else 0


_default: UsageSender | None = None
_default_lock = threading.Lock()


def default_sender() -> UsageSender:
    """Return the process's sender, made at the first call for the ingest that the environment names."""
    global _default
    with _default_lock:
        if _default is None:
            _default = UsageSender()
        return _default
