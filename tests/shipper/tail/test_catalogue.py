"""tail/catalogue.py and copies.py: what happens to files, one test each (SHIPPING.md section 5)."""

import errno
import os
import time
from pathlib import Path

import pytest
from tailing import SINK, Reader, append, copytruncate
from topmast_shipper.checkpoint import FileRecord
from topmast_shipper.tail.catalogue import Catalogue
from topmast_shipper.tail.follow import Follow


def test_what_is_there_and_what_comes(reader: Reader, log: Path) -> None:
    assert reader.read() == []
    append(log, "one\ntwo\n")
    assert reader.read() == ["one", "two"]
    append(log, "three\n")
    assert reader.read() == ["three"]
    assert reader.read() == []


def test_a_restart_goes_on_where_it_was(reader: Reader, log: Path) -> None:
    append(log, "one\ntwo\n")
    assert reader.read() == ["one", "two"]
    append(log, "three\n")

    reader.restart()

    assert reader.read() == ["three"]


def test_an_unfinished_line_waits_for_its_end(reader: Reader, log: Path) -> None:
    append(log, "one\nhal")
    assert reader.read() == ["one"]

    reader.restart()
    assert reader.read() == []
    append(log, "f\n")

    assert reader.read() == ["half"]


def test_a_folder_that_is_not_there_yet(tmp_path: Path) -> None:
    reader = Reader(tmp_path, ("later/*.log",))
    assert reader.read() == []

    (tmp_path / "later").mkdir()
    append(tmp_path / "later" / "app.log", "one\n")

    assert reader.read() == ["one"]


def test_the_id_of_a_line_does_not_change_while_the_file_grows(reader: Reader, log: Path) -> None:
    append(log, "one\n")
    reader.catalogue.sweep()
    first = reader.catalogue.sources()[0].stream
    append(log, "two\n" * 1000)
    reader.catalogue.sweep()

    reader.restart()
    reader.catalogue.sweep()

    assert [source.stream for source in reader.catalogue.sources()] == [first]


def test_a_lost_checkpoint_reads_the_same_ids_again(reader: Reader, log: Path, tmp_path: Path) -> None:
    append(log, "one\ntwo\n")
    reader.catalogue.sweep()
    before = reader.read_ids()
    reader.kill()
    (tmp_path / "state" / "checkpoint.log").unlink()

    reader.start()
    reader.catalogue.sweep()

    assert reader.read_ids() == before


class TestRename:
    def test_the_old_file_is_read_to_its_end(self, reader: Reader, log: Path) -> None:
        append(log, "one\n")
        assert reader.read() == ["one"]
        append(log, "two\n")
        log.rename(log.with_name("app.log.1"))
        append(log, "three\n")

        assert sorted(reader.read()) == ["three", "two"]

    def test_the_writer_goes_on_in_the_old_file(self, reader: Reader, log: Path) -> None:
        append(log, "one\n")
        reader.read()
        log.rename(log.with_name("app.log.1"))
        assert reader.read() == []
        append(log.with_name("app.log.1"), "two\n")

        assert reader.read() == ["two"]

    def test_out_of_the_patterns(self, tmp_path: Path, log: Path) -> None:
        reader = Reader(tmp_path, ("app.log",))
        append(log, "one\n")
        reader.read()
        append(log, "two\n")
        log.rename(tmp_path / "old.txt")
        append(log, "three\n")

        assert sorted(reader.read()) == ["three", "two"]

    @pytest.mark.parametrize(
        "patterns", [("app.log*",), ("app.log",)], ids=["in the patterns", "out of the patterns"]
    )
    def test_while_we_are_away(self, tmp_path: Path, log: Path, patterns: tuple[str, ...]) -> None:
        reader = Reader(tmp_path, patterns)
        append(log, "one\n")
        reader.read()
        reader.kill()
        append(log, "two\n")
        log.rename(log.with_name("app.log.1"))
        append(log, "three\n")

        reader.start()

        assert reader.read() == ["two", "three"]

    def test_several_times_while_we_are_away(self, reader: Reader, log: Path) -> None:
        append(log, "0\n")
        reader.read()
        reader.kill()
        for number in range(1, 4):
            append(log, f"{number}\n")
            for old in (2, 1):
                path = log.with_name(f"app.log.{old}")
                if path.exists():
                    path.rename(log.with_name(f"app.log.{old + 1}"))
            log.rename(log.with_name("app.log.1"))
        append(log, "4\n")

        reader.start()

        assert sorted(reader.read()) == ["1", "2", "3", "4"]

    def test_the_last_line_of_the_old_file_goes_unterminated_when_nobody_ends_it(
        self, reader: Reader, log: Path
    ) -> None:
        append(log, "one\nhalf")
        reader.read()
        log.rename(log.with_name("app.log.1"))
        append(log, "two\n")
        assert reader.read() == ["two"]

        reader.wait()

        assert reader.read() == ["half"]

    def test_a_file_that_nobody_rotated_keeps_its_unfinished_line(self, reader: Reader, log: Path) -> None:
        append(log, "half")

        reader.wait(60)

        assert reader.read() == []


