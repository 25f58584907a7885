"""The sum of several workers: what a delta says, how it is added, what a restart finds again."""

import asyncio
import contextlib
import json
import multiprocessing
import os
import threading

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from topmast_exporter.registry import Registry
from topmast_exporter.render import render
from topmast_exporter.workers import intake, push, wire
from topmast_exporter.workers.delta import Reading, take
from topmast_exporter.workers.intake import Intake
from topmast_exporter.workers.merge import App, RefusedError


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


class Exporter:
    """An Intake in a thread of its own, restartable, at one socket and folder."""

    def __init__(self, folder, clock=None):
        self.path = folder / "run" / "workers.sock"
        self.folder = folder
        self.clock = clock
        self.own = Registry()

    def start(self):
        self.loop = asyncio.new_event_loop()
        options = {} if self.clock is None else {"clock": self.clock}
        self.intake = Intake(self.folder, self.own, **options)
        self.thread = threading.Thread(target=self.loop.run_forever)
        self.thread.start()
        self._call(self.intake.serve(intake.listen(self.path)))
        return self

    def stop(self):
        self._call(self.intake.stop())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)
        self.loop.close()

    def _call(self, coroutine):
        asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(10)

    def text(self, app="shop"):
        return render(self.intake._app(app).registry)[0].decode()

    def value(self, sample, app="shop"):
        for line in self.text(app).splitlines():
            if line.startswith(f"{sample} "):
                return float(line.rpartition(" ")[2])
        return None


@pytest.fixture
def exporter(tmp_path):
    one = Exporter(tmp_path).start()
    yield one
    if one.thread.is_alive():
        one.stop()


@pytest.fixture
def worker(exporter):
    """Return a function that starts one more worker: (registry, pusher)."""
    started = []

    def start():
        registry = Registry()
        pusher = push.Pusher(registry, "shop", exporter.path, interval_seconds=0.02)
        pusher.begin()
        started.append(pusher)
        return registry, pusher

    yield start
    for pusher in started:
        pusher.close(0.0)


def test_counters_and_histograms_add_up_and_gauges_follow_their_rule(exporter, worker):
    (one, push_one), (two, push_two) = worker(), worker()
    for registry, amount in ((one, 3), (two, 4)):
        registry.counter("app_http_requests_total", "Requests.", ("route",), ("route",)).labels("/x").inc(amount)
        registry.histogram("agent_start_seconds", "Start.", (), (1, 5)).labels().observe(amount)
        registry.gauge("app_http_requests_in_flight", "In flight.").labels().set(amount)
        registry.gauge("app_event_loop_lag_seconds", "Lag.").labels().set(amount)
        registry.gauge("cache_backend_up", "Up.", ("backend",)).labels("redis").set(amount - 3)

    assert push_one.flush(10)
    assert push_two.flush(10)

    assert exporter.value('app_http_requests_total{route="/x"}') == 7
    assert exporter.value('agent_start_seconds_bucket{le="5.0"}') == 2
    assert exporter.value("agent_start_seconds_sum") == 7.0
    assert exporter.value("app_http_requests_in_flight") == 7
    assert exporter.value("app_event_loop_lag_seconds") == 4
    assert exporter.value('cache_backend_up{backend="redis"}') == 0


def test_an_exemplar_comes_along_once_and_the_newest_of_a_bucket_stays(exporter, worker):
    (first, one), (second, two) = worker(), worker()
    seconds = [
        each.histogram("app_wait_seconds", "Waiting.", ("a",), (1.0, 5.0)).labels("b") for each in (first, second)
    ]
    counted = first.counter("app_faults_total", "Faults.", ("a",)).labels("b")
    seconds[0].observe(2.0, "aaaa")
    counted.inc(1, "cccc")
    one.flush(10)
    seconds[1].observe(3.0, "bbbb")
    two.flush(10)
    seconds[0].observe(0.5)
    one.flush(10)

    body, _ = render(exporter.intake._app("shop").registry, "application/openmetrics-text")
    lines = [line.rpartition(" ")[0] for line in body.decode().splitlines() if " # {" in line]

    assert lines == [
        'app_wait_seconds_bucket{a="b",le="5.0"} 3 # {trace_id="bbbb"} 3.0',
        'app_faults_total{a="b"} 1.0 # {trace_id="cccc"} 1.0',
    ]


