import math
import os
import subprocess
import sys
import threading
from collections.abc import Callable

import pytest
from prometheus_client import CollectorRegistry, Counter, generate_latest
from topmast_exporter.admission import MAX_OVERFLOW_SETS, OTHER, Limits
from topmast_exporter.registry import Registry
from topmast_exporter.render import render
from topmast_exporter.testing import samples, value


def test_a_label_set_is_one_record() -> None:
    family = Registry().counter("x_total", "x", ("route", "status"))

    assert family.labels("/", "200") is family.labels("/", 200)
    assert len(family) == 1


def test_counters_gauges_and_histograms_hold_what_they_were_given() -> None:
    registry = Registry()
    registry.counter("c_total", "c", ("a",)).labels("x").inc(2.5)
    registry.gauge("g", "g", ("a",)).labels("x").set(7)
    registry.gauge("g", "g", ("a",)).labels("x").dec(2)
    histogram = registry.histogram("h", "h", ("a",), (0.1, 0.2)).labels("x")
    for seconds in (0.05, 0.1, 0.15, 3):
        histogram.observe(seconds)

    assert value(registry, "c_total", a="x") == 2.5
    assert value(registry, "g", a="x") == 5
    assert [(labels["le"], count) for labels, count in samples(registry, "h_bucket")] == [
        ("0.1", 2),
        ("0.2", 3),
        ("+Inf", 4),
    ]
    assert value(registry, "h_sum", a="x") == pytest.approx(3.3)


def test_what_has_no_labels_starts_at_zero_and_a_gauge_is_absent_until_it_is_set() -> None:
    registry = Registry()
    registry.counter("c_total", "c")
    registry.histogram("h", "h", (), (1,))
    registry.gauge("g", "g")

    assert value(registry, "c_total") == 0
    assert value(registry, "h_count") == 0
    assert value(registry, "g") is None


@pytest.mark.parametrize("amount", [-1, math.nan, math.inf])
def test_a_counter_takes_only_what_makes_it_grow(amount: float) -> None:
    counter = Registry().counter("c_total", "c").labels()

    with pytest.raises(ValueError, match="a counter grows"):
        counter.inc(amount)


@pytest.mark.parametrize("seconds", [-0.1, math.nan, math.inf])
def test_a_histogram_takes_only_what_makes_its_sum_grow(seconds: float) -> None:
    with pytest.raises(ValueError, match="cannot observe"):
        Registry().histogram("h", "h", (), (1,)).labels().observe(seconds)


@pytest.mark.parametrize(
    ("declare", "message"),
    [
        pytest.param(lambda r: r.counter("a-b", "x"), "not a metric name", id="name"),
        pytest.param(lambda r: r.counter("a", "x", ("a-b",)), "not a label name", id="label"),
        pytest.param(lambda r: r.counter("a", "x", ("le",)), "not a label name", id="reserved label"),
        pytest.param(lambda r: r.counter("a", "x", ("b",), ("c",)), "open labels", id="open label"),
        pytest.param(lambda r: r.histogram("a", "x", (), (2, 1)), "bounds must grow", id="bounds"),
        pytest.param(lambda r: r.gauge("taken_total", "x"), "another shape", id="taken"),
        pytest.param(lambda r: r.counter("taken_total", "x").labels("y"), "not 1 values", id="label count"),
    ],
)
def test_a_wrong_declaration_says_what_is_wrong(declare: Callable[[Registry], object], message: str) -> None:
    registry = Registry()
    registry.counter("taken_total", "x")

    with pytest.raises(ValueError, match=message):
        declare(registry)


def test_beyond_the_admission_open_labels_become_other_and_closed_ones_stay() -> None:
    registry = Registry(Limits(per_family=3))
    family = registry.counter("x_total", "x", ("route", "status"), open_labels=("route",))
    for number in range(10):
        family.labels(f"/{number}", "500" if number % 2 else "200").inc()

    assert {labels["route"] + labels["status"]: count for labels, count in samples(registry, "x_total")} == {
        "/0200": 1,
        "/1500": 1,
        "/2200": 1,
        f"{OTHER}500": 4,
        f"{OTHER}200": 3,
    }
    assert value(registry, "exporter_label_overflow_total", family="x_total") == 7
    assert value(registry, "exporter_series", family="x_total") == 5


def test_the_families_together_are_bounded_too() -> None:
    registry = Registry(Limits(per_family=100, in_all=10))
    for number in range(10):
        registry.counter(f"family_{number}_total", "x", ("name",), ("name",)).labels("a").inc()
        registry.counter(f"family_{number}_total", "x", ("name",), ("name",)).labels("b").inc()

    assert value(registry, "family_9_total", name=OTHER) == 2