class TestCopytruncate:
    def test_the_copy_is_not_read_again(self, reader: Reader, log: Path) -> None:
        append(log, "one\ntwo\n")
        reader.read()
        copytruncate(log, log.with_name("app.log.1"))
        append(log, "three\n")

        assert reader.read() == ["three"]
        reader.wait(120)
        assert reader.read() == []

    def test_what_was_unread_is_read_from_the_copy_under_the_same_ids(self, reader: Reader, log: Path) -> None:
        append(log, "one\ntwo\nthree\n")
        reader.read(most=1)
        stream = reader.catalogue.sources()[0].stream
        copytruncate(log, log.with_name("app.log.1"))
        append(log, "four\n")

        reader.catalogue.sweep()
        found = dict(reader.read_ids())

        assert sorted(found) == ["four", "three", "two"]
        assert found["three"].startswith(stream)
        assert not found["four"].startswith(stream)

    def test_the_copy_has_a_name_that_no_pattern_matches(self, tmp_path: Path, log: Path) -> None:
        reader = Reader(tmp_path, ("app.log",))
        append(log, "one\ntwo\nthree\n")
        reader.read(most=1)
        copytruncate(log, log.with_name("app.log.1"))
        append(log, "four\n")

        assert sorted(reader.read()) == ["four", "three", "two"]

    def test_while_we_are_away(self, reader: Reader, log: Path) -> None:
        append(log, "one\ntwo\n")
        reader.read()
        reader.kill()
        append(log, "three\n")
        copytruncate(log, log.with_name("app.log.1"))
        append(log, "four\n")

        reader.start()

        assert sorted(reader.read()) == ["four", "three"]
        reader.restart()
        assert reader.read() == []

    def test_while_we_are_away_and_grown_past_our_place(self, reader: Reader, log: Path) -> None:
        append(log, "one\ntwo\n")
        reader.read()
        reader.kill()
        copytruncate(log, log.with_name("app.log.1"))
        append(log, "three\nfour\nfive\nsix\n")

        reader.start()

        assert sorted(reader.read()) == ["five", "four", "six", "three"]

    def test_a_copy_that_is_still_being_written_waits(self, reader: Reader, log: Path) -> None:
        lines = [f"{number}" for number in range(1000)]
        append(log, "".join(f"{line}\n" for line in lines))
        assert reader.read() == lines
        copy = log.with_name("app.log.1")
        copy.write_bytes(log.read_bytes()[:2048])
        assert reader.read() == []
        copytruncate(log, copy)
        append(log, "new\n")

        assert reader.read() == ["new"]

    def test_a_copy_that_is_written_while_we_look_at_it(self, reader: Reader, log: Path) -> None:
        copy = log.with_name("app.log.1")
        log.write_text("one\ntwo\n")
        reader.read()
        copy.touch()

        def written_meanwhile() -> float:
            """Its size is known by now, its first line not yet."""
            reader.wall = time.time
            copytruncate(log, copy)
            return time.time()

        reader.wall = written_meanwhile
        first = reader.read()
        reader.wait()

        assert copy.read_text() == "one\ntwo\n"
        assert (first, reader.read()) == ([], [])

    def test_killed_between_the_copy_and_the_truncation(self, reader: Reader, log: Path) -> None:
        append(log, "one\n")
        reader.read()
        log.with_name("app.log.1").write_bytes(log.read_bytes())
        assert reader.read() == []
        reader.kill()
        os.truncate(log, 0)
        append(log, "two\n")

        reader.start()

        assert reader.read() == ["two"]

    def test_twice(self, reader: Reader, log: Path) -> None:
        append(log, "one\n")
        assert reader.read() == ["one"]
        copytruncate(log, log.with_name("app.log.1"))
        append(log, "two\n")
        assert reader.read() == ["two"]
        log.with_name("app.log.1").rename(log.with_name("app.log.2"))
        copytruncate(log, log.with_name("app.log.1"))
        append(log, "three\n")
        assert reader.read() == ["three"]

        reader.restart()
        reader.wait(120)

        assert reader.read() == []


