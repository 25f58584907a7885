"""tail/originals.py: whose content a compressed file has, also where many files begin alike."""

import gzip
import os
import tempfile
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tailing import SINK, Reader, append, copytruncate

HEADER = "#Fields: a b c"
OLD = [f"old {number}" for number in range(300)]


def text(*lines: str) -> str:
    return "".join(line + "\n" for line in (HEADER, *lines))


def pack(path: Path, content: str) -> Path:
    path.write_bytes(gzip.compress(content.encode(), mtime=0))
    return path


def compress(path: Path, keep: bool = False) -> Path:
    packed = pack(path.with_name(path.name + ".gz"), path.read_text())
    if not keep:
        path.unlink()
    return packed


class TestOneHeader:
    def test_one_that_is_longer_than_what_is_there_is_no_copy_of_it(self, reader: Reader, log: Path) -> None:
        append(log, text())
        pack(log.with_name("app.log.2.gz"), text(*OLD))

        assert sorted(reader.read()) == sorted([HEADER, HEADER, *OLD])

    def test_what_is_there_grows_rotates_and_is_compressed(self, reader: Reader, log: Path) -> None:
        append(log, text())
        found = reader.read()
        pack(log.with_name("app.log.2.gz"), text(*OLD))
        reader.catalogue.sweep()
        append(log, "new 1\nnew 2\n")
        found += reader.read()
        log.rename(log.with_name("app.log.1"))
        append(log, text())
        found += reader.read()
        compress(log.with_name("app.log.1"))
        reader.wait()
        found += reader.read()
        reader.restart()
        found += reader.read()

        assert sorted(line for line in found if line != HEADER) == sorted([*OLD, "new 1", "new 2"])

    @pytest.mark.parametrize("away", [False, True], ids=["at work", "while we are away"])
    def test_of_several_that_are_gone_it_is_the_one_that_goes_farthest(
        self, reader: Reader, log: Path, away: bool
    ) -> None:
        append(log, text())
        found = reader.read()
        log.rename(log.with_name("app.log.2"))
        append(log, text(*OLD))
        reader.wait(20.0)
        found += reader.read()
        log.rename(log.with_name("app.log.1"))
        append(log, text("new"))
        reader.wait(20.0)
        found += reader.read()
        if away:
            reader.kill()
        log.with_name("app.log.2").unlink()
        compress(log.with_name("app.log.1"))
        if away:
            reader.start()
        reader.wait()
        found += reader.read()

        assert sorted(found) == sorted([HEADER, HEADER, HEADER, *OLD, "new"])

    def test_two_do_not_go_on_with_one_content(self, reader: Reader, log: Path) -> None:
        append(log, text())
        found = reader.read()
        reader.kill()
        log.unlink()
        pack(log.with_name("app.log.1.gz"), text(*OLD[:200]))
        pack(log.with_name("app.log.2.gz"), text(*OLD[200:]))
        reader.start()
        found += reader.read()

        assert sorted(line for line in found if line != HEADER) == sorted(OLD)

    def test_two_copies_do_not_go_on_with_one_content(self, reader: Reader, log: Path) -> None:
        append(log, text())
        found = reader.read()
        os.truncate(log, 0)
        append(log.with_name("app.log.1"), text(*OLD[:200]))
        append(log.with_name("app.log.2"), text(*OLD[200:]))
        for _ in range(3):
            found += reader.read()
            reader.wait()

        assert sorted(line for line in found if line != HEADER) == sorted(OLD)

    def test_that_one_begins_alike_does_not_hide_that_another_is_lost(self, tmp_path: Path, log: Path) -> None:
        reader = Reader(tmp_path)
        append(log, text())
        reader.read()
        append(log, "lost 1\n")
        reader.catalogue.sweep()
        os.truncate(log, 0)
        pack(log.with_name("app.log.1.gz"), text(*OLD))

        found = reader.read()
        reader.wait(70.0)

        assert found == [HEADER, *OLD]
        assert reader.lost == [("truncated", len("lost 1\n"))]

    def test_a_file_whose_content_went_on_elsewhere_is_another(self, reader: Reader, log: Path) -> None:
        append(log, text())
        found = reader.read()
        copytruncate(log, log.with_name("app.log.1"))
        reader.catalogue.sweep()
        reader.catalogue.sweep()
        reader.kill()
        append(log, text("new 1", "new 2"))
        append(log.with_name("app.log.1"), "old 1\nold 2\n")
        reader.start()
        found += reader.read()

        assert sorted(line for line in found if line != HEADER) == ["new 1", "new 2", "old 1", "old 2"]


