"""sinks/sqlite.py: each event once, in the file of its day, within the cap."""

import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path

import pytest
from topmast_shipper import search, store
from topmast_shipper.component import Receipt, Sink
from topmast_shipper.errors import StateError, TransientError
from topmast_shipper.sinks.sqlite import Config, SqliteSink
from topmast_shipper.testing import READ_AT, SinkContract, event, events
from topmast_shipper.window import Window, of

DAY = "2026-11-21"

# A part as versions before this one have made it: how it is read and written must not depend on what is new.
OLD_TABLES = """
CREATE TABLE events(
    n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, time INTEGER NOT NULL, level TEXT NOT NULL,
    service TEXT NOT NULL, status INTEGER, document TEXT NOT NULL
);
CREATE INDEX events_time ON events(time, n, level, service, status);
CREATE VIRTUAL TABLE words USING fts5(
    message, fields, content='',{} tokenize="unicode61 remove_diacritics 0 tokenchars '_'"
);
PRAGMA user_version=1;
"""
SMALL_PAGES, LARGER_PAGES = (f"PRAGMA page_size={size}; PRAGMA journal_mode=WAL;" for size in (4096, 8192))
BY_EIGHTS = "INSERT INTO words(words, rank) VALUES ('automerge', 8), ('pgsz', 8000);"
OLD = {
    "small pages, with sizes": SMALL_PAGES + OLD_TABLES.format(""),
    "larger pages, with sizes": LARGER_PAGES + OLD_TABLES.format(""),
    "without sizes, merged by eights": LARGER_PAGES + OLD_TABLES.format(" columnsize=0,") + BY_EIGHTS,
}


def ids(folder: Path) -> list[str]:
    found: list[str] = []
    for part in store.parts(folder):
        with closing(sqlite3.connect(part.path)) as connection:
            found += [row[0] for row in connection.execute("SELECT id FROM events ORDER BY n")]
    return found


def worded(folder: Path) -> int:
    total = 0
    for part in store.parts(folder):
        with closing(sqlite3.connect(part.path)) as connection:
            sql = "SELECT count(*) FROM words WHERE words MATCH 'line'"
            total += connection.execute(sql).fetchone()[0]
    return total


class TestSqlite(SinkContract):
    @pytest.fixture
    def sink(self, tmp_path: Path) -> Iterator[Sink]:
        sink = SqliteSink(Config(tmp_path / "logs"))
        yield sink
        sink.close()

    @pytest.fixture
    def stored(self, tmp_path: Path) -> Callable[[], Sequence[str]]:
        return lambda: ids(tmp_path / "logs")


def opened(folder: Path, **options: int) -> SqliteSink:
    """Return a sink whose clock stands still on the day of the test's events."""
    return SqliteSink(Config(folder, **options), clock=lambda: READ_AT)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "logs"


def test_a_day_is_a_file(folder: Path) -> None:
    sink = opened(folder)

    sink.send([event(0, time="2026-11-20T23:59:59.999Z"), event(1, time="2026-11-21T00:00:00Z")])
    sink.close()

    assert [part.day for part in store.parts(folder)] == ["2026-11-20", "2026-11-21"]


@pytest.mark.parametrize("count", [255, 256, 257, 2_048, 5_000])
def test_windows_of_every_size_are_stored_whole_and_sent_again_not_twice(folder: Path, count: int) -> None:
    sink = opened(folder)

    receipts = [sink.send(events(count)), sink.send(events(count + 3))]
    sink.close()

    assert receipts == [Receipt(count), Receipt(count + 3)]
    assert ids(folder) == [each.id for each in events(count + 3)]
    assert worded(folder) == count + 3


