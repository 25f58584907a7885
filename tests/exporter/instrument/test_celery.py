"""Real Celery workers: one in a thread of the test, and one that forks its pool, with a real Valkey between."""

import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from celery import Celery, signals
from celery.contrib.testing.worker import start_worker
from celery.exceptions import Ignore, Reject, Retry, SoftTimeLimitExceeded, TimeLimitExceeded, WorkerLostError
from topmast_exporter.instrument.agent import Status
from topmast_exporter.instrument.celery import PUBLISHED, ending_of, instrument_celery, waited_seconds
from topmast_exporter.registry import Registry
from topmast_exporter.testing import samples, value

RAISED = {"failure": ValueError, "timeout": SoftTimeLimitExceeded, "ignore": Ignore, "reject": Reject}


@pytest.fixture(scope="module")
def registry() -> Registry:
    return Registry()


@pytest.fixture(scope="module")
def shop(registry: Registry) -> Iterator[Celery]:
    """An application whose worker runs in a thread, and has a task for each way to end."""
    app = Celery("shop", broker="memory://", backend="cache+memory://", set_as_current=False)
    app.conf.update(broker_transport_options={"polling_interval": 0.01})

    @app.task(name="shop.add", shared=False)
    def add(left: int, right: int) -> int:
        return left + right

    for how, error in RAISED.items():

        @app.task(name=f"shop.{how}", shared=False)
        def end(error: type[Exception] = error) -> None:
            raise error

    @app.task(name="shop.retry", bind=True, max_retries=1, shared=False)
    def retry(self: Any) -> None:
        raise self.retry(countdown=0)

    instrument_celery(app, registry)
    root = logging.getLogger()
    level = root.level
    with start_worker(app, pool="solo", concurrency=1, perform_ping_check=False, shutdown_timeout=10):
        yield app
    root.setLevel(level)  # the worker set its whole process to ERROR


def ended(registry: Registry, task: str) -> dict[str, float]:
    found = samples(registry, "agent_executions_total")
    return {labels["status"]: count for labels, count in found if labels["agent"] == task and count}


def test_a_task_is_an_execution_that_waited_and_ran(
    shop: Celery, registry: Registry, eventually: Callable[..., None]
) -> None:
    answer = shop.tasks["shop.add"].delay(1, 2).get(timeout=10)

    assert answer == 3
    eventually(lambda: ended(registry, "shop.add") == {"success": 1}, "it ended", 10)
    for family in ("agent_execution_seconds", "agent_task_queue_wait_seconds", "agent_start_seconds"):
        assert value(registry, f"{family}_count", agent="shop.add") == 1
    assert value(registry, "agent_tasks_running", agent="shop.add") == 0
    assert value(registry, "agent_pool_in_use", pool="celery") == 0
    assert value(registry, "agent_tasks_queued") is None
    assert value(registry, "exporter_internal_errors_total") is None


@pytest.mark.parametrize(
    ("how", "endings", "runs"),
    [
        pytest.param("failure", {"failure": 1}, 1, id="exception"),
        pytest.param("timeout", {"timeout": 1}, 1, id="soft time limit"),
        pytest.param("ignore", {"cancelled": 1}, 1, id="ignored"),
        pytest.param("reject", {"cancelled": 1}, 1, id="rejected"),
        pytest.param("retry", {"failure": 1}, 2, id="retried, then given up"),
    ],
)
def test_a_task_ends_as_celery_says(
    how: str, endings: dict[str, float], runs: int, shop: Celery, registry: Registry, eventually: Callable[..., None]
) -> None:
    shop.tasks[f"shop.{how}"].delay()

    eventually(lambda: ended(registry, f"shop.{how}") == endings, f"{endings}", 10)
    assert value(registry, "agent_execution_seconds_count", agent=f"shop.{how}") == runs


class Consumer:
    """What sends worker_ready."""

    def __init__(self, app: Celery | None) -> None:
        self.app = app
        self.controller = SimpleNamespace(concurrency=4)


def test_a_worker_says_what_it_knows_when_it_is_ready() -> None:
    registry = Registry()
    app = Celery("quiet", set_as_current=False)

    @app.task(name="quiet.task", shared=False)
    def quiet() -> None: ...

    instrument_celery(app, registry)
    for sender in (Consumer(app), Consumer(None)):
        signals.worker_ready.send(sender)

    assert value(registry, "agent_executions_total", agent="quiet.task", status="timeout") == 0
    assert value(registry, "agent_pool_max", pool="celery") == 4
    assert {labels["agent"] for labels, _ in samples(registry, "agent_tasks_running")} == {"quiet.task"}