class TestTruncation:
    def test_a_shorter_content_is_a_new_one(self, reader: Reader, log: Path) -> None:
        append(log, "one\ntwo\n")
        reader.read()
        log.write_text("new\n")

        assert reader.read() == ["new"]

    def test_grown_past_our_place_between_two_looks(self, reader: Reader, log: Path) -> None:
        append(log, "one\ntwo\n")
        reader.read()
        with log.open("r+") as file:
            file.truncate(0)
            file.write("three\nfour\nfive\n")

        found = reader.read() + reader.read()

        assert found == ["three", "four", "five"]

    def test_another_content_before_the_first_read_is_not_read_as_the_old_one(
        self, reader: Reader, log: Path
    ) -> None:
        append(log, "one\ntwo\n")
        reader.catalogue.sweep()
        with log.open("r+") as file:
            file.truncate(0)
            file.write("three\nfour\n")
        assert reader.read_ids() == []

        assert reader.read() == ["three", "four"]

    def test_the_same_first_line_is_another_generation(self, reader: Reader, log: Path) -> None:
        append(log, "banner\none\n")
        reader.catalogue.sweep()
        before = reader.read_ids()
        os.truncate(log, 0)
        reader.catalogue.sweep()
        append(log, "banner\n")
        reader.catalogue.sweep()
        after = reader.read_ids()

        assert [line for line, _ in after] == ["banner"]
        assert before[0][1].replace("-0-", "-1-") == after[0][1]

    def test_a_writer_that_goes_on_at_its_old_place_leaves_a_hole(self, reader: Reader, log: Path) -> None:
        with log.open("w") as writer:
            writer.write("one\ntwo\n")
            writer.flush()
            assert reader.read() == ["one", "two"]
            os.truncate(log, 0)
            writer.write("three\n")
            writer.flush()

            assert reader.read() + reader.read() == ["three"]

    def test_unread_bytes_without_a_copy_are_counted_as_lost(self, reader: Reader, log: Path) -> None:
        append(log, "one\ntwo\nthree\n")
        reader.read(most=1)
        os.truncate(log, 0)
        reader.catalogue.sweep()
        assert reader.lost == []

        reader.wait(120)

        assert reader.lost == [("truncated", 10)]

    def test_read_bytes_are_not(self, reader: Reader, log: Path) -> None:
        append(log, "one\n")
        reader.read()
        os.truncate(log, 0)

        reader.wait(120)

        assert reader.lost == []


