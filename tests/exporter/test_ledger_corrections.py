"""A wrong price is put right in ledger, budgets and reports, with a record of it; no counter moves."""

import itertools
from dataclasses import replace

import pytest
from topmast_exporter import ledger, ledger_corrections
from topmast_exporter.budgets import Budget, BudgetConfig
from topmast_exporter.ledger import Ledger
from topmast_exporter.ledger_corrections import ask, carry_out, listed, preview
from topmast_exporter.ledger_events import dearest, unpriced
from topmast_exporter.ledger_report import report
from topmast_exporter.ledger_store import Store
from topmast_exporter.pricing.price import Pricer
from topmast_exporter.pricing.tokens import Tokens
from topmast_exporter.registry import Registry
from topmast_exporter.render import render
from topmast_exporter.usage_event import UsageEvent

NOW = 1_795_176_000.0
WRONG = Pricer(None, {"acme/big": {"input_usd_per_million": 10}})
RIGHT = Pricer(None, {"acme/big": {"input_usd_per_million": 1}, "acme/new": {"input_usd_per_million": 2}})
DAY = 86_400
WAIT = 10


def event(number, **changes):
    return UsageEvent(str(number), NOW - 60, "acme", "big", tokens=Tokens(input=1_000_000))._replace(**changes)


def opened(folder, pricer):
    one = Ledger(folder, pricer, Registry(), BudgetConfig(Budget(day_usd=100)), clock=lambda: NOW)
    one.start()
    return one


EVENTS = (
    event(1),
    event(2, feature="search", key_alias="batch"),
    event(3, model="new"),
    event(4, at=NOW - 3 * DAY),
    event(5, outcome="cached"),
    event(6, tokens=None),
)


@pytest.fixture
def folder(tmp_path):
    one = opened(tmp_path, WRONG)
    one.submit(EVENTS).result(WAIT)
    one.stop()
    return tmp_path


def finish(folder, pricer):
    store = Store(folder)
    steps = list(itertools.takewhile(lambda _: carry_out(store, pricer), itertools.count()))
    store.close()
    return len(steps)


def totals(folder, *by):
    return {row.group: (row.total // 10**12, row.unpriced) for row in report(folder, by)}


def test_a_corrected_ledger_is_as_if_the_price_had_been_right(folder, tmp_path):
    ask(folder, NOW - 30 * DAY, NOW)
    finish(folder, RIGHT)
    fresh = opened(tmp_path / "fresh", RIGHT)
    fresh.submit(EVENTS).result(WAIT)
    fresh.stop()

    everything = ("model", "feature", "key", "day")
    assert report(folder, everything) == report(tmp_path / "fresh", everything)
    assert dearest(folder) == dearest(tmp_path / "fresh")
    assert unpriced(folder) == unpriced(tmp_path / "fresh")


def test_the_record_says_what_was_changed(folder):
    asked = ask(folder, NOW - DAY, NOW, "acme/big")

    finish(folder, RIGHT)

    (one,) = listed(folder)
    assert (one.id, one.state, one.model, one.events, one.changed) == (asked, "done", "acme/big", 5, 2)
    assert (one.before, one.after) == (20 * 10**12, 2 * 10**12)
    assert totals(folder, "model") == {("big",): (12, 1), ("new",): (0, 1)}  # three days ago it still cost 10


def test_a_preview_writes_nothing(folder):
    before = totals(folder, "model")

    changes = list(preview(folder, RIGHT, 0, NOW))

    assert sorted((one.event.id, one.was.total, one.now.total) for one in changes) == [
        ("1", 10**13, 10**12),
        ("2", 10**13, 10**12),
        ("3", 0, 2 * 10**12),
        ("4", 10**13, 10**12),
    ]
    assert totals(folder, "model") == before
    assert listed(folder) == []


def test_many_events_are_corrected_in_small_steps_each_once(tmp_path, monkeypatch):
    one = opened(tmp_path, WRONG)
    for start in (0, 10, 20):  # a commit is a block, and a step ends with a block
        one.submit([event(number) for number in range(start, min(start + 10, 25))]).result(WAIT)
    one.stop()
    monkeypatch.setattr(ledger_corrections, "CHUNK_EVENTS", 10)
    ask(tmp_path, 0, NOW)
    store = Store(tmp_path)
    carry_out(store, RIGHT)
    store.close()  # as a restart half-way
    assert totals(tmp_path) == {(): (10 * 1 + 15 * 10, 0)}

    assert finish(tmp_path, RIGHT) == 2

    assert totals(tmp_path) == {(): (25, 0)}
    assert (listed(tmp_path)[0].events, listed(tmp_path)[0].changed) == (25, 25)


def test_a_running_ledger_carries_it_out_and_its_counters_stand(folder, eventually, monkeypatch):
    monkeypatch.setattr(ledger, "TICK_SECONDS", 0.05)
    one = opened(folder, RIGHT)

    def shown(name):
        text = render(one._registry)[0].decode()
        return [line for line in text.splitlines() if line.startswith(name)]

    before = shown("llm_cost_usd_total")
    assert shown('llm_budget_spent_usd{window="day"')[0].endswith(" 20.0")

    ask(folder, NOW - DAY, NOW)
    eventually(lambda: listed(folder)[0].state == "done", "the correction is carried out")

    eventually(lambda: shown('llm_budget_spent_usd{window="day"')[0].endswith(" 4.0"), "the budget is corrected")
    assert shown("llm_cost_usd_total") == before
    one.stop()


def test_names_beyond_the_admission_are_corrected_under_other(tmp_path):
    one = opened(tmp_path, Pricer(None))
    one._totals._limits = replace(one._totals._limits, per_family=1)
    one.submit([event(0, model="first"), event(1)]).result(WAIT)
    one.stop()
    assert totals(tmp_path, "model")[("_other",)] == (0, 1)
    ask(tmp_path, 0, NOW)

    finish(tmp_path, RIGHT)

    assert totals(tmp_path, "model")[("_other",)] == (1, 0)
