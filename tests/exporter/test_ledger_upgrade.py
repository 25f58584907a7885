"""A ledger of an earlier version becomes one of this version: every id, sum and event stays, or it is as it was."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from topmast_exporter import ledger_upgrade
from topmast_exporter.ledger import Ledger
from topmast_exporter.ledger_corrections import ask, carry_out, preview
from topmast_exporter.ledger_events import Call, Unpriced, dearest, repeated, unpriced
from topmast_exporter.ledger_report import report
from topmast_exporter.ledger_schema import SCHEMA_VERSION, LedgerError
from topmast_exporter.ledger_store import FILE, Store
from topmast_exporter.pricing.price import Pricer
from topmast_exporter.pricing.tokens import Tokens
from topmast_exporter.registry import Registry
from topmast_exporter.usage_event import UsageEvent

NOW = 1_795_176_000.0
WAIT = 10
# What a ledger of version 2 held, written by that version: eight events of every kind.
VERSION_2 = Path(__file__).with_name("ledgers") / "version_2.sql"
IDS = ["1", "2", "3", "4", "5", "6", "7", "ä\n8"]
# The columns that version 1 had not.
LATER = ("key_alias", "user_group", "environment")


def of_version_1(file):
    """Make a file of version 2 one of version 1."""
    columns = [row[1] for row in file.execute("PRAGMA table_info(event)") if row[1] not in LATER]
    spend = [row[1] for row in file.execute("PRAGMA table_info(spend)") if row[1] not in LATER]
    sums = ", ".join(f"sum({name})" for name in spend[4:])
    file.executescript(
        f"CREATE TABLE e AS SELECT {', '.join(columns)} FROM event; DROP TABLE event; ALTER TABLE e RENAME TO event;"  # noqa: S608 names of the schema
        f"CREATE TABLE s AS SELECT {', '.join(spend[:4])}, {sums} FROM spend GROUP BY 1, 2, 3, 4;"
        f"DROP TABLE spend; CREATE TABLE spend ({', '.join(spend)}); INSERT INTO spend SELECT * FROM s; DROP TABLE s;"
        "DROP TABLE dimension; DROP TABLE fact; DROP TABLE correction; PRAGMA user_version = 1"
    )


@pytest.fixture(params=[pytest.param(1, id="version 1"), pytest.param(2, id="version 2")])
def old(request, tmp_path):
    with closing(sqlite3.connect(tmp_path / FILE)) as file:
        file.executescript(VERSION_2.read_text(encoding="utf-8"))
        if request.param == 1:
            of_version_1(file)
        assert file.execute("PRAGMA user_version").fetchone() == (request.param,)
    return tmp_path


@pytest.fixture
def folder(old):
    Store(old).close()
    return old


def test_every_sum_stays(folder):
    found = {row.group: (row.requests, row.unpriced, row.tokens["input"], row.total) for row in report(folder)}
    by_day = {row.group: row.requests for row in report(folder, ("day",))}

    assert found == {
        ("big",): (6, 1, 2_005_000, 2 * 10_000_210_000_000 + 16_100_000_000),
        ("new",): (1, 1, 1_000_000, 0),
        ("own",): (1, 0, 1_000_000, 0),
    }
    assert by_day == {("2026-11-17",): 1, ("2026-11-20",): 7}


def test_every_id_is_known_and_the_counters_stand_where_they_stood(folder):
    registry = Registry()
    ledger = Ledger(folder, Pricer(None), registry, clock=lambda: NOW)
    ledger.start()

    result = ledger.submit([UsageEvent(one, NOW, "acme", "big", tokens=Tokens(input=1)) for one in IDS]).result(WAIT)

    counters = dict(ledger._totals.counters)
    ledger.stop()
    assert (result.accepted, result.duplicates) == (0, 8)
    assert counters["llm_requests_total", ("acme", "big", "", "ok")] == 2
    assert counters["llm_cost_usd_total", ("acme", "big", "", "input")] == 10**13


def test_every_event_is_there_as_it_was(folder):
    at, cost = NOW - 60, 10_000_210_000_000

    assert dearest(folder) == [
        Call(at, "acme", "big", "", "ok", 1_000_000, 7, cost),
        Call(NOW - 3 * 86_400, "acme", "big", "", "ok", 1_000_000, 7, cost),
        Call(at, "acme", "big", "search", "ok", 5000, 70, 16_100_000_000),
    ]
    assert unpriced(folder) == [
        Unpriced("acme", "big", "usage_missing", 1, 0, 0),
        Unpriced("acme", "new", "no_price_table", 1, 1_000_000, 7),
    ]
    assert repeated(folder) == {("acme", "big"): 1}


def test_its_events_can_be_priced_again(folder):
    right = Pricer(None, {"acme/big": {"input_usd_per_million": 1}, "acme/own": "free"})
    changed = sorted(change.event.id for change in preview(folder, right, 0, NOW))

    ask(folder, 0, NOW)
    store = Store(folder)
    while carry_out(store, right):
        pass
    store.close()

    assert changed == ["1", "2", "4"]
    assert {row.group: row.total for row in report(folder)}["big",] == 2 * 10**12 + 5000 * 10**6
    assert not list(preview(folder, right, 0, NOW))


@pytest.mark.parametrize("old", [2], indirect=True)  # version 1 had no corrections
def test_a_correction_that_was_under_way_begins_again(old):
    with closing(sqlite3.connect(old / FILE)) as file:
        file.execute(
            "INSERT INTO correction (id, asked_ms, since_ms, until_ms, model, state, events, changed, cursor_ms)"
            " VALUES ('x', 1, 0, ?, '', 'running', 5, 5, 9)",
            (NOW * 1000,),
        )
        file.commit()

    store = Store(old)
    while carry_out(store, Pricer(None)):
        pass
    (one,) = store.connection.execute("SELECT state, events FROM correction").fetchall()
    store.close()

    assert one == ("done", 8)


def test_an_upgrade_that_fails_leaves_the_file_as_it_was(old, monkeypatch):
    with closing(sqlite3.connect(old / FILE)) as file:
        before = list(file.iterdump())

    def full(*_):
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(ledger_upgrade, "fill_days", full)
        with pytest.raises(LedgerError, match="disk is full"):
            Store(old)

    with closing(sqlite3.connect(old / FILE)) as file:
        assert list(file.iterdump()) == before
    Store(old).close()
    with closing(sqlite3.connect(old / FILE)) as file:
        assert file.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
