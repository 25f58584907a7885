"""What every service of the stack must be: the table of topmast.policy over what Compose makes of the files."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from topmast import rehearsal
from topmast.compose import ONE_SHOTS
from topmast.policy import ALLOWED, findings

ROOT = Path(__file__).resolve().parents[2]
PUBLIC = "docker-compose.public.yml"
FILES = [pytest.param(files, id="+".join(name.split(".")[1] for name in files)) for files in rehearsal.STACKS]


@pytest.fixture
def read(compose: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """Read a stack with every profile; with the gateway at an address that is not loopback."""

    def stack(files: tuple[str, ...]) -> dict[str, Any]:
        told = {"BIND_ADDR": "192.0.2.1"} if PUBLIC in files else {}
        return compose(*files, options=("--profile", "*"), environment=told)

    return stack


def test_every_file_is_looked_at() -> None:
    there = {path.name for path in ROOT.glob("docker-compose*.yml")}

    assert {name for files in rehearsal.STACKS for name in files} == there


@pytest.mark.parametrize("files", FILES)
def test_policy(read: Callable[..., dict[str, Any]], files: tuple[str, ...]) -> None:
    assert [each for each in findings(read(files)) if each[:2] not in ALLOWED] == []


def test_every_exception_is_still_needed(compose: Callable[..., dict[str, Any]]) -> None:
    stack = compose("docker-compose.monitoring.yml", options=("--profile", "*"))

    public = compose(
        "docker-compose.monitoring.yml", "docker-compose.public.yml", environment={"BIND_ADDR": "192.0.2.1"}
    )
    found = {each[:2] for files in (stack, public) for each in findings(files)}
    assert ALLOWED.keys() - found == set()


def test_the_policy_finds_what_it_is_for(stack: dict[str, Any]) -> None:
    stack = {"services": {"bad": {"image": "nginx:latest", "ports": [{"published": "80"}], "privileged": True}}}

    rules = {rule for _, rule, _ in findings(stack)}

    assert rules == {
        "pinned", "privileged", "non-root", "capabilities", "no-new-privileges", "read-only", "mem_limit",
        "pids_limit", "log rotation", "health", "loopback",
    }  # fmt: skip


def test_an_image_of_ours_is_never_asked_of_a_registry(stack: dict[str, Any]) -> None:
    kept = dict(stack["services"]["page"])
    pulled = {name: value for name, value in kept.items() if name != "pull_policy"}

    assert findings({"services": {"page": kept}}) == []
    assert [rule for _, rule, _ in findings({"services": {"page": pulled}})] == ["built here"]


def test_what_runs_once_is_known_by_name(compose: Callable[..., dict[str, Any]]) -> None:
    stack = compose("docker-compose.monitoring.yml", options=("--profile", "*"))

    assert {name for name, service in stack["services"].items() if service["restart"] == "no"} == ONE_SHOTS


def test_a_public_address_reaches_the_service_that_refuses_it(compose: Callable[..., dict[str, Any]]) -> None:
    public = compose("docker-compose.monitoring.yml", environment={"BIND_ADDR": "0.0.0.0"})  # noqa: S104 - refused

    assert public["services"]["secrets"]["environment"]["BIND_ADDR"] == "0.0.0.0"  # noqa: S104 - refused


@pytest.mark.parametrize("files", FILES)
def test_no_default_password_stands_anywhere(read: Callable[..., dict[str, Any]], files: tuple[str, ...]) -> None:
    text = str(read(files)).lower()

    assert [word for word in ("changeme", "admin:admin", "password123", "elastic:elastic") if word in text] == []


def test_the_stack_among_itself_has_no_way_out(stack: dict[str, Any]) -> None:
    assert stack["networks"]["stack"]["internal"] is True


def test_a_backup_holds_every_volume_but_the_applications(compose: Callable[..., dict[str, Any]]) -> None:
    stack = compose("docker-compose.monitoring.yml", options=("--profile", "*"))

    saved = {volume["target"]: volume["source"] for volume in stack["services"]["archive"]["volumes"]}

    assert saved == {f"/volumes/{name}": name for name in stack["volumes"] if name != "app-logs"}


def test_each_secret_volume_is_mounted_by_its_service_alone(stack: dict[str, Any]) -> None:
    mounts = {
        (volume["source"], name)
        for name, service in stack["services"].items()
        for volume in service.get("volumes", [])
        if volume["source"].startswith("secrets") and name not in ONE_SHOTS
    }

    assert mounts == {
        (f"secrets-{name}", name)
        for name in ("elasticsearch", "kibana", "logstash", "grafana", "exporter", "shipper")
    }