def test_the_original_is_out_of_the_patterns(tmp_path: Path, log: Path) -> None:
    reader = Reader(tmp_path, ("app.log", "*.gz"))
    append(log, text("one"))
    found = reader.read()
    log.rename(tmp_path / "kept.txt")
    reader.wait(20.0)
    pack(tmp_path / "other.gz", text(*OLD))
    pack(tmp_path / "kept.gz", text("one"))
    for _ in range(3):
        found += reader.read()
        reader.wait()

    assert sorted(found) == sorted([HEADER, HEADER, "one", *OLD])


def test_the_copy_of_what_has_grown_since_is_not_read_after_a_restart(reader: Reader, log: Path) -> None:
    append(log, "one\n")
    found = reader.read()
    compress(log, keep=True)
    reader.catalogue.sweep()
    append(log, "two\n")
    found += reader.read()
    log.unlink()
    reader.wait()
    found += reader.read()
    for _ in range(2):
        reader.restart()
        found += reader.read()
        reader.wait()

    assert found == ["one", "two"]


def test_a_copy_that_has_not_all_of_a_deleted_file_hides_no_loss(tmp_path: Path, log: Path) -> None:
    reader = Reader(tmp_path, sinks=(SINK, "late"), hold_deleted_seconds=10.0)
    append(log, "one\n")
    reader.read()
    compress(log, keep=True)
    reader.catalogue.sweep()
    append(log, "two\n")
    reader.read()
    log.unlink()
    reader.wait(60.0)

    assert [reason for reason, _ in reader.lost] == ["held"]


def test_of_several_members_the_last_one_is_not_the_whole(reader: Reader, log: Path) -> None:
    path = log.with_name("app.log.1.gz")
    path.write_bytes(gzip.compress("".join(f"{line}\n" for line in OLD).encode()) + gzip.compress(b"end\n"))
    reader.catalogue.sweep()
    found = [line for line, _ in reader.read_ids(100)]
    reader.restart()

    assert found + reader.read() == [*OLD, "end"]


def test_one_with_the_inode_of_a_longer_one_is_not_taken_for_read(reader: Reader, log: Path) -> None:
    append(log, text())
    reader.read()
    append(log, "one\ntwo\nthree\n")
    reader.read()
    reader.kill()
    packed = gzip.compress(text("another").encode())
    packed_path = log.rename(log.with_name("app.log.1.gz"))
    with packed_path.open("r+b") as file:  # the same inode
        file.write(packed)
        file.truncate(len(packed))
    reader.start()

    assert reader.read() == [HEADER, "another"]


class TestNoGzip:
    @pytest.mark.parametrize("again", ["sweeps", "a reload"])
    def test_it_is_told_and_counted_once(
        self, reader: Reader, log: Path, caplog: pytest.LogCaptureFixture, again: str
    ) -> None:
        path = log.with_name("app.log.gz")
        append(path, "no gzip\n")
        os.utime(path, (0, 0))
        for _ in range(3):
            assert reader.read() == []
            if again == "a reload":
                reader.catalogue.go_on(reader.follow, (SINK,), ["app"])

        assert reader.lost == [("damaged", 8)]
        assert caplog.messages == [f"a compressed file is damaged, nothing of it can be read: {path}"]

    def test_an_empty_one_is_no_damage(self, reader: Reader, log: Path) -> None:
        log.with_name("app.log.gz").touch()
        os.utime(log.with_name("app.log.gz"), (0, 0))

        assert (reader.read(), reader.lost) == ([], [])


