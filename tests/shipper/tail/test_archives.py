"""tail/archive.py and archives.py: compressed logs, as rotation leaves them."""

import gzip
import os
import random
import resource
from dataclasses import replace
from pathlib import Path

import pytest
from tailing import SINK, Reader, append, copytruncate
from topmast_shipper.tail.archive import Archive
from topmast_shipper.tail.descriptors import Descriptors

LINES = [f"line {number} {'x' * (number % 50)}" for number in range(400)]


def compress(path: Path, keep: bool = False) -> Path:
    """What gzip does: the compressed file is whole before the plain one goes."""
    packed = path.with_name(path.name + ".gz")
    packed.write_bytes(gzip.compress(path.read_bytes(), mtime=0))
    if not keep:
        path.unlink()
    return packed


def opened(folder: Path) -> list[str]:
    """Return the compressed files there that this process has open."""
    links = [str(each.readlink()) for each in Path("/proc/self/fd").iterdir() if each.is_symlink()]
    return [each for each in links if each.startswith(str(folder)) and ".gz" in each]


def rotated(log: Path, number: int = 1) -> Path:
    return log.rename(log.with_name(f"app.log.{number}"))


class TestArchive:
    def opened(self, path: Path) -> Archive:
        status = path.stat()
        archive = Archive(
            str(path), status.st_dev, status.st_ino, -1, max_line_bytes=1024, descriptors=Descriptors(8)
        )
        archive.measure()
        return archive

    @pytest.mark.parametrize("members", [1, 3])
    def test_bytes_at_any_place(self, tmp_path: Path, members: int) -> None:
        chance = random.Random(7)
        pieces = [chance.randbytes(300_000) for _ in range(members)]
        path, plain = tmp_path / "a.gz", b"".join(pieces)
        path.write_bytes(b"".join(map(gzip.compress, pieces)) + bytes(512))
        archive = self.opened(path)

        assert (archive.size, archive.complete) == (len(plain), True)
        for _ in range(40):
            offset, length = chance.randrange(len(plain)), chance.randrange(1, 70_000)
            assert archive.bytes_at(offset, length) == plain[offset : offset + length]
        archive.close()

    @pytest.mark.parametrize("cut", [5, 100])
    def test_one_that_is_being_written_is_not_complete(self, tmp_path: Path, cut: int) -> None:
        path = tmp_path / "a.gz"
        path.write_bytes(gzip.compress(random.Random(7).randbytes(1000))[:-cut])

        archive = self.opened(path)

        assert not archive.complete
        archive.close()


