"""Tasks of an agent platform: how long they wait, start and run, how they end, and the pools they draw on.

    agents = AgentMetrics()
    agents.limit("planner", 3)                    # agent_tasks_max

    task = agents.created("planner")              # it waits in the queue from here
    with task.running():                          # its turn has come; an exception is a failure
        ...

    @agent_task("planner")                        # created and running in one: sync and async functions
    async def plan(): ...

    sandboxes = agents.pool("sandboxes", 4)
    with sandboxes.use(): ...

    with agents.cleanup("planner"):               # an exception is an executor that was left behind
        container.remove()

The families are METRICS.md's.
"""

import asyncio
import functools
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from inspect import iscoroutinefunction
from time import perf_counter
from typing import Any, TypeVar

from topmast_exporter.admission import OTHER
from topmast_exporter.registry import Registry, default_registry
from topmast_exporter.series import GaugeSeries

F = TypeVar("F", bound=Callable[..., Any])

# METRICS.md: the bounds of a run contain 60, those of a start contain 5.
EXECUTION_BOUNDS = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0)
START_BOUNDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
CLEANUP_REASONS = ("timeout", "not_found", "permission", "connection")


class Status(StrEnum):
    """How a task ends."""

    SUCCESS = "success"
    FAILURE = "failure"
    TIMEOUT = "timeout"
    CANCELLED = "cancelled"


def status_of(error: BaseException | None) -> Status:
    """Return how a task ended that raised `error`."""
    if error is None:
        return Status.SUCCESS
    if isinstance(error, TimeoutError):
        return Status.TIMEOUT
    if isinstance(error, asyncio.CancelledError | KeyboardInterrupt | GeneratorExit):
        return Status.CANCELLED
    return Status.FAILURE


def cleanup_reason_of(error: BaseException) -> str:
    """Return why an executor could not be removed: one of CLEANUP_REASONS, else other."""
    # Docker's and Kubernetes' clients have a NotFound of their own.
    names = {kind.__name__ for kind in type(error).__mro__}
    if names & {"TimeoutError", "Timeout"}:
        return "timeout"
    if names & {"FileNotFoundError", "ProcessLookupError", "NotFound", "LookupError"}:
        return "not_found"
    if "PermissionError" in names:
        return "permission"
    return "connection" if "ConnectionError" in names else "other"


class AgentMetrics:
    """The agent families of a registry."""

    def __init__(self, registry: Registry | None = None) -> None:
        self.registry = registry = registry or default_registry()
        agent = ("agent",)
        self.executions = registry.counter(
            "agent_executions_total", "Agent tasks that ended, by status.", ("agent", "status"), agent
        )
        self.seconds = registry.histogram(
            "agent_execution_seconds", "Time that agent tasks ran.", agent, EXECUTION_BOUNDS, agent
        )
        self.starts = registry.histogram(
            "agent_start_seconds", "Time from a task's creation until it ran.", agent, START_BOUNDS, agent
        )
        self.waits = registry.histogram(
            "agent_task_queue_wait_seconds", "Time that tasks waited in the queue.", agent, START_BOUNDS, agent
        )
        self.running = registry.gauge("agent_tasks_running", "Agent tasks that run now.", agent, agent)
        self.queued = registry.gauge("agent_tasks_queued", "Agent tasks that wait for their turn.", agent, agent)
        self._limits = registry.gauge("agent_tasks_max", "Agent tasks that may run at once.", agent, agent)
        self._in_use = registry.gauge("agent_pool_in_use", "Members of a pool in use.", ("pool",), ("pool",))
        self._pool_max = registry.gauge("agent_pool_max", "Members that a pool has.", ("pool",), ("pool",))
        self._cleanups = registry.counter(
            "agent_cleanup_failures_total",
            "Executors that could not be removed.",
            ("agent", "reason"),
            agent,
        )

    def declare(self, agent: str, *, queued: bool = True) -> None:
        """Start the agent's families at 0, so that its first task is visible as an increase.

        Without `queued` when somebody else holds the queue, so that nothing is said of its length.
        """
        with self.guard():
            for status in Status:
                self.executions.labels(agent, status.value)
            self.seconds.labels(agent)
            self.starts.labels(agent)
            self.waits.labels(agent)
            self.running.labels(agent).inc(0)
            if queued:
                self.queued.labels(agent).inc(0)

    def limit(self, agent: str, at_once: int) -> None:
        """Say how many tasks of an agent may run at once."""
        self.declare(agent)
        with self.guard():
            self._limits.labels(agent).set(at_once)

    def created(self, agent: str) -> "Task":
        """Return a new task that waits in the queue from now on."""
        return Task(self, agent)

    def pool(self, name: str, size: int) -> "Pool":
        """Return the gauge of a pool with `size` members: executor containers, port ranges, workers."""
        self._pool_max.labels(name).set(size)
        return Pool(self, self._in_use.labels(name))

    def in_use(self, pool: str) -> GaugeSeries:
        """Return the gauge of how much of a pool is in use, where its size is said elsewhere."""
        return self._in_use.labels(pool)

    @contextmanager
    def cleanup(self, agent: str) -> Iterator[None]:
        """Count what the block raises as an executor that could not be removed; it is raised on."""
        with self.guard():
            for reason in (*CLEANUP_REASONS, OTHER):
                self._cleanups.labels(agent, reason)
        try:
            yield
        except Exception as error:
            self.cleanup_failed(agent, cleanup_reason_of(error))
            raise

    def cleanup_failed(self, agent: str, reason: str = "other") -> None:
        """Count an executor that could not be removed: timeout, not_found, permission, connection or other."""
        with self.guard():
            self._cleanups.labels(agent, reason if reason in CLEANUP_REASONS else OTHER).inc()

    @contextmanager
    def guard(self) -> Iterator[None]:
        """Swallow and count what the block raises: an instrument never raises into the application."""
        try:
            yield
        except Exception:  # noqa: BLE001 a guard: an instrument never raises into the application
            self.registry.count_internal_error("agent")


