"""shipper.py: a whole shipper in this process, on real files, from the line to the search."""

import select
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from topmast_shipper import search
from topmast_shipper.config import Component, ShipperConfig, parse
from topmast_shipper.errors import ConfigError, StateError
from topmast_shipper.shipper import Shipper

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
def shipping(config: ShipperConfig) -> Iterator[Shipper]:
    shipper = Shipper(config)
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


@pytest.mark.parametrize("fault", ["refused", "does not start"])
def test_a_bad_reload_changes_nothing(tmp_path: Path, fault: str) -> None:
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


def test_a_data_folder_that_cannot_be_says_so(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")

    with pytest.raises(StateError, match="data: "):
        Shipper(configured(tmp_path))