class TestOthers:
    def test_deleted_while_reading(self, reader: Reader, log: Path) -> None:
        append(log, "one\ntwo\nthree\n")
        reader.read(most=1)
        log.unlink()

        assert reader.read() == ["two", "three"]
        reader.wait(60)
        assert reader.catalogue.open_files == 0

    def test_deleted_and_made_anew_with_the_same_content(self, reader: Reader, log: Path) -> None:
        append(log, "one\n")
        reader.read()
        holder = log.with_name("keeps-the-inode")
        os.link(log, holder)
        log.unlink()
        append(log, "one\n")

        found = reader.read()
        reader.wait(30)

        assert found + reader.read() == ["one"]

    def test_two_names_of_one_file_are_one_file(self, reader: Reader, log: Path) -> None:
        append(log, "one\n")
        log.with_name("app.log.link").symlink_to(log)
        os.link(log, log.with_name("app.log.hard"))

        assert reader.read() == ["one"]

    def test_a_link_that_leads_elsewhere_now_is_a_rotation(self, tmp_path: Path) -> None:
        reader = Reader(tmp_path, ("current",))
        append(tmp_path / "a.log", "one\n")
        (tmp_path / "current").symlink_to("a.log")
        assert reader.read() == ["one"]
        append(tmp_path / "a.log", "two\n")
        append(tmp_path / "b.log", "three\n")
        (tmp_path / "next").symlink_to("b.log")
        (tmp_path / "next").rename(tmp_path / "current")

        assert sorted(reader.read()) == ["three", "two"]

    def test_files_that_begin_alike_are_both_read(self, reader: Reader, log: Path) -> None:
        append(log, "banner\none\n")
        assert reader.read() == ["banner", "one"]
        append(log.with_name("app.log-other"), "banner\ntwo\n")

        found = reader.read()
        reader.wait()

        assert found + reader.read() == ["banner", "two"]

    def test_compressed_files_are_left_alone(self, reader: Reader, log: Path) -> None:
        log.with_name("app.log.2.gz").write_bytes(b"\x1f\x8b\n")

        assert reader.read() == []

    def test_excluded_files_are_left_alone(self, tmp_path: Path, log: Path) -> None:
        reader = Reader(tmp_path, exclude=(str(tmp_path / "*.debug"),))
        append(log, "one\n")
        append(log.with_name("app.log.debug"), "two\n")

        assert reader.read() == ["one"]

    def test_a_folder_or_a_pipe_is_no_log(self, reader: Reader, tmp_path: Path) -> None:
        (tmp_path / "app.log.d").mkdir()
        os.mkfifo(tmp_path / "app.log.pipe")

        assert reader.read() == []

    def test_many_files(self, tmp_path: Path) -> None:
        for number in range(300):
            append(tmp_path / f"app.log.{number}", f"{number}\n")
        reader = Reader(tmp_path)

        assert sorted(reader.read(), key=int) == [str(number) for number in range(300)]

    def test_a_quiet_file_gives_its_descriptor_back_and_is_read_again_when_it_grows(
        self, reader: Reader, log: Path
    ) -> None:
        append(log, "one\n")
        reader.read()
        reader.wait(600)
        assert reader.catalogue.open_files == 0
        append(log, "two\n")

        assert reader.read() == ["two"]

    def test_a_file_of_another_input_is_left_to_it(self, tmp_path: Path, log: Path) -> None:
        append(log, "one\n")
        reader = Reader(tmp_path)
        reader.read()
        names = ["app", "other"]
        other = Catalogue(Follow("other", (str(log),)), reader.checkpoint, [SINK], names, lost=reader.catalogue_lost)

        other.sweep()

        assert other.sources() == []


class TestDeleted:
    def test_before_its_first_line_was_complete_at_the_last_look(self, reader: Reader, log: Path) -> None:
        append(log, "on")
        assert reader.read() == []
        append(log, "e\n")
        log.unlink()

        assert reader.read() == ["one"]

    def test_a_single_line_without_end_goes_when_nobody_will_end_it(self, reader: Reader, log: Path) -> None:
        append(log, "one")
        assert reader.read() == []
        log.unlink()
        reader.wait()

        assert reader.read() == ["one"]

    def test_one_that_is_held_too_long_is_given_up_and_counted(self, tmp_path: Path, log: Path) -> None:
        reader = Reader(tmp_path, hold_deleted_seconds=60.0)
        append(log, "one\n")
        reader.catalogue.sweep()
        log.unlink()

        reader.wait(30)
        assert (reader.catalogue.open_files, reader.lost) == (1, [])
        reader.wait(60)

        assert (reader.catalogue.open_files, reader.lost) == (0, [("held", 4)])

    def test_the_oldest_are_given_up_when_they_take_too_much_space(self, tmp_path: Path, log: Path) -> None:
        reader = Reader(tmp_path, hold_deleted_bytes=10)
        for number in range(3):
            append(log, f"li {number}\n")
            reader.catalogue.sweep()
            log.unlink()
            reader.wait(1)

        assert reader.lost == [("held", 5)]
        assert reader.read() == ["li 1", "li 2"]

    def test_gone_while_it_was_not_open_is_counted(self, tmp_path: Path, log: Path) -> None:
        reader = Reader(tmp_path, max_open_files=1)
        append(log, "one\n")
        append(log.with_name("app.log.1"), "two\n")
        reader.catalogue.sweep()
        log.unlink()
        log.with_name("app.log.1").unlink()
        reader.wait(100)

        found = reader.read()

        assert len(found) == 1
        assert reader.lost == [("deleted", 4)]


