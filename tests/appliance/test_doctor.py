"""What is missing fails with its remedy, what could be better is told, and nothing is started."""

import os
import socket
from pathlib import Path

import pytest
from topmast import doctor, machine
from topmast.checkup import Checkup
from topmast.errors import NotRunningError
from topmast.layout import Layout, find_home
from topmast.verification import Place

GB = 1_000_000_000


@pytest.mark.parametrize(
    ("known", "ok", "remedy"),
    [
        pytest.param({"MemTotal": 8 * GB, "MemAvailable": 6 * GB}, True, None, id="plenty"),
        pytest.param(
            {"MemTotal": 8 * GB, "MemAvailable": GB}, True, "end something else, or take --size lite", id="busy"
        ),
        pytest.param({"MemTotal": GB, "MemAvailable": GB}, False, "a larger machine, or --size lite", id="too small"),
        pytest.param({}, True, None, id="no /proc/meminfo"),
    ],
)
def test_memory(known: dict[str, int], ok: bool, remedy: str | None) -> None:
    found = machine.memory(known, 2 * GB, "it takes")

    assert (found.ok, found.remedy) == (ok, remedy)


def test_a_disk_with_too_little_room_fails(tmp_path: Path) -> None:
    found = machine.disk(tmp_path / "not" / "made" / "yet", 10**18, "everything there is")

    assert not found.ok
    assert f"free at {tmp_path}" in found.message
    assert "--state DIR" in str(found.remedy)
    assert machine.disk(tmp_path, 1, "a byte").ok


def test_a_port_in_use_names_who_has_it_and_our_own_are_fine() -> None:
    with socket.socket() as plug:
        plug.bind(("127.0.0.1", 0))
        plug.listen()
        port = plug.getsockname()[1]

        taken = doctor.listeners({"page": port}, frozenset())
        own = doctor.listeners({"page": port}, frozenset({port}))

    assert not taken.ok
    assert f"{port} (page) by " in taken.message
    assert f"(pid {os.getpid()})" in taken.message
    assert own == Checkup("ports", ok=True, message="1 are this appliance's own")


def test_a_clock_behind_what_was_recorded_fails(tmp_path: Path) -> None:
    layout = Layout(find_home(), tmp_path)
    layout.run.mkdir()
    (layout.run / "status.json").touch()
    written = (layout.run / "status.json").stat().st_mtime

    assert doctor.clock(layout, written, True).ok
    assert not doctor.clock(layout, written - 3600, True).ok
    assert doctor.clock(layout, written, False).remedy == "timedatectl set-ntp true, on the host"
    assert doctor.clock(layout, written, None).message == "cannot be asked here"


@pytest.mark.parametrize(("found", "remedy"), [(65530, True), (262144, False), (1048576, False), (None, False)])
def test_few_memory_maps_are_no_failure_on_a_single_node(found: int | None, remedy: bool) -> None:
    told = doctor.map_count(found)

    assert told.ok
    assert bool(told.remedy) is remedy


def test_a_broken_configuration_is_told_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "topmast.yml"
    path.write_text("slo: {availability: 99.9}\n")

    found = doctor.configuration(Layout(find_home(), tmp_path), path)

    assert not found.ok
    assert "$.slo.availability" in found.message


def test_compose_mode_forecasts_the_disk_of_the_volumes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Docker and Prometheus are stubs here: what is asked of them, and what becomes of the answers."""
    asked: list[str] = []

    def answer(url: str, expression: str) -> list[dict[str, object]]:
        asked.append(f"{url} {expression}")
        values = {
            "retention_limit": 5e9,
            "predict_linear": 24e9,
            "deriv": -2e6,
            "timestamp": 21_600.0,
            "size_bytes": 0.24,
        }
        found = next((value for part, value in values.items() if part in expression), None)
        return [] if found is None else [{"value": [0, str(found)]}]

    place = Place("http://x:9090", "", "", "", "", token=str, log=lambda _: None)
    monkeypatch.setattr(doctor.running, "composed", lambda _: ([], place))
    monkeypatch.setattr(doctor.compose, "data_root", lambda: tmp_path / "docker")
    monkeypatch.setattr(doctor.stage, "query", answer)

    [found] = doctor._forecast(Layout(find_home(), tmp_path / "state"), "compose")

    assert all(each.startswith("http://x:9090 ") for each in asked)
    # 24 GB at 2 MB a second are 3.3 hours: DatabaseDiskFilling speaks, and so does this.
    assert (found.name, found.ok) == ("disk forecast", False)
    assert "24% free, full in 0.1 days" in found.message


def test_compose_mode_without_a_stack_forecasts_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(_: Layout) -> None:
        raise NotRunningError("compose mode: nothing is running")

    monkeypatch.setattr(doctor.running, "composed", nothing)

    assert list(doctor._forecast(Layout(find_home(), tmp_path), "compose")) == []
