"""Who spent it: key alias, user group, environment; bounded, and nobody's name."""

import sqlite3
from contextlib import closing

import pytest
from topmast_exporter.ledger import KEEP_QUARTERS_SECONDS, Ledger
from topmast_exporter.ledger_dimensions import MAX_VALUES
from topmast_exporter.ledger_report import report
from topmast_exporter.ledger_schema import SPEND_COLUMNS
from topmast_exporter.ledger_spend import Spend
from topmast_exporter.ledger_store import FILE, Store
from topmast_exporter.pricing.price import Pricer
from topmast_exporter.pricing.tokens import Tokens
from topmast_exporter.registry import Registry
from topmast_exporter.usage_event import UsageEvent

NOW = 1_795_176_000.0
PRICES = {"acme/big": {"input_usd_per_million": 1}}
WAIT = 10


def event(number, **changes):
    return UsageEvent(str(number), NOW, "acme", "big", tokens=Tokens(input=1000))._replace(**changes)


@pytest.fixture
def ledger(tmp_path):
    one = Ledger(tmp_path, Pricer(None, PRICES), Registry(), clock=lambda: NOW, environment="staging")
    one.start()
    yield one
    one.stop()


def spent(folder, *by):
    return {row.group: row.total for row in report(folder, by)}


def test_spend_is_kept_by_key_group_and_environment(ledger, tmp_path):
    events = [
        event(1, key_alias="batch-jobs", user_group="sales", environment="production"),
        event(2, key_alias="batch-jobs", user_group="support"),
        event(3),
    ]

    ledger.submit(events).result(WAIT)

    assert spent(tmp_path, "key") == {("batch-jobs",): 2 * 10**9, ("",): 10**9}
    assert spent(tmp_path, "group", "key") == {
        ("sales", "batch-jobs"): 10**9,
        ("support", "batch-jobs"): 10**9,
        ("", ""): 10**9,
    }
    assert spent(tmp_path, "environment") == {("production",): 10**9, ("staging",): 2 * 10**9}


@pytest.mark.parametrize(
    "said",
    [
        pytest.param("ada@example.com", id="an e-mail address"),
        pytest.param("+49 170 1234567", id="a telephone number"),
        pytest.param("sk-proj-abcdefghijklmnop0123", id="a key of OpenAI"),
        pytest.param("0123456789abcdef0123456789abcdef01234567", id="a long token"),
    ],
)
def test_a_person_or_a_secret_is_never_stored(ledger, tmp_path, said):
    ledger.submit([event(1, key_alias=said, user_group=said), event(2, key_alias=said)]).result(WAIT)
    ledger.stop()

    ((key,),) = spent(tmp_path, "key")
    assert key.startswith("h:")
    assert said.encode() not in b"".join(path.read_bytes() for path in tmp_path.iterdir())


def test_a_pseudonym_is_the_same_after_a_restart_and_another_in_another_ledger(tmp_path):
    found = []
    for place, number in (("a", 1), ("a", 2), ("b", 1)):
        one = Ledger(tmp_path / place, Pricer(None, PRICES), Registry(), clock=lambda: NOW)
        one.start()
        one.submit([event(number, user_group="ada@example.com")]).result(WAIT)
        one.stop()
        found.append(set(spent(tmp_path / place, "group")))

    assert found[0] == found[1] != found[2]


def test_a_flood_of_key_aliases_is_bounded_and_its_sum_exact(ledger, tmp_path):
    ledger.submit([event(number, key_alias=f"key-{number}") for number in range(MAX_VALUES + 50)]).result(WAIT)

    found = spent(tmp_path, "key")

    assert len(found) == MAX_VALUES + 1
    assert found[("_other",)] == 50 * 10**9


def test_old_quarters_become_days_and_no_sum_changes(tmp_path):
    store = Store(tmp_path)
    last = int(NOW - KEEP_QUARTERS_SECONDS) // 900
    keys = [(last - 500 + number, "acme", "big", "", "k", "", "") for number in range(1000)]
    odd = [Spend([number + place for place in range(len(SPEND_COLUMNS))]) for number in range(1000)]
    with store.transaction():
        store.save({}, {}, dict(zip(keys, odd, strict=True)))
    store.close()
    by_day = report(tmp_path, ("day", "key"))
    one = Ledger(tmp_path, Pricer(None), Registry(), clock=lambda: NOW)

    one._tick()
    one._tick()  # a second time changes nothing
    one.stop()

    assert report(tmp_path, ("day", "key")) == by_day
    with closing(sqlite3.connect(tmp_path / FILE)) as file:
        (rows,) = file.execute("SELECT count(*) FROM spend").fetchone()
    assert 500 < rows < 610  # the young half as it was, five days of the old one