class TestOpenFiles:
    def test_no_more_than_allowed_whatever_is_unread(self, tmp_path: Path) -> None:
        for number in range(40):
            append(tmp_path / f"app.log.{number}", f"{number}\n")
        reader = Reader(tmp_path, max_open_files=8)
        reader.catalogue.sweep()
        assert reader.catalogue.open_files <= 8

        found = reader.read()

        assert sorted(found, key=int) == [str(number) for number in range(40)]
        assert reader.catalogue.open_files <= 8

    def test_one_that_was_renamed_while_it_was_not_open(self, tmp_path: Path, log: Path) -> None:
        reader = Reader(tmp_path, max_open_files=1)
        append(log, "one\n")
        append(log.with_name("app.log.1"), "two\n")
        assert sorted(reader.read()) == ["one", "two"]
        append(log, "three\n")
        log.rename(log.with_name("elsewhere.log"))
        append(log.with_name("app.log.1"), "four\n")

        assert sorted(reader.read()) == ["four", "three"]


def test_what_a_link_led_to_is_found_again_after_a_restart(tmp_path: Path) -> None:
    (tmp_path / "pods").mkdir()
    reader = Reader(tmp_path, ("current",))
    append(tmp_path / "pods" / "a.log", "one\n")
    (tmp_path / "current").symlink_to("pods/a.log")
    assert reader.read() == ["one"]
    reader.kill()
    append(tmp_path / "pods" / "a.log", "two\n")
    append(tmp_path / "pods" / "b.log", "three\n")
    (tmp_path / "next").symlink_to("pods/b.log")
    (tmp_path / "next").rename(tmp_path / "current")
    reader.start()

    assert reader.read() == ["two", "three"]
    append(tmp_path / "pods" / "a.log", "four\n")
    reader.restart()
    assert reader.read() == ["four"]


def test_a_copy_whose_original_is_gone_since_the_last_run_is_gone_on_with(reader: Reader, log: Path) -> None:
    append(log, "one\ntwo\nthree\n")
    reader.catalogue.sweep()
    first = reader.read_ids(1)
    reader.kill()
    log.with_name("app.log.1").write_bytes(log.read_bytes())
    log.unlink()
    reader.start()
    reader.catalogue.sweep()

    found = first + reader.read_ids()

    assert [line for line, _ in found] == ["one", "two", "three"]
    assert len({key.rpartition("-")[0] for _, key in found}) == 1


def test_a_copy_whose_name_finds_no_room_at_first_keeps_it(
    reader: Reader, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    append(log, "one\n")
    reader.catalogue.sweep()
    ((_, first),) = reader.read_ids()
    append(log, "two\n")
    copytruncate(log, log.with_name("app.log.1"))
    full, remember = [True], reader.checkpoint.remember

    def refusing(record: FileRecord) -> None:
        if full[0]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        remember(record)

    monkeypatch.setattr(reader.checkpoint, "remember", refusing)
    with pytest.raises(OSError, match="No space"):
        reader.catalogue.sweep()
    full[0] = False
    reader.catalogue.sweep()

    ((line, again),) = reader.read_ids()
    assert (line, again[:16]) == ("two", first[:16])
