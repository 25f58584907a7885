import asyncio

from topmast_exporter.instrument.loop_lag import PERIOD_SECONDS, LoopLag, WorstOfAMinute


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def watched() -> tuple[LoopLag, Clock, asyncio.AbstractEventLoop]:
    clock, loop = Clock(), asyncio.new_event_loop()
    lag = LoopLag(clock)
    lag.watch(loop)
    return lag, clock, loop


def test_no_loop_no_value() -> None:
    assert LoopLag().maximum() is None


def test_a_closed_loop_has_no_value() -> None:
    lag, _, loop = watched()
    loop.close()

    assert lag.maximum() is None


def test_the_worst_of_the_last_minute_stays_and_then_goes() -> None:
    clock = Clock()
    worst = WorstOfAMinute(clock)
    worst.note(1.5)
    worst.note(0.1)
    clock.now += 30
    worst.note(0.2)
    after_half_a_minute = worst.maximum()
    clock.now += 31
    after_a_minute = worst.maximum()
    clock.now += 60

    assert (after_half_a_minute, after_a_minute, worst.maximum()) == (1.5, 0.2, 0.0)


def test_a_loop_that_hangs_now_is_seen_now() -> None:
    lag, clock, loop = watched()
    clock.now += PERIOD_SECONDS + 4

    assert lag.maximum() == 4
    loop.close()


def test_a_real_loop_that_is_blocked_says_so() -> None:
    clock = Clock()
    lag = LoopLag(clock)

    async def block() -> float | None:
        lag.watch(asyncio.get_running_loop())
        clock.now += 2 * PERIOD_SECONDS  # as if this coroutine had taken that long
        await asyncio.sleep(1.5 * PERIOD_SECONDS)  # the timer fires meanwhile
        return lag.maximum()

    assert asyncio.run(block()) == PERIOD_SECONDS
