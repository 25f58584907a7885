"""Background refresh: a scrape waits for nobody, and what is old disappears."""

import threading
from dataclasses import dataclass

import pytest
from topmast_exporter.collector import Collector, Reading
from topmast_exporter.collectors import redis as redis_module
from topmast_exporter.errors import CollectError
from topmast_exporter.refresh import Target, Targets
from topmast_exporter.registry import Registry
from topmast_exporter.render import render


@dataclass(frozen=True)
class Config:
    target: str = "one"
    interval_seconds: float = 10.0
    timeout_seconds: float = 1.0


class Source:
    """Answers what the test says."""

    def __init__(self):
        self.answer = 1.0
        self.closed = False

    def collect(self):
        if isinstance(self.answer, Exception):
            raise self.answer
        reading = Reading()
        reading.gauge("fake_value", "A value.", self.answer)
        return reading

    def close(self):
        self.closed = True


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def source():
    return Source()


@pytest.fixture
def target(source, clock):
    collector = Collector("fake", "A fake.", Config, {}, (), lambda _: source, "fake_up")
    return Target(collector, Config(), source, clock=clock, jitter=lambda: 0.0)


def test_before_the_first_refresh_nothing_is_known(target):
    snapshot = target.snapshot()

    assert (snapshot.up, snapshot.age_seconds, snapshot.metrics) == (False, None, ())


def test_a_failed_refresh_keeps_the_values_for_three_intervals_and_up_is_0_at_once(target, source, clock):
    target.refresh()
    source.answer = CollectError("gone", "connection")
    clock.now += 10

    target.refresh()
    at_once = target.snapshot()
    clock.now += 20
    still = target.snapshot()
    clock.now += 1
    later = target.snapshot()

    assert (at_once.up, len(at_once.metrics)) == (False, 1)
    assert len(still.metrics) == 1
    assert (later.up, later.metrics) == (False, ())


def test_a_refresh_that_hangs_turns_up_to_0_while_it_hangs(clock):
    entered, leave = threading.Event(), threading.Event()

    class Hanging(Source):
        def collect(self):
            entered.set()
            leave.wait(10)
            return super().collect()

    collector = Collector("fake", "A fake.", Config, {}, (), lambda _: Hanging(), "fake_up")
    target = Target(collector, Config(), Hanging(), clock=clock)
    leave.set()
    target.refresh()
    leave.clear()
    entered.clear()
    thread = threading.Thread(target=target.refresh)
    thread.start()
    assert entered.wait(10)

    within = target.snapshot().up
    clock.now += 1.5
    overdue = target.snapshot()

    leave.set()
    thread.join(10)
    assert (within, overdue.up, len(overdue.metrics)) == (True, False, 1)


def test_retries_back_off_to_the_interval_and_end_with_a_success(target, source):
    source.answer = CollectError("gone", "connection")
    waits = []
    for _ in range(6):
        target.refresh()
        waits.append(target.wait_seconds())
    source.answer = 1.0
    target.refresh()

    assert waits == [1, 2, 4, 8, 10, 10]
    assert target.wait_seconds() == 10


@pytest.mark.parametrize(("jitter", "waits"), [(0.0, (1, 10)), (0.5, (0.95, 9.5)), (1.0, (0.9, 9.0))])
def test_jitter_shortens_each_wait_by_a_tenth_at_the_most(source, clock, jitter, waits):
    collector = Collector("fake", "A fake.", Config, {}, (), lambda _: source, "fake_up")
    target = Target(collector, Config(), source, clock=clock, jitter=lambda: jitter)
    source.answer = CollectError("gone", "connection")
    target.refresh()
    after_a_failure = target.wait_seconds()
    source.answer = 1.0
    target.refresh()

    assert (after_a_failure, target.wait_seconds()) == pytest.approx(waits)


def test_a_fault_of_a_collector_is_a_failure_and_not_the_end(target, source):
    source.answer = ZeroDivisionError("ours")

    assert target.refresh() is False
    source.answer = 2.0
    assert target.refresh() is True


def test_a_reload_with_other_options_shows_the_last_values_until_there_are_new_ones():
    asked, leave = threading.Event(), threading.Event()

    class Slow(Source):
        def __init__(self, config):
            super().__init__()
            self.first = config.interval_seconds == 10

        def collect(self):
            if not self.first:
                asked.set()
                leave.wait(10)
            return super().collect()

    collector = Collector("fake", "A fake.", Config, {}, (), Slow, "fake_up")
    targets = Targets(Registry())
    targets.add(collector, Config()).refresh()

    targets.replace([(collector, Config(interval_seconds=20.0))])
    assert asked.wait(10)
    meanwhile = targets.get("fake", Config().target).snapshot()

    leave.set()
    targets.stop()
    assert (meanwhile.up, len(meanwhile.metrics)) == (True, 1)


def test_several_targets_of_one_kind_are_told_apart(valkey):
    registry = Registry()
    targets = Targets(registry)
    for name, url in (("here", valkey), ("gone", "redis://127.0.0.1:1/0")):
        targets.add(redis_module.COLLECTOR, redis_module.Config(target=name, url=url)).refresh()

    text = render(registry)[0].decode()
    shown = {target.key[1]: len(target.snapshot().metrics) for target in targets.all()}

    for target in targets.all():
        target._source.close()
    assert 'exporter_collector_up{collector="redis",target="here"} 1.0\n' in text
    assert 'exporter_collector_up{collector="redis",target="gone"} 0.0\n' in text
    assert (shown["here"] > 100, shown["gone"]) == (True, 0)


def test_the_exporter_says_how_each_server_is():
    registry = Registry()
    targets = Targets(registry)
    config = redis_module.Config(target="cache", url="redis://127.0.0.1:1/0")
    target = targets.add(redis_module.COLLECTOR, config)

    target.refresh()

    text = render(registry)[0].decode()
    assert 'exporter_collector_up{collector="redis",target="cache"} 0.0\n' in text
    assert 'exporter_collector_failures_total{collector="redis",reason="connection"} 1.0\n' in text
    assert 'exporter_collector_failures_total{collector="redis",reason="timeout"} 0.0\n' in text
    assert 'exporter_collector_duration_seconds{collector="redis"} ' in text
    assert "exporter_collector_data_age_seconds{" not in text  # never read, so no age
