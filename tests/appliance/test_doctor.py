"""What is missing fails with its remedy, what could be better is told, and nothing is started."""

import os
import socket
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from topmast import doctor
from topmast.checkup import Checkup
from topmast.layout import Layout, find_home

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
    found = doctor.memory(known, 2 * GB, "it takes")

    assert (found.ok, found.remedy) == (ok, remedy)


def test_a_disk_with_too_little_room_fails(tmp_path: Path) -> None:
    found = doctor.disk(tmp_path / "not" / "made" / "yet", 10**18, "everything there is")

    assert not found.ok
    assert f"free at {tmp_path}" in found.message
    assert "--state DIR" in str(found.remedy)
    assert doctor.disk(tmp_path, 1, "a byte").ok


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


def docker(engine: str | None, plugin: str | None) -> Callable[[Sequence[str]], str | None]:
    return lambda argv: engine if argv[1] == "version" else plugin


@pytest.mark.parametrize(
    ("engine", "plugin", "ok"),
    [
        ("28.2.2\n", "5.6.1\n", [True, True]),
        ("20.10.24", "v2.20.0", [True, True]),
        ("19.03.1", "2.19.9", [False, False]),
        ("28.2.2", None, [True, False]),
        (None, "2.20.0", [False, True]),
        ("garbage", "5.6.1", [False, True]),
    ],
)
def test_dockers_versions(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, engine: str | None, plugin: str | None, ok: list[bool]
) -> None:
    program = tmp_path / "docker"
    program.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))

    found = list(doctor.docker(docker(engine, plugin)))

    assert [each.ok for each in found] == ok
    assert all(each.remedy for each in found if not each.ok)


def test_without_docker_it_is_said_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")

    [found] = doctor.docker(docker(None, None))

    assert found.message == "no docker on PATH"


def test_the_containers_limits_and_ports_are_read_off_the_compose_file() -> None:
    stack = {
        "services": {
            "a": {"mem_limit": "1g", "ports": ["${BIND_ADDR:-127.0.0.1}:9090:9090"]},
            "b": {"mem_limit": "128m", "ports": ["${BIND_ADDR:-127.0.0.1}:3001:3000"]},
            "once": {"mem_limit": "4g", "restart": "no"},
        }
    }

    assert doctor.limits(stack) == 1152 * 1024**2
    assert doctor.published(stack) == {"a/9090": 9090, "b/3001": 3001}
    assert doctor.limits({}) == 0


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
