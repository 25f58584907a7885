"""Celery tasks, by Celery's own signals: how long they wait, run, and how they end.

    instrument_celery(app, workers="shop-tasks")

A task is an agent of the `agent_*` families, under its name. A worker process answers no HTTP request: with `workers`
(or TOPMAST_APP in the environment) each hands what it counted to the standalone exporter, prefork pools included.
Who publishes tasks calls it too: the wait is the time since then, or since the `eta` or `countdown` of the task.
"""

import os
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from time import perf_counter
from typing import Any, TypeVar

from topmast_exporter.instrument.agent import AgentMetrics, Status, status_of
from topmast_exporter.instrument.http_metrics import APP_VARIABLE
from topmast_exporter.registry import Registry, default_registry

A = TypeVar("A")

# A header of the message; Celery hands it on to the task's request.
PUBLISHED = "topmast_published_at"

# https://docs.celeryq.dev/en/stable/reference/celery.states.html; a RETRY has not ended.
STATES = {
    "SUCCESS": Status.SUCCESS,
    "FAILURE": Status.FAILURE,
    "REVOKED": Status.CANCELLED,
    "REJECTED": Status.CANCELLED,
    "IGNORED": Status.CANCELLED,
}
# What a task raises to end otherwise than by failing; Celery 5.7 announces a Reject as a failure all the same.
NO_FAILURES = frozenset({"Ignore", "Reject", "Retry"})
TIMEOUTS = frozenset({"SoftTimeLimitExceeded", "TimeLimitExceeded"})

# Of a clock that differs from the publisher's.
LONGEST_WAIT_SECONDS = 7 * 86_400.0


def instrument_celery(app: A, registry: Registry | None = None, workers: str = "", pool: str = "celery") -> A:
    """Return the same Celery application, with its tasks measured, in whatever process runs or publishes them.

    `pool` is the label of how many processes or threads a worker has (agent_pool_max) and uses.
    """
    from celery import signals  # type: ignore[import-untyped]  # Celery has no types

    registry = registry or default_registry()
    if workers:
        from topmast_exporter.workers import push

        push.declare(registry, workers)
    tasks = _Tasks(app, registry, pool)
    for signal, method in (
        (signals.before_task_publish, tasks.published),
        (signals.worker_ready, tasks.worker_ready),
        (signals.worker_process_init, tasks.process_started),
        (signals.worker_process_shutdown, tasks.process_ended),
        (signals.task_prerun, tasks.started),
        (signals.task_failure, tasks.failed),
        (signals.task_postrun, tasks.ended),
        (signals.task_revoked, tasks.revoked),
    ):
        signal.connect(tasks.guarded(method), weak=False)
    return app


class _Tasks:
    """Listens to the signals of one application."""

    def __init__(self, app: Any, registry: Registry, pool: str) -> None:
        self._app = app
        self._registry = registry
        self._metrics = AgentMetrics(registry)
        self._pool = pool
        self._known: set[str] = set()
        # Of tasks that run now: when they began, and what they raised.
        self._running: dict[str, tuple[float, BaseException | None]] = {}

    def guarded(self, method: Callable[..., None]) -> Callable[..., None]:
        def receive(*args: Any, **about: Any) -> None:
            try:
                method(*args, **about)
            except Exception:  # noqa: BLE001 a guard: an instrument never raises into the application
                self._registry.count_internal_error("celery")

        return receive

    # --- where tasks are published ---------------------------------------------------------------------------

    def published(self, headers: dict[str, Any] | None = None, **_: Any) -> None:
        if headers is not None:
            headers[PUBLISHED] = time.time()

    # --- a worker's processes --------------------------------------------------------------------------------

    def worker_ready(self, sender: Any = None, **_: Any) -> None:
        if sender.app is self._app:
            self._metrics.pool(self._pool, sender.controller.concurrency)
            self._begin()

    def process_started(self, **_: Any) -> None:
        self._running.clear()
        self._begin()

    def process_ended(self, **_: Any) -> None:
        if self._registry.pusher is not None:
            self._registry.pusher.close()

    def _begin(self) -> None:
        for name in self._app.tasks:
            if not name.startswith("celery."):
                self._declare(name)
        if self._registry.pusher is not None or os.environ.get(APP_VARIABLE):
            from topmast_exporter.workers import push

            push.begin(self._registry)

    # --- tasks -----------------------------------------------------------------------------------------------

    def started(self, task_id: str = "", task: Any = None, **_: Any) -> None:
        if task.app is not self._app:
            return
        self._declare(task.name)
        self._running[task_id] = (perf_counter(), None)
        metrics = self._metrics
        metrics.running.labels(task.name).inc()
        metrics.in_use(self._pool).inc()
        waited = waited_seconds(task.request, time.time())
        if waited is not None:
            metrics.waits.labels(task.name).observe(waited)
            metrics.starts.labels(task.name).observe(waited)

    def failed(self, sender: Any = None, task_id: str = "", exception: BaseException | None = None, **_: Any) -> None:
        if sender.app is not self._app or type(exception).__name__ in NO_FAILURES:
            return
        if task_id in self._running:
            self._running[task_id] = (self._running[task_id][0], exception)
        else:
            # The main process says so of a pool process that it had to kill, or that died.
            self._end(sender.name, ending_of("FAILURE", exception))

    def ended(self, task_id: str = "", task: Any = None, state: str = "", **_: Any) -> None:
        known = self._running.pop(task_id, None)
        if known is None:
            return
        began, exception = known
        metrics = self._metrics
        metrics.running.labels(task.name).dec()
        metrics.in_use(self._pool).dec()
        metrics.seconds.labels(task.name).observe(perf_counter() - began)
        self._end(task.name, ending_of(state, exception))

    def revoked(self, request: Any = None, **_: Any) -> None:
        if request.task.app is self._app:
            self._end(request.task.name, Status.CANCELLED)

    def _declare(self, name: str) -> None:
        if name not in self._known:
            self._known.add(name)
            self._metrics.declare(name, queued=False)  # the broker's queue is not to be seen from here

    def _end(self, name: str, status: Status | None) -> None:
        if status is not None:
            self._declare(name)
            self._metrics.executions.labels(name, status.value).inc()


def ending_of(state: str, error: BaseException | None) -> Status | None:
    """Return how a task ended by its state and what it raised; None when it has not ended."""
    status = STATES.get(state)
    if status is Status.FAILURE and error is not None:
        return Status.TIMEOUT if type(error).__name__ in TIMEOUTS else status_of(error)
    return status


def waited_seconds(request: Any, now: float) -> float | None:
    """Return how long a task waited since it was published, or since its eta; None when nobody says."""
    since = getattr(request, PUBLISHED, None) or (getattr(request, "headers", None) or {}).get(PUBLISHED)
    eta = getattr(request, "eta", None)
    with suppress(ValueError, TypeError):
        since = max(since or 0.0, datetime.fromisoformat(eta).timestamp()) if eta else since
    if not isinstance(since, int | float) or not since:
        return None
    return min(max(now - since, 0.0), LONGEST_WAIT_SECONDS)