def test_a_series_is_told_at_0_before_its_first_event(exporter, worker):
    registry, pusher = worker()
    registry.counter("app_things_total", "Things.", ("a",)).labels("b")

    assert pusher.flush(10)

    assert exporter.value('app_things_total{a="b"}') == 0


def test_the_past_of_a_dead_worker_stays_and_its_gauges_go(exporter, worker, eventually):
    registry, pusher = worker()
    registry.counter("app_things_total", "Things.").labels().inc(5)
    registry.gauge("app_level", "Level.").labels().set(5)
    assert pusher.flush(10)

    pusher.close(5)

    eventually(lambda: exporter.value("app_level") is None, "the gauge is gone")
    assert exporter.value("app_things_total") == 5


def test_a_restart_of_the_exporter_loses_nothing_and_doubles_nothing(exporter, worker):
    registry, pusher = worker()
    counter = registry.counter("app_things_total", "Things.", ("a",)).labels("b")
    seconds = registry.histogram("app_seconds", "Seconds.", (), (1,)).labels()
    for _ in range(5):
        counter.inc(7)
        seconds.observe(0.5)
        assert pusher.flush(10)
        exporter.stop()
        counter.inc(1)
        exporter.start()
    assert pusher.flush(30)

    assert exporter.value('app_things_total{a="b"}') == 40
    assert exporter.value('app_seconds_bucket{le="1.0"}') == 5
    assert exporter.value("app_seconds_sum") == 2.5


def test_an_exporter_that_lost_its_files_is_told_everything_again(exporter, worker):
    registry, pusher = worker()
    registry.counter("app_things_total", "Things.").labels().inc(5)
    assert pusher.flush(10)
    exporter.stop()
    for file in exporter.folder.glob("workers.sqlite*"):
        file.unlink()

    exporter.start()
    assert pusher.flush(30)

    assert exporter.value("app_things_total") == 5


def test_a_delta_whose_acknowledgement_was_lost_is_counted_once(exporter):
    with connected(exporter, "a" * 32) as say:
        said = say(delta(1, 5))
        again = say(delta(1, 5))

    assert (said, again) == ({"acknowledged": 1}, {"acknowledged": 1})
    assert exporter.value("app_things_total") == 5
    assert exporter.own.family("exporter_worker_deltas_total").labels("shop", "repeated").value == 1


def test_metrics_of_prometheus_client_add_up_too(exporter, worker):
    for number in (1, 2):
        registry, pusher = worker()
        foreign = CollectorRegistry()
        Counter("mine", "Mine.", ["a"], registry=foreign).labels("b").inc(number)
        Histogram("theirs", "Theirs.", buckets=(1, 5), registry=foreign).observe(number)
        Gauge("level", "Level.", registry=foreign).set(number)
        Gauge("some_info", "Info.", registry=foreign).set(1)
        registry.register(foreign)
        assert pusher.flush(10)
        assert pusher.flush(10)  # a second delta adds nothing

    assert exporter.value('mine_total{a="b"}') == 3
    assert exporter.value('theirs_bucket{le="5.0"}') == 2
    assert exporter.value("theirs_sum") == 3
    assert exporter.value("level") == 3
    assert exporter.value("some_info") == 1
    exporter.stop()
    exporter.start()
    assert exporter.value('mine_total{a="b"}') == 3


def test_a_new_shape_of_a_family_replaces_the_old_one_and_old_workers_do_no_harm(exporter, worker):
    old, push_old = worker()
    counted = old.counter("app_things_total", "Things.", ("a",)).labels("b")
    counted.inc()
    assert push_old.flush(10)

    new, push_new = worker()  # the next deployment
    new.counter("app_things_total", "Things.", ("a", "c")).labels("b", "d").inc(3)
    assert push_new.flush(10)
    counted.inc()
    assert push_old.flush(10)

    assert exporter.value('app_things_total{a="b",c="d"}') == 3
    assert exporter.value('app_things_total{a="b"}') is None
    exporter.stop()
    exporter.start()
    assert exporter.value('app_things_total{a="b",c="d"}') == 3


