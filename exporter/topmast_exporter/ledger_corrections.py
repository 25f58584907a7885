"""A wrong price is put right: events are priced again, in the ledger, its budgets and reports, never in counters.

A correction is a row of the ledger: who asks writes it, whoever writes the ledger carries it out in small
transactions between the batches, and it stays as the record of what was changed. Killed half-way it goes on.
"""

import sqlite3
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from topmast_exporter import admission
from topmast_exporter.ledger_schema import COSTS, SPEND_KEY, LedgerError
from topmast_exporter.ledger_store import FILE, QUARTER_SECONDS, Store
from topmast_exporter.pricing.price import FREE, UNPRICED, Price, Pricer
from topmast_exporter.pricing.tokens import FIELDS, Tokens
from topmast_exporter.usage_event import UsageEvent

CHUNK_EVENTS = 1_000
ASKED, RUNNING, DONE = "asked", "running", "done"

_READ = (
    *("id", "at_ms", "provider", "model", "feature", "outcome", "tier", "batch"),
    *("key_alias", "user_group", "environment", "price_status", "price_reason", *COSTS, *FIELDS),
)
_SELECT = f"SELECT {', '.join(_READ)} FROM event WHERE (at_ms, id) > (?, ?) AND at_ms < ? ORDER BY at_ms, id LIMIT ?"  # noqa: S608 our own names


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
    """Yield what a correction would change; nothing is written. Raises LedgerError."""
    try:
        with closing(sqlite3.connect(f"{(folder / FILE).absolute().as_uri()}?mode=ro", uri=True, timeout=5)) as file:
            file.row_factory = sqlite3.Row
            place = (int(since * 1000), "")
            while rows := file.execute(_SELECT, (*place, int(until * 1000), CHUNK_EVENTS)).fetchall():
                yield from _changes(rows, pricer, model)
                place = (rows[-1]["at_ms"], rows[-1]["id"])
    except sqlite3.Error as error:
        raise LedgerError(f"{folder / FILE}: {error}") from error


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
        place = (one["cursor_ms"], one["cursor_id"]) if one["state"] == RUNNING else (one["since_ms"], "")
        rows = cursor.execute(_SELECT, (*place, one["until_ms"], CHUNK_EVENTS)).fetchall()
        changes = [change for change in _changes(rows, pricer, one["model"]) if _book(connection, change)]
        last = (rows[-1]["at_ms"], rows[-1]["id"]) if rows else place
        connection.execute(
            "UPDATE correction SET state = ?, source = ?, events = ?, changed = ?, before = ?, after = ?,"
            " cursor_ms = ?, cursor_id = ? WHERE id = ?",
            (
                DONE if len(rows) < CHUNK_EVENTS else RUNNING,
                pricer.table.source if pricer.table is not None else "",
                one["events"] + len(rows),
                one["changed"] + len(changes),
                str(int(one["before"]) + sum(change.was.total for change in changes)),
                str(int(one["after"]) + sum(change.now.total for change in changes)),
                *last,
                one["id"],
            ),
        )
    return True


def _changes(rows: Iterable[Any], pricer: Pricer, model: str) -> Iterator[Change]:
    for row in rows:
        if model and f"{row['provider']}/{row['model']}" != model:
            continue
        parts = tuple(row[name] or 0 for name in COSTS)
        was = Price(row["price_status"], (parts[0], parts[1], parts[2], parts[3], parts[4]), row["price_reason"])
        event = _event(row)
        now = price_of(pricer, event)
        if now[:2] != was[:2]:  # another reason for having no price is no other price
            yield Change(event, was, now)


def _event(row: Any) -> UsageEvent:
    tokens = None if row[FIELDS[0]] is None else Tokens(*(row[name] for name in FIELDS))
    return UsageEvent(
        id=row["id"],
        at=row["at_ms"] / 1000,
        provider=row["provider"],
        model=row["model"],
        feature=row["feature"],
        outcome=row["outcome"],
        tokens=tokens,
        tier=row["tier"],
        batch=bool(row["batch"]),
        key_alias=row["key_alias"],
        user_group=row["user_group"],
        environment=row["environment"],
    )


def _book(connection: sqlite3.Connection, change: Change) -> bool:
    """Write a change to the event and to the spend that it is in; return False when that is not there any more."""
    event, was, now = change.event, change.was, change.now
    unpriced = now.status == UNPRICED
    parts = (a - b for a, b in zip(now.parts, was.parts, strict=True))
    amounts = (int(unpriced) - int(was.status == UNPRICED), *parts)
    names = tuple(admission.clean(name) for name in (event.provider, event.model, event.feature))
    # a name that was not admitted any more was booked as `_other`
    for booked in (names, (admission.OTHER,) * 3):
        key = (int(event.at // QUARTER_SECONDS), *booked, event.key_alias, event.user_group, event.environment)
        if connection.execute(_CORRECT_SPEND, (*amounts, *key)).rowcount:
            cost = (None,) * len(COSTS) if unpriced else now.parts
            connection.execute(_CORRECT_EVENT, (now.status, now.reason, *cost, event.id))
            return True
    return False


_CORRECT_EVENT = (
    f"UPDATE event SET price_status = ?, price_reason = ?, {', '.join(f'{name} = ?' for name in COSTS)}"  # noqa: S608 our own names
    " WHERE id = ?"
)
_CORRECT_SPEND = (
    f"UPDATE spend SET unpriced = unpriced + ?, {', '.join(f'{name} = {name} + ?' for name in COSTS)}"  # noqa: S608 our own names
    f" WHERE {' AND '.join(f'{name} = ?' for name in SPEND_KEY)}"
)


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
