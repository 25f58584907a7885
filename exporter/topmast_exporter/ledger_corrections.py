"""A wrong price is put right: events are priced again, in the ledger, its budgets and reports, never in counters.

A correction is a row of the ledger: who asks writes it, whoever writes the ledger carries it out in small
transactions between the batches, and it stays as the record of what was changed. Killed half-way it goes on.
"""

import sqlite3
import time
import uuid
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from topmast_exporter import admission, ledger_spend
from topmast_exporter.ledger_block import Builder, Stored, row_of, words_of
from topmast_exporter.ledger_events import blocks, snapshot
from topmast_exporter.ledger_schema import (
    ASKED,
    COSTS,
    DONE,
    PUT_BLOCK,
    RUNNING,
    SPEND_COLUMNS,
    SPEND_KEY,
    LedgerError,
)
from topmast_exporter.ledger_spend import QUARTER_SECONDS, Spend, SpendKey
from topmast_exporter.ledger_store import FILE, Store
from topmast_exporter.pricing.price import FREE, UNPRICED, Price, Pricer
from topmast_exporter.usage_event import UsageEvent

# A step ends with the block in which it reaches so many.
CHUNK_EVENTS = 1_000


@dataclass(frozen=True)
class Correction:
    """What was asked for, and what came of it so far. Amounts are pico-USD, of the changed events only."""

    id: str
    asked: float
    """Unix time."""
    since: float
    until: float
    model: str
    """PROVIDER/MODEL, "" for all."""
    state: str
    source: str
    """The price table that it was carried out with."""
    events: int
    changed: int
    before: int
    after: int


@dataclass(frozen=True)
class Change:
    """An event whose price is another one now."""

    event: UsageEvent
    was: Price
    now: Price


def price_of(pricer: Pricer, event: UsageEvent) -> Price:
    """Return what an event costs, or why nobody knows."""
    if event.outcome == "cached":
        return Price(FREE)  # answered by a cache of the application's own: nobody was paid
    if event.tokens is None:
        # a failed attempt without usage costs nothing; an answer without usage costs something unknown
        reason = {"ok": "usage_missing", "cancelled": "cancelled"}.get(event.outcome)
        return Price(UNPRICED, reason=reason) if reason else Price(FREE)
    return pricer.price(event.provider, event.model, event.tokens, event.at, event.tier, event.batch)


def ask(folder: Path, since: float, until: float, model: str = "") -> str:
    """Write down that these events are to be priced again; return the correction's id. Raises LedgerError."""
    asked = str(uuid.uuid4())
    row = (asked, int(time.time() * 1000), int(since * 1000), int(until * 1000), model, ASKED)
    try:
        with closing(sqlite3.connect(folder / FILE, timeout=10)) as connection, connection:
            connection.execute(
                "INSERT INTO correction (id, asked_ms, since_ms, until_ms, model, state) VALUES (?, ?, ?, ?, ?, ?)",
                row,
            )
    except sqlite3.Error as error:
        raise LedgerError(f"{folder / FILE}: {error}") from error
    return asked


def listed(folder: Path) -> list[Correction]:
    """Return every correction of the ledger, the newest first. Raises LedgerError."""
    sql = "SELECT * FROM correction ORDER BY asked_ms DESC"
    try:
        with closing(sqlite3.connect(f"{(folder / FILE).absolute().as_uri()}?mode=ro", uri=True, timeout=5)) as file:
            file.row_factory = sqlite3.Row
            return [_correction(row) for row in file.execute(sql)]
    except sqlite3.Error as error:
        raise LedgerError(f"{folder / FILE}: {error}") from error


def preview(folder: Path, pricer: Pricer, since: float, until: float, model: str = "") -> Iterator[Change]:
    """Yield what a correction would change, a block after the other; nothing is written. Raises LedgerError."""
    with snapshot(folder) as connection:
        for _, block in blocks(connection, since, until):
            for one in block.stored():
                change = _change(one, pricer, model) if since <= one.event.at < until else None
                if change is not None:
                    yield change


