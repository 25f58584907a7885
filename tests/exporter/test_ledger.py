"""The ledger: once an event, exact, durable; counters that never fall; budgets that survive a restart."""

import itertools
import os
import signal
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from topmast_exporter.admission import Limits
from topmast_exporter.budgets import Budget, BudgetConfig, window
from topmast_exporter.ledger import MAX_WAITING_EVENTS, Ledger, LedgerFullError
from topmast_exporter.ledger_events import Unpriced, dearest, unpriced
from topmast_exporter.ledger_report import report
from topmast_exporter.ledger_schema import LedgerError
from topmast_exporter.ledger_series import Delta, Totals
from topmast_exporter.ledger_spend import QUARTER_SECONDS, Spend
from topmast_exporter.ledger_store import FILE, Store
from topmast_exporter.pricing.price import Pricer
from topmast_exporter.pricing.tokens import FIELDS, Tokens
from topmast_exporter.registry import Registry
from topmast_exporter.render import render
from topmast_exporter.usage_event import UsageEvent

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC).timestamp()
PRICES = {"acme/big": {"input_usd_per_million": 2.5, "output_usd_per_million": 10}, "acme/own": "free"}
WAIT = 10


def event(**changes):
    one = UsageEvent(id="1", at=NOW, provider="acme", model="big", tokens=Tokens(input=100, output=10))
    return one._replace(**changes)


class Ledgers:
    """Opens ledgers on one folder, one after the other, as restarts do."""

    def __init__(self, folder):
        self.folder = folder
        self.open = []
        self.now = NOW

    def __call__(self, **options):
        registry = Registry(Limits(10**9, 10**9))
        ledger = self.idle(registry, **options)
        ledger.start()
        return ledger, registry

    def idle(self, registry=None, **options):
        """A ledger whose thread has not started: only that thread may tick once it runs."""
        ledger = Ledger(self.folder, Pricer(None, PRICES), registry or Registry(), clock=lambda: self.now, **options)
        self.open.append(ledger)
        return ledger


@pytest.fixture
def ledgers(tmp_path):
    opened = Ledgers(tmp_path)
    yield opened
    for ledger in opened.open:
        ledger.stop()


def samples(registry, family):
    """Return {label values: value} of a counter family, those at 0 left out."""
    found = next(one for one in registry.families() if one.name == family)
    return {one.values: one.value for one in found.series() if one.value}


def exposed(registry):
    return {
        line.rpartition(" ")[0]: float(line.rpartition(" ")[2])
        for line in render(registry)[0].decode().splitlines()
        if line.startswith("llm_")
    }


def test_an_event_moves_all_its_counters_at_once(ledgers):
    ledger, registry = ledgers()
    one = event(
        feature="search",
        stream=True,
        tokens=Tokens(input=100, output=11, cache_read=60, reasoning=4),
        duration_seconds=3.0,
        time_to_first_token_seconds=1.0,
    )

    result = ledger.submit([one]).result(WAIT)

    assert (result.accepted, result.duplicates, result.late) == (1, 0, 0)
    assert samples(registry, "llm_requests_total") == {("acme", "big", "search", "ok"): 1}
    assert samples(registry, "llm_tokens_total") == {
        ("acme", "big", "search", "input"): 100,
        ("acme", "big", "search", "output"): 11,
    }
    assert samples(registry, "llm_token_detail_total") == {
        ("acme", "big", "cache_read"): 60,
        ("acme", "big", "reasoning"): 4,
    }
    assert samples(registry, "llm_cost_usd_total") == {
        ("acme", "big", "search", "input"): 0.00025,
        ("acme", "big", "search", "output"): 0.00011,
    }
    lines = exposed(registry)
    labels = 'provider="acme",model="big"'
    assert lines[f"llm_request_duration_seconds_sum{{{labels}}}"] == 3.0
    assert lines[f'llm_request_duration_seconds_bucket{{{labels},le="30.0"}}'] == 1
    assert lines[f"llm_time_to_first_token_seconds_sum{{{labels}}}"] == 1.0
    assert lines[f"llm_time_per_output_token_seconds_sum{{{labels}}}"] == 0.2
    assert lines[f"llm_request_cost_usd_sum{{{labels}}}"] == 0.00036


