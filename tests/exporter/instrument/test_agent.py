import asyncio

import pytest
from topmast_exporter.instrument.agent import AgentMetrics, Status, agent_task, metrics_of
from topmast_exporter.registry import Registry
from topmast_exporter.testing import samples, value


def ended(registry: Registry) -> dict[str, float]:
    found = samples(registry, "agent_executions_total")
    return {labels["status"]: count for labels, count in found if count}


def test_a_task_waits_starts_runs_and_ends() -> None:
    registry = Registry()
    agents = AgentMetrics(registry)

    task = agents.created("planner")
    waiting = value(registry, "agent_tasks_queued", agent="planner")
    task.started()
    with task.running():
        running = value(registry, "agent_tasks_running", agent="planner"), value(registry, "agent_tasks_queued")

    assert (waiting, running) == (1, (1, 0))
    assert value(registry, "agent_tasks_running") == 0
    assert ended(registry) == {"success": 1}
    for family in ("agent_execution_seconds", "agent_start_seconds", "agent_task_queue_wait_seconds"):
        assert value(registry, f"{family}_count", agent="planner") == 1


@pytest.mark.parametrize(
    ("error", "status"),
    [
        pytest.param(ValueError(), "failure", id="exception"),
        pytest.param(TimeoutError(), "timeout", id="timeout"),
        pytest.param(asyncio.CancelledError(), "cancelled", id="cancelled"),
    ],
)
def test_an_exception_says_how_a_task_ended_and_goes_on(error: BaseException, status: str) -> None:
    registry = Registry()

    with pytest.raises(type(error)), AgentMetrics(registry).created("planner").running():
        raise error

    assert ended(registry) == {status: 1}
    assert value(registry, "agent_tasks_running") == 0


def test_a_task_that_handles_its_own_errors_says_how_it_ended() -> None:
    registry = Registry()

    with AgentMetrics(registry).created("planner").running() as task:
        task.status = Status.TIMEOUT

    assert ended(registry) == {"timeout": 1}


def test_a_task_that_never_ran_leaves_the_queue() -> None:
    registry = Registry()
    task = AgentMetrics(registry).created("planner")

    task.dropped()
    task.dropped()

    assert value(registry, "agent_tasks_queued") == 0
    assert ended(registry) == {"cancelled": 1}


def test_the_decorator_measures_functions_of_both_kinds() -> None:
    registry = Registry()

    @agent_task("sync", registry)
    def double(number: int) -> int:
        return number * 2

    @agent_task("async", registry)
    async def halve(number: int) -> int:
        if number % 2:
            raise ValueError("odd")
        return number // 2

    async def both() -> list[int | BaseException]:
        return await asyncio.gather(halve(4), halve(3), return_exceptions=True)

    assert double(2) == 4
    assert asyncio.run(both())[0] == 2
    assert double.__name__ == "double"
    assert value(registry, "agent_executions_total", agent="sync", status="success") == 1
    assert value(registry, "agent_executions_total", agent="async", status="failure") == 1


def test_the_context_manager_measures_a_block() -> None:
    registry = Registry()

    with agent_task("block", registry):
        running = value(registry, "agent_tasks_running", agent="block")

    assert running == 1
    assert ended(registry) == {"success": 1}


def test_a_limit_declares_the_agent_at_zero() -> None:
    registry = Registry()
    AgentMetrics(registry).limit("planner", 3)

    assert value(registry, "agent_tasks_max", agent="planner") == 3
    assert {labels["status"] for labels, _ in samples(registry, "agent_executions_total")} == set(Status)
    assert value(registry, "agent_tasks_running", agent="planner") == 0


def test_a_pool_is_in_use_inside_of_the_block() -> None:
    registry = Registry()
    pool = AgentMetrics(registry).pool("sandboxes", 4)

    with pool.use(), pool.use():
        in_use = value(registry, "agent_pool_in_use", pool="sandboxes")

    assert (in_use, value(registry, "agent_pool_in_use")) == (2, 0)
    assert value(registry, "agent_pool_max", pool="sandboxes") == 4
    pool.set(3)
    assert value(registry, "agent_pool_in_use") == 3


def test_cleanup_failures_have_one_of_a_few_reasons() -> None:
    registry = Registry()
    agents = metrics_of(registry)

    agents.cleanup_failed("planner", "timeout")
    agents.cleanup_failed("planner", "container 4711 of customer 12 is gone")

    assert {labels["reason"] for labels, _ in samples(registry, "agent_cleanup_failures_total")} == {
        "timeout",
        "_other",
    }
    assert metrics_of(registry) is agents


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        pytest.param(TimeoutError(), "timeout", id="timeout"),
        pytest.param(FileNotFoundError(), "not_found", id="gone already"),
        pytest.param(PermissionError(), "permission", id="permission"),
        pytest.param(ConnectionResetError(), "connection", id="connection"),
        pytest.param(ValueError("a secret"), "_other", id="anything else"),
    ],
)
def test_an_executor_that_stays_behind_is_counted_by_reason_and_raised(error: Exception, reason: str) -> None:
    registry = Registry()
    agents = AgentMetrics(registry)

    with agents.cleanup("planner"):
        pass
    with pytest.raises(type(error)), agents.cleanup("planner"):
        raise error

    counted = samples(registry, "agent_cleanup_failures_total")
    assert {labels["reason"] for labels, count in counted if count} == {reason}
    assert len(counted) == 5