class Task:
    """One task: created, then started (taken from the queue), then running, then ended."""

    __slots__ = ("_agent", "_created", "_ended", "_metrics", "_started", "status")

    def __init__(self, metrics: AgentMetrics, agent: str) -> None:
        self._metrics = metrics
        self._agent = agent
        self._created = perf_counter()
        self._started = False
        self._ended = False
        self.status: Status | None = None
        """Set it to say how the task ended when no exception does."""
        with metrics.guard():
            metrics.queued.labels(agent).inc()

    def started(self) -> None:
        """The task has left the queue; what follows until `running` is the start of its executor."""
        if self._started:
            return
        self._started = True
        with self._metrics.guard():
            self._metrics.queued.labels(self._agent).dec()
            self._metrics.waits.labels(self._agent).observe(perf_counter() - self._created)

    def dropped(self, status: Status = Status.CANCELLED) -> None:
        """The task ends without having run."""
        self.started()
        self._end(status)

    @contextmanager
    def running(self) -> Iterator["Task"]:
        """Measure the block as the task's run; it ends as the exception says, or as `status` was set."""
        self.started()
        metrics, agent, began = self._metrics, self._agent, perf_counter()
        with metrics.guard():
            metrics.starts.labels(agent).observe(began - self._created)
            metrics.running.labels(agent).inc()
        raised: BaseException | None = None
        try:
            yield self
        except BaseException as error:
            raised = error
            raise
        finally:
            with metrics.guard():
                metrics.running.labels(agent).dec()
                metrics.seconds.labels(agent).observe(perf_counter() - began)
            self._end(status_of(raised) if raised is not None else self.status or Status.SUCCESS)

    def _end(self, status: Status) -> None:
        if self._ended:
            return
        self._ended = True
        with self._metrics.guard():
            self._metrics.executions.labels(self._agent, Status(status).value).inc()


class Pool:
    """How much of a pool is in use."""

    def __init__(self, metrics: AgentMetrics, in_use: GaugeSeries) -> None:
        self._metrics = metrics
        self._in_use = in_use
        in_use.inc(0)

    @contextmanager
    def use(self) -> Iterator[None]:
        """One member is in use inside of the block."""
        self._in_use.inc()
        try:
            yield
        finally:
            self._in_use.dec()

    def set(self, in_use: int) -> None:
        """Say how many are in use, where somebody else counts."""
        self._in_use.set(in_use)


_known: "weakref.WeakKeyDictionary[Registry, AgentMetrics]" = weakref.WeakKeyDictionary()


def metrics_of(registry: Registry | None = None) -> AgentMetrics:
    """Return the agent families of a registry (the default one), made once."""
    registry = registry or default_registry()
    metrics = _known.get(registry)
    if metrics is None:
        metrics = _known[registry] = AgentMetrics(registry)
    return metrics


def agent_task(agent: str, registry: Registry | None = None) -> "AgentTask":
    """Return what measures a function (as a decorator) or a block (as a context manager) as tasks of `agent`."""
    return AgentTask(agent, registry)


class AgentTask:
    """See `agent_task`. As a context manager it is for one block at a time; as a decorator for any number."""

    def __init__(self, agent: str, registry: Registry | None) -> None:
        self._agent = agent
        self._registry = registry
        self._blocks: list[Any] = []

    def __call__(self, function: F) -> F:
        if iscoroutinefunction(function):

            @functools.wraps(function)
            async def measured_async(*args: Any, **options: Any) -> Any:
                with metrics_of(self._registry).created(self._agent).running():
                    return await function(*args, **options)

            return measured_async  # type: ignore[return-value]  # the same signature, by functools.wraps

        @functools.wraps(function)
        def measured(*args: Any, **options: Any) -> Any:
            with metrics_of(self._registry).created(self._agent).running():
                return function(*args, **options)

        return measured  # type: ignore[return-value]  # the same signature, by functools.wraps

    def __enter__(self) -> Task:
        block = metrics_of(self._registry).created(self._agent).running()
        self._blocks.append(block)
        return block.__enter__()

    def __exit__(self, *exception: Any) -> bool | None:
        return bool(self._blocks.pop().__exit__(*exception))