def test_while_a_large_window_is_written_the_next_is_read_and_made_ready(folder: Path) -> None:
    sink = opened(folder)
    coming: list[Window | None] = [of(events(900)[300:600]), of(events(900)[600:]), None]
    sink.meanwhile = lambda: coming.pop(0)

    # the last one is not the one that was read on: a part of it, and others
    for window in (events(300), of(events(900)[300:600]), events(1_000)[650:]):
        sink.send(window)
    sink.close()

    assert coming == []
    assert ids(folder) == [each.id for each in [*events(600), *events(1_000)[650:]]]
    assert worded(folder) == 950
    with closing(sqlite3.connect(folder / f"{DAY}.sqlite")) as connection:
        documents = dict(connection.execute("SELECT id, document FROM events"))
    assert documents == {each.id: each.json.decode() for each in events(1_000) if each.id in documents}


def test_while_a_backlog_is_written_its_log_is_copied_into_the_file(folder: Path) -> None:
    sink = opened(folder)
    for first in range(0, 8_192, 2_048):
        sink.send(events(2_048, first))

    # what the file alone has, without its log
    deadline, copied = time.monotonic() + 20, 0
    while copied < 4_096 and time.monotonic() < deadline:
        uri = f"{(folder / f'{DAY}.sqlite').as_uri()}?immutable=1"
        with closing(sqlite3.connect(uri, uri=True)) as connection, suppress(sqlite3.DatabaseError):
            copied = connection.execute("SELECT count(*) FROM events").fetchone()[0]
    sink.close()

    assert copied >= 4_096
    assert ids(folder) == [each.id for each in events(8_192)]


def test_a_large_window_that_cannot_be_written_is_settled_by_the_next_send(folder: Path) -> None:
    sink = opened(folder)
    sink.send(events(1))
    with closing(sqlite3.connect(folder / f"{DAY}.sqlite")) as other:
        other.execute("DROP TABLE words")
        with pytest.raises(TransientError):
            sink.send(events(300))
        assert ids(folder) == [events(1)[0].id]
    for each in store.parts(folder):
        each.remove()

    receipt = sink.send(events(300))
    sink.close()

    assert receipt == Receipt(300)
    assert len(ids(folder)) == 300


def test_a_window_sent_again_by_the_next_process_is_stored_once(folder: Path) -> None:
    for _ in range(2):
        sink = opened(folder)
        sink.send(events(20))
        sink.close()

    assert ids(folder) == [each.id for each in events(20)]
    assert worded(folder) == 20


def test_a_line_without_a_time_sent_again_after_midnight_is_stored_once(folder: Path) -> None:
    """Its day is the day it was read on, and that is another one now."""
    sink = opened(folder)
    sink.send([event(0, time="2026-11-20T23:59:59Z"), event(1, time="2026-11-20T23:59:59Z")])
    sink.close()
    sink = opened(folder)

    receipt = sink.send(
        [
            event(0, time="2026-11-21T00:00:01Z"),
            event(1, time="2026-11-21T00:00:01Z"),
            event(2, time="2026-11-21T00:00:01Z"),
        ]
    )
    sink.close()

    assert receipt == Receipt(settled=3)
    assert ids(folder) == [event(0).id, event(1).id, event(2).id]


def test_an_older_line_of_another_day_is_no_duplicate(folder: Path) -> None:
    sink = opened(folder)
    sink.send([event(0, time="2026-11-21T10:00:00Z"), event(5, time="2026-11-20T10:00:00Z")])
    sink.close()
    sink = opened(folder)

    sink.send([event(3, time="2026-11-21T10:00:00Z"), event(4, time="2026-11-20T10:00:00Z")])
    sink.close()

    assert sorted(ids(folder)) == [event(number).id for number in (0, 3, 4, 5)]


