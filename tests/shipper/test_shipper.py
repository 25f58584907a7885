"""shipper.py: a whole shipper in this process, on real files, from the line to the search."""

import errno
import gzip
import os
import select
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import orjson
import pytest
from topmast_shipper import search
from topmast_shipper.config import Component, ShipperConfig, parse
from topmast_shipper.errors import ConfigError, StateError
from topmast_shipper.shipper import POLL_SECONDS, Shipper
from topmast_shipper.tail import watch
from topmast_shipper.tail.watch import Watch

DEADLINE_SECONDS = 30.0


def configured(folder: Path, **changes: Any) -> ShipperConfig:
    section = {
        "listen": "",
        "data": "data",
        "inputs": [{"file": {"name": "app", "paths": ["in/*.log*"], "parser": "json_lines", "service": "shop"}}],
        "sinks": [{"sqlite": {"path": str(folder / "logs")}}],
    }
    return parse(section | changes, base=folder)


@contextmanager
def shipping(config: ShipperConfig, **clocks: Callable[[], float]) -> Iterator[Shipper]:
    shipper = Shipper(config, **clocks)
    thread = threading.Thread(target=shipper.run)
    thread.start()
    try:
        yield shipper
    finally:
        shipper.stop()
        thread.join(DEADLINE_SECONDS)
        assert not thread.is_alive()


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "not in time"
        select.select([], [], [], 0.01)