def carry_out(store: Store, pricer: Pricer) -> bool:
    """Take one step of the oldest open correction; return whether there was one. Raises LedgerError."""
    connection = store.connection
    with store.transaction():
        cursor = connection.cursor()
        cursor.row_factory = sqlite3.Row
        one = cursor.execute(
            "SELECT * FROM correction WHERE state != ? ORDER BY asked_ms LIMIT 1", (DONE,)
        ).fetchone()
        if one is None:
            return False
        step = _Step(store, pricer, one)
        done = step.take()
        connection.execute(
            "UPDATE correction SET state = ?, source = ?, events = ?, changed = ?, before = ?, after = ?,"
            " next_block = ? WHERE id = ?",
            (
                DONE if done else RUNNING,
                pricer.table.source if pricer.table is not None else "",
                one["events"] + step.events,
                one["changed"] + step.changed,
                str(int(one["before"]) + step.before),
                str(int(one["after"]) + step.after),
                step.next_block,
                one["id"],
            ),
        )
    return True


class _Step:
    """A step of a correction: the blocks that it looks at, and what became of them."""

    def __init__(self, store: Store, pricer: Pricer, correction: Any) -> None:
        self.events = self.changed = self.before = self.after = 0
        self.next_block = int(correction["next_block"])
        self._connection, self._pricer = store.connection, pricer
        self._model = str(correction["model"])
        self._since, self._until = correction["since_ms"] / 1000, correction["until_ms"] / 1000

    def take(self) -> bool:
        """Correct block after block; return whether that was the last one."""
        for number, block in blocks(self._connection, self._since, self._until, self.next_block):
            if self.events >= CHUNK_EVENTS:
                return False
            changed = self.changed
            mended = Builder()
            for one in block.stored():
                price = self._mend(one) if self._since <= one.event.at < self._until else one.price
                mended.add(words_of(one.event, price), [one.event.id], row_of(one.event, price), price.total)
            if self.changed != changed:
                self._connection.execute(PUT_BLOCK, (number, *mended.row()))
            self.next_block = number + 1
        return True

    def _mend(self, one: Stored) -> Price:
        """Return the price that an event has from now on."""
        self.events += 1
        change = _change(one, self._pricer, self._model)
        if change is None or not _book(self._connection, change):
            return one.price
        self.changed += 1
        self.before += change.was.total
        self.after += change.now.total
        return change.now


def _change(one: Stored, pricer: Pricer, model: str) -> Change | None:
    event, was = one
    if model and f"{event.provider}/{event.model}" != model:
        return None
    now = price_of(pricer, event)
    # another reason for having no price is no other price
    return None if now[:2] == was[:2] else Change(event, was, now)


def _book(connection: sqlite3.Connection, change: Change) -> bool:
    """Write a change to the spend that the event is in; return False when that is not there any more."""
    event, was, now = change.event, change.was, change.now
    unpriced = int(now.status == UNPRICED) - int(was.status == UNPRICED)
    parts = [a - b for a, b in zip(now.parts, was.parts, strict=True)]
    names = tuple(admission.clean(name) for name in (event.provider, event.model, event.feature))
    # a name that was not admitted any more was booked as `_other`
    for booked in (names, (admission.OTHER,) * 3):
        key: SpendKey = (
            *(int(event.at // QUARTER_SECONDS), booked[0], booked[1], booked[2]),
            *(event.key_alias, event.user_group, event.environment),
        )
        if connection.execute(_STANDS, key).fetchone() is not None:
            amounts = [0, unpriced, *(0 for _ in SPEND_COLUMNS[2 : -len(COSTS)]), *parts]
            ledger_spend.add(connection, {key: Spend(amounts)})
            return True
    return False


_STANDS = f"SELECT 1 FROM spend WHERE {' AND '.join(f'{name} = ?' for name in SPEND_KEY)}"  # noqa: S608 our own names


def _correction(row: Any) -> Correction:
    return Correction(
        id=row["id"],
        asked=row["asked_ms"] / 1000,
        since=row["since_ms"] / 1000,
        until=row["until_ms"] / 1000,
        model=row["model"],
        state=row["state"],
        source=row["source"],
        events=row["events"],
        changed=row["changed"],
        before=int(row["before"]),
        after=int(row["after"]),
    )