class TestArchives:
    def test_one_that_was_never_seen_is_read_once(self, reader: Reader, log: Path) -> None:
        append(log, "one\ntwo\n")
        compress(rotated(log))

        assert reader.read() == ["one", "two"]
        reader.restart()
        assert reader.read() == []

    def test_its_last_line_needs_no_end(self, reader: Reader, log: Path) -> None:
        append(log, "one\ntwo")
        compress(rotated(log))

        assert reader.read() == ["one", "two"]

    def test_the_copy_of_what_was_read_is_not_read_again(self, reader: Reader, log: Path) -> None:
        append(log, "one\ntwo\n")
        assert reader.read() == ["one", "two"]
        compress(rotated(log))
        append(log, "three\n")

        assert reader.read() == ["three"]
        reader.wait()
        assert reader.read() == []
        reader.restart()
        assert reader.read() == []

    def test_while_we_are_away_it_goes_on_where_we_were_under_the_same_ids(self, reader: Reader, log: Path) -> None:
        append(log, "\n".join(LINES) + "\n")
        reader.catalogue.sweep()
        first = reader.read_ids(150)
        reader.kill()
        compress(rotated(log))
        append(log, "new\n")
        reader.start()

        reader.catalogue.sweep()
        found = first + reader.read_ids()

        assert [line for line, _ in found] == [*LINES, "new"]
        assert len({key[:18] for _, key in found[: len(LINES)]}) == 1
        assert reader.lost == []

    def test_a_kill_in_the_middle_of_it(self, reader: Reader, log: Path) -> None:
        append(log, "\n".join(LINES) + "\n")
        reader.catalogue.sweep()
        found = reader.read_ids(100)
        reader.kill()
        compress(rotated(log))
        for _ in range(3):
            reader.start()
            reader.catalogue.sweep()
            found += reader.read_ids(100)
            reader.kill()
        reader.start()
        reader.catalogue.sweep()
        found += reader.read_ids()

        assert [line for line, _ in found] == LINES

    def test_beside_a_pattern_that_does_not_match_it(self, tmp_path: Path, log: Path) -> None:
        reader = Reader(tmp_path, ("app.log",))
        append(log, "one\ntwo\nthree\n")
        append(log.with_name("app.log.old"), "another\n")
        compress(log.with_name("app.log.old"))
        reader.catalogue.sweep()
        first = reader.read_ids(1)
        reader.kill()
        compress(rotated(log))
        reader.start()

        assert [line for line, _ in first] + reader.read() == ["one", "two", "three"]

    def test_a_kill_in_the_middle_of_one_beside_the_pattern(self, tmp_path: Path, log: Path) -> None:
        reader = Reader(tmp_path, ("app.log",))
        append(log, "\n".join(LINES) + "\n")
        reader.catalogue.sweep()
        found = reader.read_ids(10)
        reader.kill()
        compress(rotated(log))
        for _ in range(2):
            reader.start()
            reader.catalogue.sweep()
            found += reader.read_ids(10)
            reader.kill()
        reader.start()
        reader.catalogue.sweep()

        assert [line for line, _ in found + reader.read_ids()] == LINES

    def test_the_inode_of_the_original_belongs_to_another_by_now(self, reader: Reader, log: Path) -> None:
        append(log, "one\ntwo\n")
        reader.catalogue.sweep()
        first = reader.read_ids(1)
        reader.catalogue.close()
        (record,) = reader.checkpoint.files()
        reader.checkpoint.remember(replace(record, stream="x" * 16, path="another"))
        reader.kill()
        compress(rotated(log))
        reader.start()

        assert [line for line, _ in first] + reader.read() == ["one", "two"]

    def test_while_the_original_is_there_the_copy_waits(self, reader: Reader, log: Path) -> None:
        append(log, "one\n")
        assert reader.read() == ["one"]
        plain = rotated(log)
        compress(plain, keep=True)
        append(plain, "two\n")

        assert reader.read() == ["two"]
        plain.unlink()
        reader.wait()
        assert reader.read() == []

    def test_deleted_while_it_is_open_it_is_read_there_and_not_again(self, reader: Reader, log: Path) -> None:
        append(log, "one\ntwo\n")
        reader.catalogue.sweep()
        compress(rotated(log))

        found = reader.read()
        reader.wait()

        assert found + reader.read() == ["one", "two"]

    def test_deleted_before_it_had_a_name_it_is_read_where_it_is_open_and_not_again(
        self, reader: Reader, log: Path
    ) -> None:
        append(log, "one\n")
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
        with pytest.raises(OSError, match="too large"):
            reader.catalogue.sweep()  # it is open, and its name cannot be stored
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        compress(rotated(log))

        found = reader.read()
        reader.wait()

        assert found + reader.read() == ["one"]

    def test_copytruncate_and_gzip_while_we_are_away(self, reader: Reader, log: Path) -> None:
        append(log, "\n".join(LINES) + "\n")
        reader.catalogue.sweep()
        first = [line for line, _ in reader.read_ids(10)]
        reader.kill()
        copytruncate(log, log.with_name("app.log.1"))
        compress(log.with_name("app.log.1"))
        append(log, "new\n")
        reader.start()

        assert sorted(first + reader.read()) == sorted([*LINES, "new"])

    def test_one_that_is_being_written_waits(self, reader: Reader, log: Path) -> None:
        whole = gzip.compress(b"one\n")
        log.with_name("app.log.1.gz").write_bytes(whole[:-4])
        assert reader.read() == []
        log.with_name("app.log.1.gz").write_bytes(whole)

        assert reader.read() == ["one"]

    def test_of_a_damaged_one_the_beginning_is_read_and_the_damage_counted(self, reader: Reader, log: Path) -> None:
        path = log.with_name("app.log.1.gz")
        path.write_bytes(gzip.compress(b"one\n" * 10)[:-4])
        os.utime(path, (0, 0))

        assert reader.read() == ["one"] * 10
        assert reader.lost == [("damaged", 0)]

    def test_renamed_it_is_the_same(self, reader: Reader, log: Path) -> None:
        append(log, "one\n")
        packed = compress(rotated(log))
        assert reader.read() == ["one"]
        packed.rename(log.with_name("app.log.2.gz"))

        assert reader.read() == []

    def test_many_are_read_a_few_at_a_time(self, reader: Reader, log: Path) -> None:
        for number in range(20):
            append(log, f"{number}\n")
            compress(rotated(log, number))
        found: list[str] = []

        for _ in range(20):
            found += reader.read()
            assert reader.catalogue.open_files <= 8

        assert sorted(found, key=int) == [str(number) for number in range(20)]

    def test_it_is_crowded_while_some_wait_for_others_to_be_read(self, reader: Reader, log: Path) -> None:
        for number in range(20):
            append(log, f"{number}\n")
            compress(rotated(log, number))

        crowded = []
        for _ in range(4):
            reader.catalogue.sweep()
            crowded.append(reader.catalogue.crowded)
            reader.read_ids()

        assert crowded == [True, False, False, False]

    def test_a_sink_that_takes_nothing_holds_up_no_other_and_gets_them_later(self, tmp_path: Path, log: Path) -> None:
        reader = Reader(tmp_path, sinks=(SINK, "late"))
        for number in range(40):
            append(log, f"{number}\n")
            compress(rotated(log, number))
        most, found = 0, []

        for _ in range(5):
            found += reader.read()
            most = max(most, len(opened(tmp_path)))
        for _ in range(5):
            found += reader.read(sink="late")
            most = max(most, len(opened(tmp_path)))
        reader.catalogue.sweep()

        assert sorted(found, key=int) == [str(number // 2) for number in range(80)]
        assert most <= 2 * 16
        assert opened(tmp_path) == []

    def test_one_that_is_deleted_before_the_last_sink_has_it_is_counted(self, tmp_path: Path, log: Path) -> None:
        reader = Reader(tmp_path, sinks=(SINK, "late"), hold_deleted_seconds=100.0)
        for number in range(40):
            append(log, f"{number}\n")
            compress(rotated(log, number))
        for _ in range(5):
            reader.read()

        for number in range(40):
            log.with_name(f"app.log.{number}.gz").unlink()
        reader.wait(300.0)

        # sixteen were open for the late one, and held; the others were set aside
        assert sorted(reason for reason, _ in reader.lost) == ["deleted"] * 24 + ["held"] * 16
        assert opened(tmp_path) == []

    def test_one_that_nobody_takes_keeps_it_crowded(self, reader: Reader, log: Path) -> None:
        for number in range(20):
            append(log, f"{number}\n")
            compress(rotated(log, number))

        assert [(reader.catalogue.sweep(), reader.catalogue.crowded) for _ in range(3)] == [
            (True, True),
            (False, True),
            (False, True),
        ]