def test_workers_together_cannot_exceed_the_admission(exporter, worker):
    for number in range(2):
        registry, pusher = worker()
        family = registry.counter("app_things_total", "Things.", ("a",), ("a",))
        for n in range(1_500):
            family.labels(f"{number}-{n}").inc()
        assert pusher.flush(20)

    assert len(exporter.intake._app("shop").registry.family("app_things_total")) == 2_001
    assert exporter.value('app_things_total{a="_other"}') == 1_000
    assert exporter.value('exporter_label_overflow_total{family="app_things_total"}') >= 1_000


def test_an_app_is_answered_for_15_seconds_after_its_last_report(tmp_path):
    clock = Clock()
    exporter = Exporter(tmp_path, clock).start()
    with connected(exporter, "a" * 32) as say:
        say(delta(1, 5))
        first = exporter.intake.endpoint("shop")
        clock.now += 15.1
        later = exporter.intake.endpoint("shop")
    exporter.stop()

    assert first is not None
    assert later is None


def test_after_a_restart_an_app_is_not_there_before_a_worker_reports(exporter):
    with connected(exporter, "a" * 32) as say:
        say(delta(1, 5))
    exporter.stop()
    exporter.start()

    assert exporter.value("app_things_total") == 5
    assert exporter.intake.endpoint("shop") is None


@pytest.mark.parametrize(
    ("hello", "why"),
    [
        pytest.param({"version": 2, "app": "shop", "worker": "a" * 32}, "version 1", id="another version"),
        pytest.param({"version": 1, "app": "../x", "worker": "a" * 32}, "app:", id="no name"),
        pytest.param({"version": 1, "app": "shop", "worker": "1"}, "worker:", id="no id"),
    ],
)
def test_a_stranger_is_refused(exporter, hello, why):
    with (
        pytest.raises(wire.WireError, match=why),
        contextlib.closing(connect(exporter)) as connection,
    ):
        wire.ask(connection, hello)


FAMILY = {"kind": "counter", "help": "Things.", "labels": [], "open": []}


def delta(sequence, amount):
    told = {"app_things_total": FAMILY}
    return {"sequence": sequence, "families": told, "counters": {"app_things_total": [[[], amount]]}}


def connect(exporter):
    import socket

    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(10)
    connection.connect(str(exporter.path))
    return connection


@contextlib.contextmanager
def connected(exporter, identity):
    with contextlib.closing(connect(exporter)) as connection:
        wire.ask(connection, {"version": 1, "app": "shop", "worker": identity})
        yield lambda message: wire.ask(connection, message)


@pytest.mark.parametrize(
    "message",
    [
        pytest.param({"counters": {"x_total": [[[], 1]]}}, id="not declared"),
        pytest.param({"families": {"x": {}}}, id="no family"),
        pytest.param({"families": {"a b": FAMILY}}, id="no name"),
        pytest.param({"families": {"x": FAMILY}, "counters": {"x": [[["a"], 1]]}}, id="labels"),
        pytest.param({"families": {"x": FAMILY}, "counters": {"x": [[[], -1]]}}, id="negative"),
        pytest.param({"families": {"x": FAMILY}, "counters": {"x": [[[], "1"]]}}, id="text"),
        pytest.param({"families": {"x": FAMILY}, "counters": {"x": [[[], float("nan")]]}}, id="NaN"),
        pytest.param({"histograms": [1]}, id="a list"),
        pytest.param({"families": {"x": FAMILY}, "histograms": {"x": [[[], [1], 1]]}}, id="another kind"),
        pytest.param({"gauges": {"x": [[[], True]]}}, id="a gauge"),
        pytest.param({"foreign": {"x": {"type": "counter", "help": "", "samples": [["x", {}, -1, 1]]}}}, id="fell"),
        pytest.param({"foreign": {"x": 1}}, id="foreign"),
        pytest.param({"exemplars": 1}, id="exemplars"),
        pytest.param({"exemplars": [["y_total", [], 0, "a", 1, 1]]}, id="an exemplar of nothing"),
        pytest.param({"exemplars": [["fine_total", [], 1, "a", 1, 1]]}, id="an exemplar of no bucket"),
        pytest.param({"exemplars": [["fine_total", [], 0, 7, 1, 1]]}, id="an exemplar without a trace"),
        pytest.param({"exemplars": [["fine_total", [], 0, "a", float("inf"), 1]]}, id="an exemplar of no number"),
    ],
)
def test_what_is_no_delta_is_refused_and_adds_nothing(message):
    app = App("shop")
    worker = app.worker("a" * 32)
    app.declare("fine_total", FAMILY, worker)

    with pytest.raises(RefusedError):
        for name, told in message.get("families", {}).items():
            app.declare(name, told, worker)
        app.apply(worker, {**message, "counters": {"fine_total": [[[], 1]], **message.get("counters", {})}})

    assert app.registry.family("fine_total").labels().value == 0


