"""Blocks of events: what is packed is read again as it was, damage is noticed, small ones become one."""

import random
import sqlite3
from contextlib import closing

import pytest
from topmast_exporter.ledger import Ledger
from topmast_exporter.ledger_block import BlockError, Builder, Stored, read, row_of, words_of
from topmast_exporter.ledger_corrections import ask
from topmast_exporter.ledger_events import dearest, unpriced
from topmast_exporter.ledger_schema import LedgerError
from topmast_exporter.ledger_store import FILE, MERGE_LEAST, Store
from topmast_exporter.pricing.price import FREE, PRICED, UNPRICED, Price, Pricer
from topmast_exporter.pricing.tokens import Tokens
from topmast_exporter.registry import Registry
from topmast_exporter.usage_event import UsageEvent

NOW = 1_795_176_000.0
PRICES = {"acme/big": {"input_usd_per_million": 1}}
WAIT = 10
EVENTS = [
    Stored(UsageEvent("plain", NOW, "acme", "big", tokens=Tokens(100, 7)), Price(PRICED, (100, 7, 0, 0, 0))),
    Stored(UsageEvent("unknown", NOW, "acme", "new", tokens=Tokens(1)), Price(UNPRICED, reason="unknown_model")),
    Stored(UsageEvent("not said", NOW + 0.125, "acme", "big", outcome="error"), Price(FREE)),
    Stored(
        UsageEvent(
            'ä\n"\0',
            NOW - 40 * 86_400,
            *("acme", "big", "search", "chat", "ok", "flex", True, True, 3, "timeout", "key", "group", "staging"),
            Tokens(9, 8, 7, 6, 5, 4, 3, 2, 1),
            1.25,
            0.5,
            10**16,
        ),
        Price(PRICED, (2**70, 2**62, 3, 2**32, 2**31)),
    ),
]


def packed(stored):
    builder = Builder()
    for one in stored:
        builder.add(words_of(*one), [one.event.id], row_of(*one), one.price.total)
    return builder


def test_what_is_packed_is_read_again_as_it_was():
    builder = packed(EVENTS)

    found = list(read(builder.pack()).stored())

    assert sorted(found) == sorted(EVENTS)
    assert builder.row()[:4] == (
        round((NOW - 40 * 86_400) * 1000),
        round(NOW * 1000 + 125),
        4,
        float(2**70 + 2**62 + 3 + 2**32 + 2**31),
    )


def test_blocks_are_merged_event_by_event():
    merged = Builder()
    for one in EVENTS:
        read(packed([one]).pack()).into(merged)

    assert sorted(read(merged.pack()).stored()) == sorted(EVENTS)
    assert merged.row()[:4] == packed(EVENTS).row()[:4]


def test_every_damaged_byte_is_noticed():
    body = packed(EVENTS).pack()
    chance = random.Random(1)

    for place in range(len(body)):
        damaged = bytearray(body)
        damaged[place] ^= 1 << chance.randrange(8)
        with pytest.raises(BlockError):
            read(bytes(damaged))
    with pytest.raises(BlockError):
        read(body[:3])


def idle(folder):
    """A ledger whose thread has not started: only that thread may tick once it runs."""
    return Ledger(folder, Pricer(None, PRICES), Registry(), clock=lambda: NOW)


@pytest.fixture
def ledger(tmp_path):
    one = idle(tmp_path)
    one.start()
    yield one
    one.stop()


def one_by_one(ledger, count):
    for number in range(count):
        event = UsageEvent(str(number), NOW - number, "acme", "big" if number % 3 else "new", tokens=Tokens(number))
        ledger.submit([event]).result(WAIT)


def blocks_of(folder):
    with closing(sqlite3.connect(folder / FILE)) as file:
        return file.execute("SELECT count(*), sum(events) FROM block").fetchone()


def test_events_that_come_one_by_one_do_not_stay_a_block_each(ledger, tmp_path):
    one_by_one(ledger, MERGE_LEAST)
    calls, unknown = dearest(tmp_path, limit=50), unpriced(tmp_path)
    assert blocks_of(tmp_path) == (MERGE_LEAST, MERGE_LEAST)
    ledger.stop()
    later = idle(tmp_path)

    later._tick()
    later.stop()

    assert blocks_of(tmp_path) == (1, MERGE_LEAST)
    assert (dearest(tmp_path, limit=50), unpriced(tmp_path)) == (calls, unknown)


def test_nothing_is_merged_under_the_feet_of_a_correction(ledger, tmp_path):
    one_by_one(ledger, MERGE_LEAST)
    ledger.stop()
    ask(tmp_path, 0, NOW)
    store = Store(tmp_path)
    store.connection.execute("UPDATE correction SET state = 'running'")

    merged = store.merge()

    store.close()
    assert merged == 0
    assert blocks_of(tmp_path) == (MERGE_LEAST, MERGE_LEAST)


def test_a_damaged_block_is_said_and_not_read_as_something_else(ledger, tmp_path):
    one_by_one(ledger, 3)
    with closing(sqlite3.connect(tmp_path / FILE)) as file:
        file.execute("UPDATE block SET body = zeroblob(length(body)) WHERE number = 2")
        file.commit()

    with pytest.raises(LedgerError, match="block 2 is damaged"):
        dearest(tmp_path)