def write(path: Path, *messages: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        file.writelines(f'{{"message": "{message}", "level": "info"}}\n' for message in messages)


def messages(folder: Path, query: str = "") -> list[str]:
    return [each["message"] for each in reversed(search.search(folder / "logs", query))]


def metrics(shipper: Shipper) -> dict[str, float]:
    """Return the samples by name, summed over their labels."""
    found: dict[str, float] = {}
    for family in shipper.telemetry.collect():
        for sample in family.samples:
            found[sample.name] = found.get(sample.name, 0) + sample.value
    return found


@pytest.mark.parametrize(
    ("patterns", "data", "sink"),
    [
        pytest.param(["in/*"], "data", {"file": {"path": "in/out.json"}}, id="the sink's file"),
        pytest.param(["in/*.log*"], "data", {"file": {"path": "in/shipped.log"}}, id="a log as well"),
        pytest.param(["in/**"], "in/data", {"sqlite": {"path": "in/logs"}}, id="data and a store"),
    ],
)
def test_what_it_writes_itself_is_never_read(
    tmp_path: Path, patterns: list[str], data: str, sink: dict[str, Any]
) -> None:
    config = configured(tmp_path, data=data, inputs=[{"file": {"name": "app", "paths": patterns}}], sinks=[sink])
    for _start in range(2):
        with shipping(config) as shipper:
            for number in range(1, 6):
                write(tmp_path / "in" / "app.log", str(number))
                until(lambda: metrics(shipper)["shipper_events_sent_total"] >= number)  # noqa: B023 - called at once

            assert metrics(shipper)["shipper_events_read_total"] == 5


def test_a_file_that_becomes_a_sink_s_is_read_no_more(tmp_path: Path) -> None:
    before = configured(tmp_path, inputs=[{"file": {"name": "app", "paths": ["in/*"], "parser": "json_lines"}}])
    write(tmp_path / "in" / "app.log", "one")
    write(tmp_path / "in" / "out.json", "two")
    with shipping(before) as shipper:
        until(lambda: sorted(messages(tmp_path)) == ["one", "two"])
        after = replace(
            before, sinks=(*before.sinks, Component("file", "out", {"path": str(tmp_path / "in/out.json")}))
        )
        shipper.reload(lambda: after)
        for number in range(3, 6):
            write(tmp_path / "in" / "app.log", str(number))
            until(lambda: len((tmp_path / "in" / "out.json").read_text().splitlines()) >= number)  # noqa: B023 - as above
            until(lambda: len(messages(tmp_path)) >= number)  # noqa: B023 - as above

        assert messages(tmp_path)[2:] == ["3", "4", "5"]


def test_a_line_is_found_and_counted(tmp_path: Path) -> None:
    with shipping(configured(tmp_path)) as shipper:
        write(tmp_path / "in" / "app.log", "one", "two")
        until(lambda: messages(tmp_path) == ["one", "two"])
        until(lambda: metrics(shipper)["shipper_oldest_unsent_seconds"] == 0)

        found = metrics(shipper)

    assert found["shipper_events_read_total"] == 2
    assert found["shipper_events_sent_total"] == 2
    assert found["log_events_total"] == 2
    assert found["shipper_lag_bytes"] == 0
    assert found["shipper_files_open"] == 1
    assert found["shipper_lost_total"] == 0


def test_files_that_rotate_while_it_runs(tmp_path: Path) -> None:
    log = tmp_path / "in" / "app.log"
    with shipping(configured(tmp_path)):
        for number in range(5):
            write(log, f"line {number}")
            until(lambda count=number + 1: len(messages(tmp_path)) == count)  # type: ignore[misc]  # bound at once
            log.rename(log.with_name(f"app.log.{number}"))

    assert messages(tmp_path) == [f"line {number}" for number in range(5)]


def test_a_restart_goes_on(tmp_path: Path) -> None:
    write(tmp_path / "in" / "app.log", "one")
    with shipping(configured(tmp_path)):
        until(lambda: messages(tmp_path) == ["one"])
    write(tmp_path / "in" / "app.log", "two")

    with shipping(configured(tmp_path)) as shipper:
        until(lambda: messages(tmp_path) == ["one", "two"])

        assert metrics(shipper)["shipper_events_read_total"] == 1


def test_a_file_whose_name_is_no_utf_8(tmp_path: Path) -> None:
    odd = tmp_path / "in" / os.fsdecode(b"caf\xe9.log")
    out = tmp_path / "out.ndjson"
    sinks = [{"sqlite": {"path": str(tmp_path / "logs")}}, {"file": {"path": str(out)}}]
    for number in range(2):
        with shipping(configured(tmp_path, sinks=sinks)):
            write(odd, f"odd {number}")
            write(tmp_path / "in" / "app.log", f"usual {number}")
            count = 2 * number + 2
            until(lambda count=count: len(messages(tmp_path)) == count)  # type: ignore[misc]  # bound at once
            until(lambda count=count: out.exists() and out.read_bytes().count(b"\n") == count)  # type: ignore[misc]  # as above

    stored, written = (
        {each["message"]: each["log"]["file"]["path"] for each in found}
        for found in (search.search(tmp_path / "logs", ""), map(orjson.loads, out.read_bytes().splitlines()))
    )
    place = f"{tmp_path}/in/caf\\xe9.log"
    assert stored == written
    assert [stored["odd 0"], stored["odd 1"]] == [place, place]
    assert sorted(stored) == ["odd 0", "odd 1", "usual 0", "usual 1"]


def test_two_sinks_each_get_everything(tmp_path: Path) -> None:
    out = tmp_path / "out.ndjson"
    sinks = [{"sqlite": {"path": str(tmp_path / "logs")}}, {"file": {"path": str(out)}}]
    write(tmp_path / "in" / "app.log", "one", "two")

    with shipping(configured(tmp_path, sinks=sinks)) as shipper:
        until(lambda: messages(tmp_path) == ["one", "two"])
        until(lambda: out.exists() and len(out.read_text().splitlines()) == 2)

        until(lambda: metrics(shipper)["log_events_total"] == 2)


def test_a_dead_sink_does_not_hold_up_another(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    sinks = [
        {"file": {"name": "dead", "path": str(tmp_path / "taken" / "out.ndjson")}},
        {"sqlite": {"path": str(tmp_path / "logs")}},
    ]
    write(tmp_path / "in" / "app.log", "one")

    with shipping(configured(tmp_path, sinks=sinks)) as shipper:
        until(lambda: messages(tmp_path) == ["one"])
        write(tmp_path / "in" / "app.log", "two")
        until(lambda: messages(tmp_path) == ["one", "two"])

        assert metrics(shipper)["shipper_lag_bytes"] > 0
        assert metrics(shipper)["shipper_send_errors_total"] > 0


def test_a_reload_takes_the_new_inputs_and_keeps_the_place(tmp_path: Path) -> None:
    write(tmp_path / "in" / "app.log", "one")
    inputs = [
        {"file": {"name": "app", "paths": ["in/*.log*"], "parser": "json_lines"}},
        {"file": {"name": "more", "paths": ["more/*.log"], "parser": "json_lines"}},
    ]
    with shipping(configured(tmp_path)) as shipper:
        until(lambda: messages(tmp_path) == ["one"])

        shipper.reload(lambda: configured(tmp_path, inputs=inputs))
        write(tmp_path / "more" / "a.log", "two")
        until(lambda: messages(tmp_path) == ["one", "two"])
        write(tmp_path / "in" / "app.log", "three")
        until(lambda: messages(tmp_path) == ["one", "two", "three"])

        assert metrics(shipper)["shipper_events_read_total"] == 3


def test_lines_written_during_reloads_arrive_once_and_in_order(tmp_path: Path) -> None:
    log = tmp_path / "in" / "app.log"
    written: list[str] = []
    over = threading.Event()

    def write_on() -> None:
        while not over.wait(0.002):
            written.append(f"line {len(written)}")
            write(log, written[-1])

    writer = threading.Thread(target=write_on)
    with shipping(configured(tmp_path)) as shipper:
        writer.start()
        for _ in range(5):
            loaded = threading.Event()

            def load(loaded: threading.Event = loaded) -> ShipperConfig:
                loaded.set()
                return configured(tmp_path)

            count = len(written) + 30
            until(lambda count=count: len(written) >= count)  # type: ignore[misc]  # bound at once
            shipper.reload(load)
            assert loaded.wait(DEADLINE_SECONDS)
        over.set()
        writer.join()
        until(lambda: search.count(tmp_path / "logs", "") >= len(written))

    stored = [each["message"] for each in reversed(search.search(tmp_path / "logs", "", limit=len(written) + 10))]
    assert stored == written


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    argv = ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(folder)]
    if os.geteuid() != 0 or subprocess.run(argv, check=False, capture_output=True).returncode != 0:
        pytest.skip("no file system can be mounted here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_holds_up_what_it_must_and_is_counted_and_nothing_is_lost(
    tmp_path: Path, small_disk: Path
) -> None:
    config = configured(
        tmp_path, data=str(small_disk / "data"), sinks=[{"sqlite": {"path": str(small_disk / "logs")}}]
    )
    log = tmp_path / "in" / "app.log"
    with shipping(config) as shipper:
        write(log, "one")
        until(lambda: messages(small_disk) == ["one"])
        with (small_disk / "ballast").open("wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(bytes(4096))

        write(log, *(f"line {number} {'x' * 400}" for number in range(200)))
        until(lambda: metrics(shipper).get("shipper_send_errors_total", 0) > 0)
        assert metrics(shipper)["shipper_lag_bytes"] > 0
        (small_disk / "ballast").unlink()
        until(lambda: search.count(small_disk / "logs", "") == 201)

        assert metrics(shipper)["shipper_lost_total"] == 0


def test_an_unfinished_line_is_unread_and_no_lag(tmp_path: Path) -> None:
    log, ahead = tmp_path / "in" / "app.log", [0.0]
    write(log, "one")
    with log.open("a") as file:
        file.write("an application died in the mi")
    with shipping(configured(tmp_path), clock=lambda: time.monotonic() + ahead[0]) as shipper:
        until(lambda: messages(tmp_path) == ["one"])
        # stored is not settled: the checkpoint comes behind it
        until(lambda: metrics(shipper)["shipper_lag_bytes"] == 29)
        until(lambda: metrics(shipper)["shipper_oldest_unsent_seconds"] > 0)
        ahead[0] = 600.0

        assert metrics(shipper)["shipper_oldest_unsent_seconds"] == 0
        assert metrics(shipper)["shipper_lag_bytes"] == 29


def test_a_line_that_is_not_sent_for_long_is_lag(tmp_path: Path) -> None:
    ahead = [0.0]
    down = configured(tmp_path, sinks=[{"logstash": {"hosts": ["127.0.0.1:1"]}}])
    write(tmp_path / "in" / "app.log", "one")
    with shipping(down, clock=lambda: time.monotonic() + ahead[0]) as shipper:
        until(lambda: metrics(shipper)["shipper_oldest_unsent_seconds"] > 0)
        ahead[0] = 600.0

        assert metrics(shipper)["shipper_oldest_unsent_seconds"] > 600


def test_where_nothing_announces_changes_it_looks_ten_times_a_second(tmp_path: Path, monkeypatch: Any) -> None:
    rests: list[float] = []
    wait = Watch.wait
    monkeypatch.setattr(watch, "_open_notifier", lambda: (None, -1))
    monkeypatch.setattr(Watch, "wait", lambda watch, seconds: (rests.append(seconds), wait(watch, seconds))[1])

    with shipping(configured(tmp_path)):
        until(lambda: len(rests) > 2)
        write(tmp_path / "in" / "app.log", "one")
        until(lambda: messages(tmp_path) == ["one"])

    assert set(rests) == {POLL_SECONDS}


def test_a_file_that_cannot_be_read_is_lag_and_no_end_of_metrics(tmp_path: Path, monkeypatch: Any) -> None:
    log, ahead, pread = tmp_path / "in" / "app.log", [0.0], os.pread
    write(log, "one")
    inode = log.stat().st_ino

    def refusing(descriptor: int, length: int, offset: int) -> bytes:
        if ahead[0] and os.fstat(descriptor).st_ino == inode:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return pread(descriptor, length, offset)

    monkeypatch.setattr(os, "pread", refusing)
    down = configured(tmp_path, sinks=[{"logstash": {"hosts": ["127.0.0.1:1"]}}])
    with shipping(down, clock=lambda: time.monotonic() + ahead[0]) as shipper:
        until(lambda: metrics(shipper)["shipper_oldest_unsent_seconds"] > 0)
        ahead[0] = 600.0

        assert metrics(shipper)["shipper_oldest_unsent_seconds"] > 600


class TestReloadWithADeletedFile:
    """Its lines are in an open descriptor and nowhere else, and no sink has taken them yet."""

    DOWN: ClassVar = [{"file": {"name": "store", "path": "/proc/nowhere/out.ndjson"}}]
    INPUT: ClassVar = {"name": "app", "paths": ["in/*.log*"], "parser": "json_lines"}

    @pytest.fixture
    def shipper(self, tmp_path: Path) -> Iterator[Shipper]:
        log = tmp_path / "in" / "app.log"
        write(log, "one", "two")
        with shipping(configured(tmp_path, sinks=self.DOWN)) as shipper:
            until(lambda: metrics(shipper)["shipper_lag_bytes"] > 0)
            log.unlink()
            yield shipper

    @pytest.mark.parametrize(
        "changed",
        [
            pytest.param({}, id="nothing"),
            pytest.param({"paths": ["elsewhere/*.log"]}, id="its patterns"),
            pytest.param({"parser": "plain", "multiline": "python"}, id="how it is read"),
        ],
    )
    def test_what_is_unread_is_read_after_it(self, shipper: Shipper, tmp_path: Path, changed: dict[str, Any]) -> None:
        shipper.reload(lambda: configured(tmp_path, inputs=[{"file": self.INPUT | changed}]))

        until(lambda: search.count(tmp_path / "logs", "") == 2)
        assert metrics(shipper)["shipper_lost_total"] == 0

    def test_one_that_does_not_start_loses_nothing(self, shipper: Shipper, tmp_path: Path) -> None:
        tried = threading.Event()

        def load() -> ShipperConfig:
            tried.set()
            good = configured(tmp_path)
            return replace(good, sinks=(Component("sqlite", "sqlite", {"path": "/proc/nowhere"}),))

        shipper.reload(load)
        assert tried.wait(DEADLINE_SECONDS)
        shipper.reload(lambda: configured(tmp_path))

        until(lambda: messages(tmp_path) == ["one", "two"])

    @pytest.mark.parametrize("entry", [{"file": {**INPUT, "name": "other"}}, {"spool": {"name": "app", "path": "s"}}])
    def test_an_input_that_is_gone_is_counted(self, shipper: Shipper, tmp_path: Path, entry: dict[str, Any]) -> None:
        shipper.reload(lambda: configured(tmp_path, inputs=[entry]))

        until(lambda: metrics(shipper)["shipper_lost_total"] == 1)
        assert metrics(shipper)["shipper_lost_bytes_total"] == 2 * len('{"message": "one", "level": "info"}\n')


def test_what_ends_with_the_shipper_is_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    deleted, kept = tmp_path / "in" / "app.log", tmp_path / "in" / "app.log.1"
    write(deleted, "one")
    write(kept, "two")
    with shipping(configured(tmp_path, sinks=TestReloadWithADeletedFile.DOWN)) as shipper:
        until(lambda: metrics(shipper)["shipper_lag_bytes"] > 60)
        deleted.unlink()

    assert metrics(shipper)["shipper_lost_total"] == 1
    assert f"a deleted file is given up before every sink has it: {deleted}: 36 bytes" in caplog.text


@pytest.mark.parametrize("fault", ["refused", "does not start"])
def test_a_bad_reload_changes_nothing(tmp_path: Path, fault: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    tried = threading.Event()

    def load() -> ShipperConfig:
        tried.set()
        if fault == "refused":
            raise ConfigError("$.shipper: no")
        good = configured(tmp_path)
        bad = Component("sqlite", "sqlite", {"path": "/proc/nowhere"})
        return ShipperConfig(good.data, good.base, good.listen, good.inputs, (bad,))

    with shipping(configured(tmp_path)) as shipper:
        shipper.reload(load)
        assert tried.wait(DEADLINE_SECONDS)
        write(tmp_path / "in" / "app.log", "one")

        until(lambda: messages(tmp_path) == ["one"])

    assert "the old one goes on" in caplog.text
    assert "read again" not in caplog.text


def test_a_data_folder_that_cannot_be_says_so(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")

    with pytest.raises(StateError, match="data: "):
        Shipper(configured(tmp_path))


def test_hundreds_of_compressed_rotations_do_not_wait_for_the_next_second(tmp_path: Path, monkeypatch: Any) -> None:
    for number in range(100):
        path = tmp_path / "in" / f"app.log.{number}.gz"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(gzip.compress(b'{"message": "%d"}\n' % number))
    rests: list[float] = []
    wait = Watch.wait
    monkeypatch.setattr(Watch, "wait", lambda watch, seconds: (rests.append(seconds), wait(watch, seconds))[1])

    with shipping(configured(tmp_path)):
        until(lambda: len(messages(tmp_path)) == 100)

    # sixteen at a time: nobody announces that the next may be opened
    assert rests[:6].count(POLL_SECONDS) >= 5