def test_an_event_counts_once_however_often_it_is_sent(ledgers):
    ledger, registry = ledgers()

    first = ledger.submit([event(), event()]).result(WAIT)
    second = ledger.submit([event()]).result(WAIT)

    assert (first.accepted, first.duplicates, second.accepted, second.duplicates) == (1, 1, 0, 1)
    assert samples(registry, "llm_requests_total") == {("acme", "big", "", "ok"): 1}
    assert samples(registry, "llm_duplicate_events_total") == {("acme", "big", "usage"): 2}


def test_a_restart_shows_exactly_what_was_shown(ledgers):
    ledger, before = ledgers()
    odd = [event(id=str(n), duration_seconds=0.1 * n, tokens=Tokens(input=7 * n, output=n)) for n in range(1, 500)]
    ledger.submit(odd).result(WAIT)
    ledger.stop()

    _, after = ledgers()

    counted = {name: value for name, value in exposed(before).items() if "_budget_" not in name and value}
    assert counted
    assert {name: value for name, value in exposed(after).items() if "_budget_" not in name and value} == counted


def test_a_known_id_is_known_after_a_restart(ledgers):
    ledger, _ = ledgers()
    ledger.submit([event()]).result(WAIT)
    ledger.stop()
    ledger, registry = ledgers()

    result = ledger.submit([event()]).result(WAIT)

    assert result.duplicates == 1
    assert samples(registry, "llm_requests_total") == {("acme", "big", "", "ok"): 1}


@pytest.mark.parametrize(
    ("changes", "family", "labels"),
    [
        pytest.param(
            {"model": "new"}, "llm_unpriced_requests_total", ("acme", "new", "no_price_table"), id="unknown model"
        ),
        pytest.param(
            {"tokens": None, "stream": True}, "llm_usage_missing_total", ("acme", "big", "true"), id="no usage"
        ),
        pytest.param(
            {"tokens": None}, "llm_unpriced_requests_total", ("acme", "big", "usage_missing"), id="no usage, no price"
        ),
        pytest.param(
            {"tokens": None, "outcome": "cancelled"},
            "llm_unpriced_requests_total",
            ("acme", "big", "cancelled"),
            id="given up half-way",
        ),
        pytest.param(
            {"attempt": 2, "retry_reason": "timeout"}, "llm_retries_total", ("acme", "big", "timeout"), id="a retry"
        ),
        pytest.param({"caller_cost": 1}, "llm_cost_mismatch_total", ("acme", "big"), id="the caller says $0"),
    ],
)
def test_what_is_odd_is_counted_with_its_reason(ledgers, changes, family, labels):
    ledger, registry = ledgers()

    ledger.submit([event(**changes)]).result(WAIT)

    assert samples(registry, family) == {labels: 1}


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"model": "unknown"}, id="an unknown price is no zero price"),
        pytest.param({"outcome": "rate_limited", "tokens": None}, id="a refused attempt was not billed"),
        pytest.param({"outcome": "cached"}, id="an answer from a cache was not bought"),
        pytest.param({"model": "own"}, id="one's own model is free"),
    ],
)
def test_what_costs_nothing_adds_nothing(ledgers, changes):
    ledger, registry = ledgers()

    ledger.submit([event(**changes)]).result(WAIT)

    assert samples(registry, "llm_cost_usd_total") == {}
    assert sum(samples(registry, "llm_requests_total").values()) == 1


def test_a_late_event_changes_the_ledger_but_no_counter(ledgers):
    ledger, registry = ledgers()

    result = ledger.submit([event(at=NOW - 2 * 3600)]).result(WAIT)

    assert (result.accepted, result.late) == (1, 1)
    assert samples(registry, "llm_requests_total") == {}
    assert [row.total for row in report(ledgers.folder)] == [350_000_000]


