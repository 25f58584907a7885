"""tail/deleted.py: files that have no name any more, over a reload and at the end."""

import gzip
import os
from pathlib import Path

from tailing import SINK, Reader, append


class TestReload:
    def test_what_left_its_folder_is_read_to_its_end(self, reader: Reader, log: Path, tmp_path: Path) -> None:
        append(log, "one\n")
        reader.read()
        append(log, "two\n")
        (tmp_path / "kept").mkdir()
        log.rename(tmp_path / "kept" / "app.log")

        reader.catalogue.go_on(reader.follow, [SINK], ["app"])

        assert reader.read() == ["two"]

    def test_what_is_held_is_held_no_longer_for_it(self, tmp_path: Path, log: Path) -> None:
        reader = Reader(tmp_path, hold_deleted_seconds=100.0)
        append(log, "one\n")
        reader.catalogue.sweep()
        log.unlink()
        reader.wait(60.0)

        reader.catalogue.go_on(reader.follow, [SINK], ["app"])
        reader.wait(60.0)

        assert reader.lost == [("held", 4)]

    def test_a_file_like_one_that_is_held_is_its_own(self, reader: Reader, log: Path) -> None:
        append(log, "one\ntwo\n")
        reader.catalogue.sweep()
        log.unlink()
        reader.catalogue.sweep()

        reader.catalogue.go_on(reader.follow, [SINK], ["app"])
        append(log, "one\ntwo\n")
        found = reader.read()
        reader.wait()

        assert found + reader.read() == ["one", "two"] * 2

    def test_what_was_truncated_unread_is_counted_all_the_same(self, reader: Reader, log: Path) -> None:
        append(log, "one\n")
        reader.catalogue.sweep()
        os.truncate(log, 0)
        reader.catalogue.sweep()

        reader.catalogue.go_on(reader.follow, [SINK], ["app"])
        reader.wait(120.0)

        assert reader.lost == [("truncated", 4)]

    def test_a_new_sink_gets_what_is_there(self, reader: Reader, log: Path) -> None:
        append(log, "one\n")
        log.with_name("app.log.1.gz").write_bytes(gzip.compress(b"old\n"))
        assert sorted(reader.read()) == ["old", "one"]
        reader.wait(600.0)

        reader.catalogue.go_on(reader.follow, [SINK, "new"], ["app"])
        reader.catalogue.sweep()
        places = [(each.stream, each.generation) for each in reader.catalogue.sources()]

        assert len(places) == 2


class TestEnd:
    def test_a_deleted_file_that_is_unread_is_counted(self, reader: Reader, log: Path) -> None:
        append(log, "one\n")
        append(log.with_name("app.log.1"), "two\n")
        reader.catalogue.sweep()
        log.unlink()

        reader.kill()

        assert reader.lost == [("held", 4)]

    def test_one_whose_compressed_copy_is_there_is_not(self, reader: Reader, log: Path) -> None:
        append(log, "one\n")
        reader.catalogue.sweep()
        log.with_name("app.log.1.gz").write_bytes(gzip.compress(log.read_bytes()))
        log.unlink()
        reader.catalogue.sweep()

        reader.kill()
        reader.start()

        assert (reader.read(), reader.lost) == (["one"], [])