def test_even_closed_labels_that_break_their_promise_are_bounded() -> None:
    registry = Registry(Limits(per_family=10))
    family = registry.counter("x_total", "x", ("route", "status"), open_labels=("route",))
    for number in range(5_000):
        family.labels("/", str(number)).inc()

    assert len(family) <= 10 + MAX_OVERFLOW_SETS + 1
    assert sum(count for _, count in samples(registry, "x_total")) == 5_000


def test_a_gauge_can_ask_at_the_scrape_and_what_fails_is_absent_and_counted() -> None:
    registry = Registry()
    family = registry.gauge("g", "g", ("name",))
    family.labels("works").set_function(lambda: 3)
    family.labels("unknown").set_function(lambda: None)
    family.labels("broken").set_function(lambda: 1 / 0)

    assert samples(registry, "g") == [({"name": "works"}, 3)]
    assert value(registry, "exporter_internal_errors_total", site="gauge_callback") == 1


def test_a_gauge_family_can_come_from_a_source() -> None:
    registry = Registry()
    registry.gauge("g", "g", ("name",)).set_source(lambda: [(("a\n",), 1), (("b",), 2)])

    assert samples(registry, "g") == [({"name": "a"}, 1), ({"name": "b"}, 2)]


def test_a_removed_gauge_is_gone_and_makes_room() -> None:
    registry = Registry(Limits(per_family=1))
    family = registry.gauge("g", "g", ("name",), ("name",))
    family.labels("a").set(1)
    family.remove("a")
    family.remove("a")
    family.labels("b").set(1)

    assert samples(registry, "g") == [({"name": "b"}, 1)]


def test_threads_lose_nothing() -> None:
    registry = Registry()
    family = registry.counter("x_total", "x", ("thread",))
    histogram = registry.histogram("h", "h", (), (1,)).labels()

    def work(number: int) -> None:
        for _ in range(5_000):
            family.labels(str(number % 2)).inc()
            histogram.observe(0.5)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [count for _, count in samples(registry, "x_total")] == [10_000, 10_000]
    assert value(registry, "h_count") == 20_000


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # 3.12: forking with threads is what we prove
def test_a_forked_child_starts_at_zero_and_can_count() -> None:
    registry = Registry()
    counter = registry.counter("x_total", "x").labels()
    registry.gauge("limit", "x").labels().set(4)
    counter.inc(5)
    stop = threading.Event()

    def keep_the_lock_busy() -> None:
        while not stop.is_set():
            counter.inc(0)

    thread = threading.Thread(target=keep_the_lock_busy)
    thread.start()
    pid = os.fork()
    if pid == 0:
        counter.inc()
        right = value(registry, "x_total") == 1 and value(registry, "limit") == 4
        os._exit(0 if right else 1)
    _, status = os.waitpid(pid, 0)
    stop.set()
    thread.join()

    assert os.waitstatus_to_exitcode(status) == 0
    assert value(registry, "x_total") == 5


def test_the_registry_can_be_registered_in_the_clients_own() -> None:
    registry = Registry()
    registry.counter("ours_total", "Ours.", ("a",)).labels("x").inc()
    clients = CollectorRegistry()
    clients.register(registry)

    assert b'ours_total{a="x"} 1.0\n' in generate_latest(clients)


def test_each_may_stand_in_the_other() -> None:
    registry, clients = Registry(), CollectorRegistry()
    registry.counter("ours_total", "Ours.")
    Counter("theirs_total", "Theirs.", registry=clients).inc()
    clients.register(registry)
    registry.register(clients)

    body = render(registry)[0]

    assert body.count(b"# TYPE ours_total counter") == 1
    assert b"theirs_total 1.0\n" in body


def test_the_default_registry_exposes_what_the_process_has_and_imports_nothing_before_that() -> None:
    program = """
import sys
from topmast_exporter.instrument.asgi import instrument
from topmast_exporter.registry import default_registry
from topmast_exporter.render import render
registry = default_registry()
assert registry is default_registry()
assert not {"prometheus_client", "redis", "psycopg", "openai", "httpx", "http.client"} & set(sys.modules)
from prometheus_client import Counter
Counter("theirs", "Theirs.").inc()
body = render(registry)[0]
assert b"theirs_total 1.0" in body and b"process_resident_memory_bytes" in body
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=30)