@dataclass
class Days:
    """A log with one header a day, as a rotation that numbers and compresses has it; no line is deleted unread."""

    folder: Path
    lines: set[str] = field(default_factory=set)
    stored: dict[str, dict[str, str]] = field(default_factory=lambda: {SINK: {}, "late": {}})

    def __post_init__(self) -> None:
        self.log = self.folder / "app.log"
        self.numbers = count()
        self.reader = Reader(self.folder, sinks=tuple(self.stored))
        append(self.log, text())

    def unique(self, many: int) -> list[str]:
        lines = [f"line {next(self.numbers)}" for _ in range(many)]
        self.lines.update(lines)
        return lines

    def write(self) -> None:
        append(self.log, "".join(f"{line}\n" for line in self.unique(3)))

    def write_much(self) -> None:
        append(self.log, "".join(f"{line}\n" for line in self.unique(200)))

    def rotate(self) -> None:
        for path in sorted(self.folder.glob("app.log.*"), key=lambda path: -int(path.name.split(".")[2])):
            _, _, number, *packed = path.name.split(".")
            path.rename(path.with_name(".".join(["app.log", str(int(number) + 1), *packed])))
        self.log.rename(self.log.with_name("app.log.1"))
        append(self.log, text())

    def plain(self) -> list[Path]:
        return sorted(path for path in self.folder.glob("app.log.*") if path.suffix != ".gz")

    def compress_the_newest(self) -> None:
        for path in self.plain()[:1]:
            compress(path)

    def compress_the_oldest(self) -> None:
        for path in self.plain()[-1:]:
            compress(path)

    def compress_and_keep(self) -> None:
        for path in self.plain()[-1:]:
            if not path.with_name(path.name + ".gz").exists():
                compress(path, keep=True)

    def bring(self) -> None:
        """An archive that was never here, as a restored one."""
        name = f"app.log.{1000 + next(self.numbers)}.gz"
        pack(self.folder / name, text(*self.unique(5)))

    def bring_an_empty_day(self) -> None:
        pack(self.folder / f"app.log.{1000 + next(self.numbers)}.gz", text())

    def delete_the_oldest(self) -> None:
        for path in [*self.plain(), *sorted(self.folder.glob("app.log.*.gz"))][-1:]:
            self.delete(path)

    def delete_an_empty_day(self) -> None:
        for path in self.plain():
            if path.read_text() == text():
                self.delete(path)

    def delete(self, path: Path) -> None:
        content = gzip.decompress(path.read_bytes()).decode() if path.suffix == ".gz" else path.read_text()
        if all(set(content.splitlines()) - {HEADER} <= set(each.values()) for each in self.stored.values()):
            path.unlink()

    def take(self) -> None:
        self.reader.catalogue.sweep()
        self.store(SINK)

    def take_some(self) -> None:
        self.reader.catalogue.sweep()
        self.store(SINK, 50)

    def take_late(self) -> None:
        self.reader.catalogue.sweep()
        self.store("late")

    def store(self, sink: str, most: int = 1_000_000) -> None:
        for line, key in self.reader.read_ids(most, sink):
            assert self.stored[sink].setdefault(key, line) == line, "two lines with one id"

    def look(self) -> None:
        self.reader.catalogue.sweep()

    def wait(self) -> None:
        self.reader.wait()

    def restart(self) -> None:
        self.reader.restart()

    def kill(self) -> None:
        self.reader.kill()
        self.reader.start()


ACTIONS = [name for name in vars(Days) if not name.startswith("_")]
CHOSEN = sorted(set(ACTIONS) - {"unique", "plain", "delete", "store", "lines", "stored", "folder"})


@settings(deadline=None, max_examples=60)
@given(st.lists(st.sampled_from(CHOSEN), min_size=5, max_size=40))
def test_whatever_begins_alike_every_line_is_stored_once(actions: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        days = Days(Path(folder))
        for action in actions:
            getattr(days, action)()
        for _ in range(4):
            days.take()
            days.take_late()
            days.wait()
        days.restart()
        days.take()
        days.take_late()
        days.reader.kill()

        found = {sink: sorted(line for line in each.values() if line != HEADER) for sink, each in days.stored.items()}
        assert found == dict.fromkeys(days.stored, sorted(days.lines))
        # deleted after the last look of a run: whether there is a copy only the next one can tell
        assert {reason for reason, _ in days.reader.lost} <= {"held"}