def test_what_the_main_process_says_of_a_task_that_had_to_die(shop: Celery) -> None:
    registry = Registry()
    instrument_celery(shop, registry)
    task = shop.tasks["shop.add"]

    signals.task_failure.send(task, task_id="elsewhere", exception=TimeLimitExceeded(1))
    signals.task_failure.send(task, task_id="elsewhere", exception=WorkerLostError("signal 9"))
    signals.task_revoked.send(task, request=SimpleNamespace(task=task), terminated=True, signum=15, expired=False)

    assert ended(registry, "shop.add") == {"timeout": 1, "failure": 1, "cancelled": 1}


def test_another_application_is_left_alone(shop: Celery) -> None:
    other = Registry()
    instrument_celery(Celery("other", set_as_current=False), other)

    shop.tasks["shop.add"].delay(1, 2).get(timeout=10)

    assert value(other, "agent_executions_total") is None


@pytest.mark.parametrize(
    ("state", "error", "status"),
    [
        pytest.param("SUCCESS", None, Status.SUCCESS, id="success"),
        pytest.param("FAILURE", KeyError("x"), Status.FAILURE, id="failure"),
        pytest.param("FAILURE", TimeoutError(), Status.TIMEOUT, id="a timeout of its own"),
        pytest.param("RETRY", Retry(), None, id="not yet"),
        pytest.param("REJECTED", None, Status.CANCELLED, id="rejected"),
    ],
)
def test_endings(state: str, error: Exception | None, status: Status | None) -> None:
    assert ending_of(state, error) is status


@pytest.mark.parametrize(
    ("about", "waited"),
    [
        pytest.param({PUBLISHED: 90.0}, 10.0, id="since it was published"),
        pytest.param({"headers": {PUBLISHED: 90.0}}, 10.0, id="in the headers"),
        pytest.param({PUBLISHED: 90.0, "eta": datetime.fromtimestamp(95, UTC).isoformat()}, 5.0, id="since its eta"),
        pytest.param({PUBLISHED: 110.0}, 0.0, id="a clock ahead of ours"),
        pytest.param({PUBLISHED: "yesterday"}, None, id="nonsense"),
        pytest.param({"headers": None, "eta": None}, None, id="nobody says"),
    ],
)
def test_a_wait_is_since_the_task_could_run(about: dict[str, Any], waited: float | None) -> None:
    assert waited_seconds(SimpleNamespace(**about), 100.0) == waited


TASKS = """
import os
from celery import Celery
from topmast_exporter.instrument.celery import instrument_celery
from topmast_exporter.registry import default_registry
from topmast_exporter.render import render

app = Celery("tasks", broker=os.environ["SHOP_REDIS"], backend=os.environ["SHOP_REDIS"])
app.conf.task_default_queue = "tasks-of-a-pool"
instrument_celery(app)

@app.task(name="numbers")
def numbers():
    wanted = frozenset({"agent_executions_total", "agent_task_queue_wait_seconds"})
    return render(default_registry(), "", wanted)[0].decode()
"""


def test_a_forked_pool_counts_in_the_process_that_runs_the_task(tmp_path: Path, valkey: str) -> None:
    (tmp_path / "tasks.py").write_text(TASKS)
    environment = {**os.environ, "SHOP_REDIS": valkey}
    worker = [sys.executable, "-m", "celery", "-A", "tasks", "worker", "--pool", "prefork", "--concurrency", "1"]
    ask = "import tasks; tasks.numbers.delay().get(timeout=30); print(tasks.numbers.delay().get(timeout=30))"

    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(worker, cwd=tmp_path, env=environment, stdout=log, stderr=log)
    try:
        asked = [sys.executable, "-c", ask]
        done = subprocess.run(asked, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=90)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)

    text = done.stdout + (tmp_path / "log").read_text()
    assert 'agent_executions_total{agent="numbers",status="success"} 1.0' in done.stdout, text
    assert 'agent_executions_total{agent="numbers",status="timeout"} 0.0' in done.stdout, text
    assert 'agent_task_queue_wait_seconds_count{agent="numbers"} 2' in done.stdout, text
