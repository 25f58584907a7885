"""What was recorded is the same after it was put back; what is no whole backup changes nothing."""

import gzip
import io
import json
import sqlite3
import tarfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from topmast import archive
from topmast.errors import StateError, TopmastError
from topmast.layout import Layout, find_home

BLOCK = "01HF0000000000000000000000"


def recorded(state: Path) -> Layout:
    """Make a state folder as a run leaves it."""
    layout = Layout(find_home(), state)
    for name, text in {
        f"data/prometheus/{BLOCK}/meta.json": "{}",
        f"data/prometheus/{BLOCK}/chunks/000001": "samples",
        "data/prometheus/wal/00000000": "records",
        "data/prometheus/wal/00000001": "more",
        "data/prometheus/wal/checkpoint.00000000/00000000": "older",
        "data/prometheus/chunks_head/000001": "made again",
        "data/prometheus/lock": "",
        "data/shipper/checkpoint.log": "positions",
        "data/alertmanager/silences": "silence",
        "data/demo-redis/dump.rdb": "the demo's",
        "data/inbox.ndjson": "{}\n",
        "dashboards/mine.json": "{}",
    }.items():
        path = state / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (state / "data" / "logs").mkdir()
    with closing(sqlite3.connect(state / "data" / "logs" / "2026-11-26.sqlite")) as store, store:
        store.execute("CREATE TABLE line (text TEXT)")
        store.execute("INSERT INTO line VALUES ('first')")
    return layout


def content(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }


def test_what_was_recorded_is_back(tmp_path: Path) -> None:
    config = tmp_path / "topmast.yml"
    config.write_text("environment: staging\n")
    file = tmp_path / "backup.tar.gz"

    told = archive.backup(recorded(tmp_path / "one"), config, file)
    back = Layout(find_home(), tmp_path / "two")
    again, aside = archive.restore(back, file, replace=False)

    found = content(tmp_path / "two")
    assert (again.files, again.created, aside) == (told.files, told.created, None)
    assert {name for name in found if not name.endswith(".sqlite")} == {
        f"data/prometheus/{BLOCK}/meta.json",
        f"data/prometheus/{BLOCK}/chunks/000001",
        "data/prometheus/wal/00000000",
        "data/prometheus/wal/00000001",
        "data/prometheus/wal/checkpoint.00000000/00000000",
        "data/shipper/checkpoint.log",
        "data/alertmanager/silences",
        "data/inbox.ndjson",
        "dashboards/mine.json",
        "restored-topmast.yml",
    }
    with closing(sqlite3.connect(tmp_path / "two" / "data" / "logs" / "2026-11-26.sqlite")) as store:
        assert store.execute("SELECT text FROM line").fetchall() == [("first",)]
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_database_in_use_is_copied_whole(tmp_path: Path) -> None:
    layout = recorded(tmp_path / "one")
    file = tmp_path / "backup.tar.gz"
    with closing(sqlite3.connect(layout.log_store / "2026-11-26.sqlite")) as writer:
        writer.execute("PRAGMA journal_mode=WAL")
        writer.execute("INSERT INTO line VALUES ('committed')")
        writer.commit()
        writer.execute("INSERT INTO line VALUES ('not yet')")

        archive.backup(layout, None, file)

    back = Layout(find_home(), tmp_path / "two")
    archive.restore(back, file, replace=False)
    with closing(sqlite3.connect(back.log_store / "2026-11-26.sqlite")) as store:
        assert store.execute("SELECT text FROM line").fetchall() == [("first",), ("committed",)]
    assert [path.name for path in back.log_store.iterdir()] == ["2026-11-26.sqlite"]


def test_nothing_is_left_behind_in_the_state_folder(tmp_path: Path) -> None:
    layout = recorded(tmp_path / "one")
    before = set(content(layout.state))

    archive.backup(layout, None, tmp_path / "backup.tar.gz")

    assert set(content(layout.state)) == before


def test_data_that_are_there_are_put_aside_when_asked(tmp_path: Path) -> None:
    layout = recorded(tmp_path / "one")
    file = tmp_path / "backup.tar.gz"
    archive.backup(layout, None, file)
    layout.inbox.write_text("newer")

    with pytest.raises(StateError, match="--replace puts them aside"):
        archive.restore(layout, file, replace=False)
    _, aside = archive.restore(layout, file, replace=True, clock=lambda: 0.0)

    assert aside == layout.state / "replaced-19700101T000000Z"
    assert (aside / "data" / "inbox.ndjson").read_text() == "newer"
    assert layout.inbox.read_text() == "{}\n"


def test_a_backup_is_never_written_over(tmp_path: Path) -> None:
    file = tmp_path / "backup.tar.gz"
    file.write_text("precious")

    with pytest.raises(StateError, match="is there already"):
        archive.backup(recorded(tmp_path / "one"), None, file)

    assert file.read_text() == "precious"


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-200])


def garbage(file: Path) -> None:
    file.write_bytes(b"not an archive at all")


def changed(file: Path) -> None:
    rewritten(file, lambda name, body: b"otherwise" if name.endswith("checkpoint.log") else body)


def newer(file: Path) -> None:
    rewritten(
        file,
        lambda name, body: (
            json.dumps({**json.loads(body), "format": 2}).encode() if name == "manifest.json" else body
        ),
    )


def climbing(file: Path) -> None:
    rewritten(file, lambda _, body: body, rename=lambda name: name.replace("data/shipper", "data/../.."))


def rewritten(
    file: Path, change: Callable[[str, bytes], bytes], rename: Callable[[str], str] = lambda name: name
) -> None:
    made = io.BytesIO()
    with tarfile.open(file, "r:gz") as source, tarfile.open(fileobj=made, mode="w") as target:
        for entry in source:
            reader = source.extractfile(entry)
            assert reader is not None
            body = change(entry.name, reader.read())
            copy = tarfile.TarInfo(rename(entry.name))
            copy.size = len(body)
            target.addfile(copy, io.BytesIO(body))
    file.write_bytes(gzip.compress(made.getvalue()))


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (cut, "not a whole backup"),
        (garbage, "not a whole backup"),
        (changed, "damaged: data/shipper/checkpoint.log"),
        (newer, "format 2; this version"),
        (climbing, "has no place here"),
    ],
)
def test_what_is_no_whole_backup_changes_nothing(tmp_path: Path, spoil: Callable[[Path], None], words: str) -> None:
    file = tmp_path / "backup.tar.gz"
    archive.backup(recorded(tmp_path / "one"), None, file)
    spoil(file)
    layout = recorded(tmp_path / "two")
    before = content(layout.state)

    with pytest.raises(TopmastError, match=words):
        archive.restore(layout, file, replace=True)

    assert content(layout.state) == before


def test_with_nothing_recorded_there_is_nothing_to_back_up(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="nothing was recorded here yet"):
        archive.backup(Layout(find_home(), tmp_path), None, tmp_path / "backup.tar.gz")


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(StateError, match=r"backup.tar.gz.part: cannot be backed up"):
        archive.backup(recorded(tmp_path / "one"), None, tmp_path / "nowhere" / "backup.tar.gz")


def test_of_a_folder_of_backups_the_newest_stay_and_strangers_too(tmp_path: Path) -> None:
    for day in range(1, 5):
        archive.named(tmp_path, day * 86400.0).touch()
    (tmp_path / "topmast-mine.tar.gz").touch()

    archive.prune(tmp_path, 2)

    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "topmast-19700104T000000Z.tar.gz",
        "topmast-19700105T000000Z.tar.gz",
        "topmast-mine.tar.gz",
    ]