def test_components_add_up_to_the_report_to_the_pico_dollar(ledgers):
    ledger, registry = ledgers()
    events = [event(id=str(n), tokens=Tokens(input=n, output=n // 3), feature=f"f{n % 3}") for n in range(300)]

    ledger.submit(events).result(WAIT)

    shown = {key: round(value * 1e12) for key, value in samples(registry, "llm_cost_usd_total").items()}
    by_feature = {row.group[0]: row.cost for row in report(ledgers.folder, by=("feature",))}
    assert {
        (feature, part): cost for feature, cost_of in by_feature.items() for part, cost in cost_of.items() if cost
    } == {(feature, part): cost for (_, _, feature, part), cost in shown.items()}


def test_configured_models_and_features_start_at_0(tmp_path):
    registry = Registry()
    ledger = Ledger(tmp_path, Pricer(None), registry, clock=lambda: NOW)
    ledger.declare([("acme", "big")], ["", "search"])

    text = render(registry)[0].decode()

    ledger.stop()
    assert 'llm_cost_usd_total{provider="acme",model="big",feature="search",component="output"} 0.0\n' in text
    assert 'llm_requests_total{provider="acme",model="big",feature="",outcome="rate_limited"} 0.0\n' in text


def test_a_flood_of_model_names_is_bounded_in_counters_and_in_rows(ledgers, tmp_path):
    totals = Totals(Registry(), Limits(per_family=10, in_all=1000))
    delta = Delta()

    for n in range(500):
        totals.count(delta, "llm_requests_total", ("acme", f"model-{n}", "", "ok" if n % 2 else "error"))

    counted = {labels: total for (_, labels), total in totals.after(delta)[0].items()}
    assert len(counted) == 12
    assert counted["_other", "_other", "_other", "ok"] + counted["_other", "_other", "_other", "error"] == 490


def test_a_batch_that_cannot_be_stored_counts_nothing_and_may_be_sent_again(ledgers):
    ledger, registry = ledgers()
    other = sqlite3.connect(ledgers.folder / FILE, isolation_level=None)
    other.execute("CREATE TRIGGER full BEFORE INSERT ON spend BEGIN SELECT RAISE(ABORT, 'disk full'); END")

    with pytest.raises(LedgerError, match="disk full"):
        ledger.submit([event()]).result(WAIT)
    failed = samples(registry, "llm_requests_total")
    other.execute("DROP TRIGGER full")
    result = ledger.submit([event()]).result(WAIT)
    other.close()

    assert failed == {}
    assert (result.accepted, result.duplicates) == (1, 0)
    assert samples(registry, "llm_requests_total") == {("acme", "big", "", "ok"): 1}


def test_what_waits_is_bounded(tmp_path):
    ledger = Ledger(tmp_path, Pricer(None), Registry(), clock=lambda: NOW)  # not started: nobody empties the queue
    ledger.submit([event(id=str(n)) for n in range(MAX_WAITING_EVENTS)])

    with pytest.raises(LedgerFullError):
        ledger.submit([event(id="one more")])
    ledger.stop()


def test_a_second_writer_is_refused(tmp_path):
    first = Store(tmp_path)

    with pytest.raises(LedgerError, match="another exporter"):
        Store(tmp_path)
    first.close()
    Store(tmp_path).close()


def test_a_ledger_of_a_newer_version_is_refused_and_left_as_it_is(tmp_path):
    Store(tmp_path).close()
    connection = sqlite3.connect(tmp_path / FILE)
    connection.execute("PRAGMA user_version = 99")
    connection.close()

    with pytest.raises(LedgerError, match="newer version"):
        Store(tmp_path)


def test_a_file_that_is_no_ledger_is_refused(tmp_path):
    (tmp_path / FILE).write_text("not a database, but long enough to be read as one" * 100)

    with pytest.raises(LedgerError, match="not a ledger"):
        Store(tmp_path)


def test_old_ids_are_forgotten_and_their_spend_is_not(ledgers):
    ledger, _ = ledgers()
    ledger.submit([event(at=NOW - 44 * 86_400)]).result(WAIT)
    ledger.stop()
    store = Store(ledgers.folder)

    gone = store.purge(NOW + 2 * 86_400)
    store.close()

    assert gone == 1
    assert [row.requests for row in report(ledgers.folder)] == [1]


def test_an_id_is_forgotten_with_its_event(ledgers):
    ledger, _ = ledgers()
    ledger.submit([event(id="old", at=NOW - 44 * 86_400)]).result(WAIT)
    ledger.stop()
    ledgers.now += 2 * 86_400
    ledger = ledgers.idle()

    ledger._tick()
    ledger.start()
    ledger.submit([event(id="old", at=ledgers.now)]).result(WAIT)

    assert [row.requests for row in report(ledgers.folder)] == [2]


def budget(registry):
    return {name: value for name, value in exposed(registry).items() if name.startswith("llm_budget_")}


def test_budgets_come_from_the_ledger_and_survive_a_restart(ledgers):
    config = BudgetConfig(Budget(day_usd=24.0), {"search": Budget(month_usd=30.0)})
    ledger, _ = ledgers(budgets=config)
    big = Tokens(input=400_000)  # $1
    ledger.submit([event(id="today", tokens=big, feature="search")]).result(WAIT)
    ledger.submit([event(id="yesterday", tokens=big, at=NOW - 86_400)]).result(WAIT)
    ledger.stop()

    _, registry = ledgers(budgets=config)

    lines = budget(registry)
    assert lines['llm_budget_usd{window="day",feature=""}'] == 24.0
    assert 'llm_budget_usd{window="month",feature=""}' not in lines  # not set
    assert lines['llm_budget_spent_usd{window="day",feature=""}'] == 1.0
    assert lines['llm_budget_spent_usd{window="month",feature=""}'] == 2.0
    assert lines['llm_budget_spent_usd{window="month",feature="search"}'] == 1.0
    # $2 in the last 24 hours, half of the day left
    assert lines['llm_budget_forecast_usd{window="day",feature=""}'] == pytest.approx(2.0, rel=0.02)
    # $1 in the last hour against $1 an hour
    assert lines['llm_budget_burn_ratio{window="day",feature=""}'] == pytest.approx(1.0, rel=0.3)


def test_a_committed_event_is_spent_at_once(ledgers):
    ledger, registry = ledgers(budgets=BudgetConfig())

    ledger.submit([event(tokens=Tokens(input=400_000))]).result(WAIT)

    assert budget(registry)['llm_budget_spent_usd{window="day",feature=""}'] == 1.0


@pytest.mark.parametrize(
    ("name", "zone", "hours"),
    [
        pytest.param("day", "UTC", 24, id="a day"),
        pytest.param("day", "Europe/Berlin", 25, id="the day on which clocks go back"),
        pytest.param("month", "UTC", 31 * 24, id="a month of 31 days"),
    ],
)
def test_windows_are_the_calendars(name, zone, hours):
    from zoneinfo import ZoneInfo

    now = datetime(2026, 10, 25, 12, tzinfo=UTC).timestamp()

    start, end = window(name, now, ZoneInfo(zone))

    assert (end - start) / 3600 == hours
    assert start <= now < end


def test_a_report_groups_by_the_users_day(ledgers):
    ledger, _ = ledgers()
    midnight = datetime(2026, 11, 20, tzinfo=UTC).timestamp()
    ledger.submit([event(id=str(n), at=midnight + n * 3600) for n in (-2, -1, 0, 1)]).result(WAIT)

    utc = report(ledgers.folder, by=("day",))
    india = report(ledgers.folder, by=("day",), timezone="Asia/Kolkata")

    assert {row.group[0]: row.requests for row in utc} == {"2026-11-19": 2, "2026-11-20": 2}
    assert {row.group[0]: row.requests for row in india} == {"2026-11-20": 4}


WRITER = """
import sys
from pathlib import Path
from topmast_exporter.ledger import Ledger
from topmast_exporter.pricing.price import Pricer
from topmast_exporter.pricing.tokens import FIELDS, Tokens
from topmast_exporter.registry import Registry
from topmast_exporter.usage_event import UsageEvent
ledger = Ledger(Path(sys.argv[1]), Pricer(None, {"acme/big": {"input_usd_per_million": 1}}), Registry())
ledger.start()
first = int(sys.argv[2])
for n in range(first, first + 100000):
    ledger.submit([UsageEvent(str(n), 1.0, "acme", "big", tokens=Tokens(input=1))]).result()
    print(n, flush=True)
"""


def test_kill_9_loses_no_acknowledged_event_and_counts_none_twice(tmp_path):
    acknowledged = 0
    for _ in range(3):
        argv = [sys.executable, "-c", WRITER, str(tmp_path), str(acknowledged)]
        with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout is not None
            for line in itertools.islice(writer.stdout, 20):
                acknowledged = int(line) + 1
            os.kill(writer.pid, signal.SIGKILL)
            for line in writer.stdout:  # what it said before it died was said after the commit
                acknowledged = int(line) + 1

    (row,) = report(Path(tmp_path))
    assert row.requests in (acknowledged, acknowledged + 1)  # the last one may be committed and not yet said
    assert row.total == row.requests * 1_000_000


@pytest.mark.parametrize(
    ("timezone", "days"),
    [
        pytest.param("UTC", ["2026-10-24", "2026-10-25", "2026-10-25", "2026-10-26"], id="no change"),
        pytest.param("Europe/Berlin", ["2026-10-25", "2026-10-25", "2026-10-26", "2026-10-26"], id="25 hours"),
        pytest.param("Asia/Kathmandu", ["2026-10-25", "2026-10-25", "2026-10-26", "2026-10-26"], id="a quarter off"),
    ],
)
def test_a_day_of_the_report_is_one_of_the_wall_clock(ledgers, timezone, days):
    """On 2026-10-25 Berlin's clocks go back: its day has 25 hours, from 22:00 to 23:00 UTC."""
    moments = ["2026-10-24T22:30", "2026-10-25T12:00", "2026-10-25T23:30", "2026-10-26T12:00"]
    ledgers.now = datetime(2026, 10, 27, tzinfo=UTC).timestamp()
    ledger, _ = ledgers()
    ledger.submit(
        [
            event(id=text, at=datetime.fromisoformat(f"{text}+00:00").timestamp(), tokens=Tokens(input=10**place))
            for place, text in enumerate(moments)
        ]
    ).result(WAIT)

    found = {row.group[0]: row.tokens["input"] for row in report(ledgers.folder, ("day",), timezone=timezone)}

    expected = {}
    for place, day in enumerate(days):
        expected[day] = expected.get(day, 0) + 10**place
    assert found == expected


def test_a_sum_of_more_than_sqlite_can_add_is_exact(ledgers):
    ledger, _ = ledgers()
    huge = Tokens(input=10**12)  # $2.5 million a call: four of them are more than 2^63 pico-USD
    ledger.submit([event(id=str(n), tokens=huge, at=NOW - n * 900) for n in range(8)]).result(WAIT)

    assert [row.total for row in report(ledgers.folder)] == [8 * 25 * 10**17]


def test_what_nobody_knows_a_price_for_is_listed_with_its_reason(ledgers):
    ledger, _ = ledgers()
    ledger.submit([event(id="1", model="new"), event(id="2", model="new"), event(id="3")]).result(WAIT)

    assert unpriced(ledgers.folder) == [Unpriced("acme", "new", "no_price_table", 2, 200, 20)]


def test_the_dearest_calls_are_found_one_by_one(ledgers):
    ledger, _ = ledgers()
    ledger.submit([event(id=str(n), tokens=Tokens(input=n * 1000), feature=f"f{n}") for n in range(1, 6)]).result(
        WAIT
    )

    found = dearest(ledgers.folder, limit=2)

    assert [(call.feature, call.input_tokens, call.cost) for call in found] == [
        ("f5", 5000, 5000 * 2_500_000),
        ("f4", 4000, 4000 * 2_500_000),
    ]


@pytest.mark.parametrize("days", [pytest.param(1, id="one reader"), pytest.param(30, id="several readers")])
def test_a_report_adds_up_beyond_what_sqlite_can(tmp_path, days):
    end = int(NOW // QUARTER_SECONDS)
    spend = {
        (end - quarter, "openai", "gpt-4o", feature, "", "", ""): Spend(
            [1, 0, *(0 for _ in FIELDS), amount, 0, 0, 0, 7]
        )
        for quarter in range(0, days * 96, days * 8)
        for feature, amount in (("chat", 2**62 + 1), ("search", 3))
    }
    store = Store(tmp_path)
    with store.transaction():
        store.save({}, {}, spend)
    store.close()

    rows = report(tmp_path, ("feature",))

    sums = {row.group: (row.requests, row.cost["input"], row.cost["other"]) for row in rows}
    assert sums == {("chat",): (12, 12 * (2**62 + 1), 84), ("search",): (12, 36, 84)}
