"""A ledger in trouble: a full disk, a clock set back. Nothing is lost, nothing falls, and it is said."""

import signal
import sqlite3
import subprocess
import sys
from concurrent.futures import TimeoutError as NotYet

import pytest
from topmast_exporter import ledger as ledger_module
from topmast_exporter.budgets import Budget, BudgetConfig
from topmast_exporter.ledger import MAX_WAITING_EVENTS, Ledger, LedgerFullError
from topmast_exporter.ledger_schema import LedgerStalledError
from topmast_exporter.pricing.price import Pricer
from topmast_exporter.pricing.tokens import Tokens
from topmast_exporter.registry import Registry
from topmast_exporter.render import render
from topmast_exporter.usage_event import UsageEvent

NOW = 1_795_176_000.0
DAY = 86_400
PRICES = {"acme/big": {"input_usd_per_million": 1}}
WAIT = 10


def event(number, **changes):
    one = UsageEvent(str(number), NOW, "acme", "big", tokens=Tokens(input=1_000_000))
    return one._replace(**changes)


class Stage:
    """A ledger, its clock and its disk."""

    def __init__(self, folder):
        self.now = NOW
        self.registry = Registry()
        budgets = BudgetConfig(Budget(day_usd=10))
        self.ledger = Ledger(folder, Pricer(None, PRICES), self.registry, budgets, clock=lambda: self.now)
        self.ledger.start()

    def fill_the_disk(self):
        """SQLite's own limit of pages: it answers as on a full disk, SQLITE_FULL."""
        self._pages("1")

    def free_the_disk(self):
        self._pages(str(2**30))

    def shown(self):
        lines = render(self.registry)[0].decode().splitlines()
        return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line[:1] != "#")}

    def _pages(self, count):
        connection = self.ledger._store.connection
        connection.execute(f"PRAGMA max_page_count = {count}")


@pytest.fixture
def stage(tmp_path, monkeypatch):
    monkeypatch.setattr(ledger_module, "HOLD_SECONDS", 0.02)
    one = Stage(tmp_path)
    yield one
    one.free_the_disk()
    one.ledger.stop()


REQUESTS = 'llm_requests_total{provider="acme",model="big",feature="",outcome="ok"}'


def many(prefix, count=400):
    # more than fits into the pages that are there
    return [event(f"{prefix}-{number:0190}") for number in range(count)]


def test_on_a_full_disk_events_wait_in_memory_and_are_stored_when_there_is_space(stage, eventually, caplog):
    stage.ledger.submit([event("first")]).result(WAIT)
    stage.fill_the_disk()

    waiting = [stage.ledger.submit(many("a")), stage.ledger.submit(many("b"))]
    eventually(lambda: stage.shown()["exporter_ledger_stalled"] == 1, "the ledger says that it is stalled")

    with pytest.raises(NotYet):
        waiting[0].result(0.1)  # nothing is acknowledged that is not stored
    assert stage.shown()["exporter_ledger_waiting_events"] == 800
    assert stage.shown()[REQUESTS] == 1
    assert "kept in memory" in caplog.text

    stage.free_the_disk()

    assert [future.result(WAIT).accepted for future in waiting] == [400, 400]
    assert stage.shown()[REQUESTS] == 801
    eventually(lambda: stage.shown()["exporter_ledger_stalled"] == 0, "the ledger says that it goes on")
    eventually(lambda: stage.shown()["exporter_ledger_waiting_events"] == 0, "nothing waits any more")


def test_a_sender_that_asks_again_meanwhile_does_not_fill_the_memory(stage, eventually):
    stage.fill_the_disk()
    first = stage.ledger.submit(many("a"))
    eventually(lambda: stage.shown()["exporter_ledger_stalled"] == 1, "the ledger says that it is stalled")

    again = [stage.ledger.submit(many("a")) for _ in range(100)]

    assert stage.shown()["exporter_ledger_waiting_events"] == 400
    stage.free_the_disk()
    assert first.result(WAIT).accepted == 400
    assert sum(one.result(WAIT).accepted for one in again) == 0  # answered, and counted once
    assert stage.shown()[REQUESTS] == 400


def test_what_waits_on_a_full_disk_is_bounded(stage, eventually):
    stage.fill_the_disk()
    stage.ledger.submit(many("a"))
    eventually(lambda: stage.shown()["exporter_ledger_stalled"] == 1, "the ledger says that it is stalled")

    with pytest.raises(LedgerFullError):
        stage.ledger.submit([event(number) for number in range(MAX_WAITING_EVENTS)])


def test_an_exporter_that_ends_on_a_full_disk_tells_the_senders(stage, eventually):
    stage.fill_the_disk()
    waiting = stage.ledger.submit(many("a"))
    eventually(lambda: stage.shown()["exporter_ledger_stalled"] == 1, "the ledger says that it is stalled")

    connection = stage.ledger._store.connection
    stage.ledger.stop()

    with pytest.raises(LedgerStalledError):
        waiting.result(0)
    with pytest.raises(sqlite3.ProgrammingError):
        connection.execute("SELECT 1")  # closed
    stage.free_the_disk = lambda: None


@pytest.mark.parametrize("back", [7_200, 2 * DAY, 40 * DAY], ids=["two hours", "two days", "more than a month"])
def test_a_clock_set_back_loses_nothing_and_lets_no_counter_fall(stage, back, eventually):
    stage.ledger.submit([event(1), event(2)]).result(WAIT)
    before = {
        name: value for name, value in stage.shown().items() if name.startswith("llm_") and "_budget_" not in name
    }
    stage.now = NOW - back

    result = stage.ledger.submit([event(3, at=stage.now), event(1, at=stage.now)]).result(WAIT)

    assert (result.accepted, result.duplicates) == (1, 1)
    spent = 3.0 if back == 7_200 else 1.0  # of the day that the clock says it is
    eventually(lambda: stage.shown()['llm_budget_spent_usd{window="day",feature=""}'] == spent, "the day's budget")
    after = stage.shown()
    assert {name: after[name] for name in before if after[name] < before[name]} == {}
    assert after[REQUESTS] == 3


def test_a_kill_on_a_full_disk_leaves_a_ledger_that_opens(tmp_path):
    script = (
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[2])\n"
        "from test_ledger_trouble import Stage, many, event\n"
        "stage = Stage(Path(sys.argv[1])); stage.ledger.submit([event('first')]).result(10)\n"
        "stage.fill_the_disk(); stage.ledger.submit(many('a')); print('waits', flush=True)\n"
        "import time; time.sleep(60)"
    )
    argv = [sys.executable, "-c", script, str(tmp_path), __file__.rpartition("/")[0]]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "waits\n"
        process.send_signal(signal.SIGKILL)

    after = Stage(tmp_path)

    assert after.shown()[REQUESTS] == 1
    assert after.ledger.submit(many("a")).result(WAIT).accepted == 400
    after.ledger.stop()
