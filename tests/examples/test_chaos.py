"""What the app breaks on purpose is bounded, and ends with its fault."""

import logging
import random
from typing import Any, cast

import psutil
import pytest
from reference_app.assistant import Assistant, ModelUnavailableError
from reference_app.cache import Cache
from reference_app.chaos import BALLAST_BYTES, Chaos
from reference_app.faults import Faults


class Recorder:
    """Stands for the cache and the assistant: remembers what it was asked to do."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def flush(self) -> None:
        self.asked.append("flush")

    async def fill(self, megabytes: int) -> None:
        self.asked.append(f"fill {megabytes}")

    async def complete(self, used_for: str, model: str, *_: Any, **__: Any) -> None:
        self.asked.append(f"{used_for} {model}")
        raise ModelUnavailableError(model)


@pytest.fixture
def faults() -> Faults:
    return Faults()


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def chaos(faults: Faults, recorder: Recorder) -> Chaos:
    return Chaos(faults, cast(Cache, recorder), cast(Assistant, recorder), random.Random(7))


@pytest.mark.asyncio
async def test_without_a_fault_nothing_happens(chaos: Chaos, recorder: Recorder) -> None:
    await chaos.act()

    assert recorder.asked == []
    assert not any(chaos.fails() or chaos.slow_query() for _ in range(100))


@pytest.mark.asyncio
async def test_memory_leaks_up_to_a_bound_and_is_given_back(chaos: Chaos, faults: Faults) -> None:
    faults.start("memory", 60)
    for _ in range(40):
        await chaos.act()
    held = chaos.held_bytes
    faults.clear()
    await chaos.act()

    assert held == BALLAST_BYTES
    assert chaos.held_bytes == 0


@pytest.mark.asyncio
async def test_a_prompt_loop_uses_the_dearest_model_also_when_it_fails(
    chaos: Chaos, faults: Faults, recorder: Recorder
) -> None:
    faults.start("cost-spike", 60)

    await chaos.act()

    assert recorder.asked == ["catalogue-writer claude-opus-4-1"] * 2


@pytest.mark.asyncio
async def test_the_cores_are_burned_until_the_fault_ends(chaos: Chaos, faults: Faults) -> None:
    before = set(psutil.Process().children())
    faults.start("cpu", 60)
    await chaos.act()
    burning = set(psutil.Process().children()) - before
    faults.clear()
    await chaos.act()

    assert len(burning) == psutil.cpu_count()
    assert not any(process.is_running() for process in burning)


@pytest.mark.asyncio
async def test_errors_are_logged_of_which_one_was_never_seen(
    chaos: Chaos, faults: Faults, caplog: pytest.LogCaptureFixture
) -> None:
    faults.start("log-errors", 60)

    with caplog.at_level(logging.ERROR):
        await chaos.act()
        await chaos.act()

    new = [record.getMessage() for record in caplog.records if "in step" in record.getMessage()]
    assert len(caplog.records) == 10
    assert len(set(new)) == 2


def test_a_share_of_the_requests_fails(chaos: Chaos, faults: Faults) -> None:
    faults.start("errors", 60)

    failed = sum(chaos.fails() for _ in range(2000))

    assert 300 < failed < 500