def test_a_message_that_is_too_long_is_not_read(exporter):
    with contextlib.closing(connect(exporter)) as connection:
        connection.sendall(wire.LENGTH.pack(2**31))
        answer = connection.recv(1_000)

    assert b"a message has at most" in answer


def test_a_delta_holds_what_changed_only():
    registry = Registry()
    for label in "ab":
        registry.counter("app_things_total", "Things.", ("a",)).labels(label).inc()
    _, _, reading = take(registry, Reading())

    registry.counter("app_things_total", "Things.", ("a",)).labels("b").inc(2)
    _, changed, _ = take(registry, reading)

    assert changed["counters"] == {"app_things_total": [[("b",), 2.0]]}
    assert changed["histograms"] == {}
    json.dumps(changed)


def _child(registry, pusher, counter, started, go):
    counter.inc(10)
    pusher.begin()
    started.put(pusher._worker)
    go.get()
    pusher.close(10)


def test_a_forked_child_is_a_worker_of_its_own(exporter, worker):
    registry, pusher = worker()
    counter = registry.counter("app_things_total", "Things.").labels()
    counter.inc(5)
    assert pusher.flush(10)
    context = multiprocessing.get_context("fork")
    started, go = context.Queue(), context.Queue()
    child = context.Process(target=_child, args=(registry, pusher, counter, started, go))
    with pytest.warns(DeprecationWarning) if os.sys.version_info >= (3, 12) else contextlib.nullcontext():
        child.start()
    identity = started.get(timeout=20)
    go.put(1)
    child.join(20)
    counter.inc(1)
    assert pusher.flush(10)

    assert identity != pusher._worker
    assert exporter.value("app_things_total") == 16


def test_the_socket_is_this_users_alone(exporter):
    assert exporter.path.stat().st_mode & 0o777 == 0o600
    assert exporter.path.parent.stat().st_mode & 0o777 == 0o700


def test_a_folder_that_is_open_to_others_is_not_used(tmp_path):
    tmp_path.chmod(0o777)

    with pytest.raises(intake.SocketError, match="open to others"):
        intake.listen(tmp_path / "workers.sock")


def test_a_second_exporter_does_not_take_the_socket_away(exporter):
    with pytest.raises(intake.SocketError, match="another exporter"):
        intake.listen(exporter.path)

    with connected(exporter, "a" * 32) as say:  # it goes on taking deltas
        assert say(delta(1, 5)) == {"acknowledged": 1}


def test_an_exporter_that_is_away_costs_a_worker_nothing_but_a_counter(tmp_path, eventually):
    registry = Registry()
    tmp_path.chmod(0o700)
    pusher = push.Pusher(registry, "shop", tmp_path / "none.sock", interval_seconds=0.01)
    pusher.begin()
    failures = registry.family("exporter_push_failures_total").labels("unreachable")

    eventually(lambda: failures.value >= 2, "two failures are counted")

    assert pusher.close(0.0) is False


def test_a_name_is_checked():
    with pytest.raises(ValueError, match="name of an application"):
        push.Pusher(Registry(), "my shop")
