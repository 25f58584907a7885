"""Units that start at boot and back up at night; systemctl is a stand-in that writes down what it was told."""

from pathlib import Path

import pytest
from topmast import compose, service
from topmast.errors import ConfigError, PrerequisiteError, StateError, TopmastError
from topmast.layout import Layout
from topmast.service import Systemd

LAYOUT = Layout(Path("/srv/top mast"), Path("/var/lib/topmast"))


@pytest.fixture
def systemctl_stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the file that holds one line a call."""
    calls = tmp_path / "calls"
    program = tmp_path / "bin" / "systemctl"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\necho "$*" >> {calls}\n[ "$REFUSE" != yes ] || {{ echo no bus >&2; exit 1; }}\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    return calls


def test_the_unit_calls_the_launcher_with_its_folders() -> None:
    text = service.service_unit(LAYOUT, Path("/etc/topmast.yml"), user=True)

    assert 'ExecStart="/srv/top mast/topmast" "--state" "/var/lib/topmast" "-c" "/etc/topmast.yml" up' in text
    assert "WantedBy=default.target" in text
    assert "WantedBy=multi-user.target" in service.service_unit(LAYOUT, None, user=False)


@pytest.mark.parametrize(("demo", "again"), [(False, ""), (True, " --demo")])
def test_containers_are_started_and_stopped_and_docker_keeps_them(tmp_path: Path, demo: bool, again: str) -> None:
    layout = Layout(Path("/srv/clone"), tmp_path)
    compose.mode(layout, "compose")
    compose.demo(layout, demo)

    text = service.service_unit(layout, None, user=False)

    command = f'"/srv/clone/topmast" "--state" "{tmp_path}"'
    assert f"ExecStart={command} up --detach{again}\nExecStop={command} down\n" in text
    assert "RemainAfterExit=yes" in text
    assert "Restart=" not in text


@pytest.mark.parametrize(
    ("word", "written"),
    [("a b", '"a b"'), ("50%", '"50%%"'), ("$HOME", '"$$HOME"'), ('say "hi"\\', r'"say \"hi\"\\"')],
)
def test_nothing_in_a_path_means_anything_to_systemd(word: str, written: str) -> None:
    assert service.quoted(word) == written


def test_a_path_with_a_line_break_is_refused() -> None:
    with pytest.raises(ConfigError, match="line break"):
        service.quoted("a\nExecStartPost=rm")


@pytest.mark.parametrize(("user", "call"), [(True, "--user "), (False, "")])
def test_installed_twice_is_installed_once_and_removed_is_gone(
    systemctl_stand_in: Path, tmp_path: Path, user: bool, call: str
) -> None:
    systemd = Systemd(tmp_path / "units", user=user)
    units = {"topmast.service": service.service_unit(LAYOUT, None, user=user)}

    service.install(systemd, units, "topmast.service")
    first = (tmp_path / "units" / "topmast.service").read_bytes()
    service.install(systemd, units, "topmast.service")
    second = (tmp_path / "units" / "topmast.service").read_bytes()
    gone = service.remove(systemd, ("topmast-backup.timer", "topmast.service"))

    assert first == second
    assert [path.name for path in gone] == ["topmast.service"]
    assert list((tmp_path / "units").iterdir()) == []
    told = systemctl_stand_in.read_text().splitlines()
    assert told[:2] == [f"{call}daemon-reload", f"{call}enable --now topmast.service"]
    assert told[4:] == [f"{call}disable --now topmast.service", f"{call}daemon-reload"]


def test_what_systemctl_says_is_told(
    systemctl_stand_in: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("REFUSE", "yes")

    with pytest.raises(TopmastError, match="systemctl --user daemon-reload: no bus"):
        service.install(Systemd(tmp_path / "units", user=True), {"a.service": ""}, "a.service")


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(StateError, match="cannot be written"):
        service.install(Systemd(tmp_path / "file" / "units", user=True), {"a.service": ""}, "a.service")


def test_without_systemd_it_says_what_works_instead() -> None:
    with pytest.raises(PrerequisiteError, match="@reboot"):
        service.find({"PATH": "/nowhere"}, root=True)


def test_units_lie_where_systemd_looks(systemctl_stand_in: Path, tmp_path: Path) -> None:
    path = {"PATH": f"{tmp_path}/bin"}

    assert service.find({**path, "HOME": "/h/a"}, root=False).folder == Path("/h/a/.config/systemd/user")
    assert service.find({**path, "HOME": "/h/a", "XDG_CONFIG_HOME": "/x"}, root=False).folder == Path(
        "/x/systemd/user"
    )
    assert service.find(path, root=True) == Systemd(Path("/etc/systemd/system"), user=False)


def test_the_backups_timer(tmp_path: Path) -> None:
    units = service.backup_units(LAYOUT, None, tmp_path, "03:30", 7)

    assert set(units) == {"topmast-backup.service", "topmast-backup.timer"}
    assert f'backup "{tmp_path}" --keep 7' in units["topmast-backup.service"]
    assert "OnCalendar=*-*-* 03:30:00" in units["topmast-backup.timer"]


@pytest.mark.parametrize("at", ["25:00", "3:00", "03:60", "daily", "03:00\n"])
def test_a_time_that_is_none_is_refused(tmp_path: Path, at: str) -> None:
    with pytest.raises(ConfigError, match="HH:MM"):
        service.backup_units(LAYOUT, None, tmp_path, at, 7)