def test_a_busy_day_goes_on_in_parts_and_the_oldest_makes_room(folder: Path) -> None:
    now = READ_AT
    sink = SqliteSink(Config(folder, max_bytes=8 << 20), clock=lambda: now)
    # 12 MB of text that no two events share, in windows as the pipeline sends them
    for start in range(0, 12_000, 500):
        now += 60
        sink.send([event(number, padding=f"{number:08d}" * 120) for number in range(start, start + 500)])
    sink.close()

    parts = store.parts(folder)
    assert {part.day for part in parts} == {DAY}
    assert len(parts) > 2
    assert sum(part.bytes for part in parts) <= (8 << 20) + 2 * (1 << 20)
    assert ids(folder)[-1] == event(11_999).id


def test_a_part_that_was_full_is_still_known_after_a_restart(folder: Path) -> None:
    window = [event(number, padding=f"{number:08d}" * 120) for number in range(2000)]
    for _ in range(2):
        sink = opened(folder, max_bytes=8 << 20)
        for start in range(0, 2000, 250):
            sink.send(window[start : start + 250])
        sink.close()

    assert len(store.parts(folder)) > 1
    assert sorted(ids(folder)) == [each.id for each in window]


@pytest.mark.parametrize("schema", OLD.values(), ids=OLD)
def test_a_part_of_an_older_version_is_written_and_searched_on(folder: Path, schema: str) -> None:
    folder.mkdir()
    old = [event(number, path=f"/old/{number}", status=404, level="error") for number in range(3)]
    with closing(sqlite3.connect(folder / f"{DAY}.sqlite")) as connection:
        connection.executescript(schema)
        for n, each in enumerate(old, 1):
            row = (n, each.id, each.time, each.level, each.service, 404, each.json.decode())
            connection.execute("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?)", row)
            words = (n, f"line {n - 1}", f"404\n/old/{n - 1}\nshop")
            connection.execute("INSERT INTO words(rowid, message, fields) VALUES (?, ?, ?)", words)
        connection.commit()
    new = [event(number, path=f"/new/{number}", status=201) for number in range(3, 700)]

    sink = opened(folder)
    receipts = [sink.send([*old, *new[:300]]), sink.send(new[200:]), sink.send([event(700, path="/old/700")])]
    sink.close()

    assert receipts == [Receipt(303), Receipt(497), Receipt(1)]
    assert [part.path.name for part in store.parts(folder)] == [f"{DAY}.sqlite"]
    assert ids(folder) == [event(number).id for number in range(701)]
    assert worded(folder) == 701
    for query, count in (("old", 4), ("status:404 path:/old/1", 1), ('"line 2"', 1), ("status:201", 697)):
        assert len(search.lines(folder, query, limit=1_000)) == count, query


def test_days_that_are_too_old_are_deleted(folder: Path) -> None:
    sink = opened(folder, retention_days=2)

    sink.send([event(0, time="2026-11-10T12:00:00Z"), event(1, time="2026-11-20T12:00:00Z"), event(2)])
    sink.close()

    assert [part.day for part in store.parts(folder)] == ["2026-11-20", "2026-11-21"]


def test_a_file_deleted_under_the_sink_is_made_anew(folder: Path) -> None:
    sink = opened(folder)
    sink.send(events(3))
    sink.close()
    for part in store.parts(folder):
        part.remove()
    sink = opened(folder)

    sink.send(events(3, first=3))
    sink.close()

    assert ids(folder) == [each.id for each in events(3, first=3)]


def test_a_damaged_day_holds_up_no_other_and_is_told_once(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder.mkdir()
    damaged = folder / "2026-11-20.sqlite"
    damaged.write_text("x\n" * 512)
    sink = opened(folder)

    for number in range(2):
        sink.send([event(number, stream=f"{number:016x}")])
    sink.close()

    assert search.count(folder, "", told=lambda _error: None) == 2
    assert [each.getMessage() for each in caplog.records] == [
        f"a file of the store is passed over: {damaged}: file is not a database: no log store; move it away"
    ]


def test_a_second_writer_is_refused(folder: Path) -> None:
    sink = opened(folder)

    with pytest.raises(StateError, match="another shipper writes this store"):
        opened(folder)

    sink.close()
