"""What every service of the stack must be. A table, not a linter: each exception stands here with its reason."""

import re
from collections.abc import Callable
from typing import Any

import pytest

FILES = [
    pytest.param(("docker-compose.monitoring.yml",), id="full"),
    pytest.param(("docker-compose.monitoring.yml", "docker-compose.lite.yml"), id="lite"),
]

# (service, rule): why.
ALLOWED = {
    ("secrets", "non-root"): "gives each file to the one service that reads it; no network",
    ("secrets", "capabilities"): "chown and the right to write into folders of other owners",
    ("cadvisor", "non-root"): "cgroup files belong to root; it has no capability",
    ("elasticsearch", "read-only"): "the image's entry point writes its keystore beside the configuration",
    ("logstash", "read-only"): "not proved without the image: JRuby unpacks native code",
}
ONE_SHOTS = {"secrets", "elasticsearch-setup"}


def findings(stack: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Return (service, rule, what is wrong)."""
    found = []
    for name, service in stack["services"].items():

        def bad(rule: str, what: object, name: str = name) -> None:
            found.append((name, rule, str(what)))

        image = service["image"]
        if not re.search(r":v?\d+\.\d+\.\d+(@sha256:[0-9a-f]{64})?$", image):
            bad("pinned", image)
        if service.get("privileged"):
            bad("privileged", "privileged: true")
        if service.get("user", "0").split(":")[0] in ("0", "root"):
            bad("non-root", service.get("user"))
        if service.get("cap_drop") != ["ALL"]:
            bad("capabilities", f"cap_drop: {service.get('cap_drop')}")
        if service.get("cap_add"):
            bad("capabilities", f"cap_add: {service['cap_add']}")
        if "no-new-privileges:true" not in service.get("security_opt", []):
            bad("no-new-privileges", service.get("security_opt"))
        if not service.get("read_only"):
            bad("read-only", "a writable root")
        for limit in ("mem_limit", "pids_limit"):
            if not service.get(limit):
                bad(limit, "no limit")
        if service.get("logging", {}).get("options", {}).keys() < {"max-size", "max-file"}:
            bad("log rotation", service.get("logging"))
        if name in ONE_SHOTS:
            if service.get("restart") != "no":
                bad("restart", service.get("restart"))
        elif "test" not in service.get("healthcheck", {}):
            bad("health", "no health check in the compose file")
        for port in service.get("ports", []):
            if port.get("host_ip") != "127.0.0.1":
                bad("loopback", port)
        for key in ("network_mode", "pid", "ipc", "userns_mode"):
            if service.get(key) == "host":
                bad("namespaces", f"{key}: host")
        for volume in service.get("volumes", []):
            if volume["source"].endswith(("docker.sock", "containerd.sock")) or volume["source"] in (
                "/run",
                "/var/run",
            ):
                bad("docker.sock", volume["source"])
            if volume["type"] == "bind" and not volume.get("read_only"):
                bad("binds", f"{volume['source']} can be written")
        for variable, value in (service.get("environment") or {}).items():
            if re.search("PASSWORD|SECRET|TOKEN", variable) and not variable.endswith("_FILE"):
                bad("secrets", f"{variable}={value}")
    return found


@pytest.mark.parametrize("files", FILES)
def test_policy(compose: Callable[..., dict[str, Any]], files: tuple[str, ...]) -> None:
    stack = compose(*files, options=("--profile", "url"))

    assert [each for each in findings(stack) if each[:2] not in ALLOWED] == []


def test_every_exception_is_still_needed(stack: dict[str, Any]) -> None:
    assert ALLOWED.keys() - {each[:2] for each in findings(stack)} == set()


def test_the_policy_finds_what_it_is_for(stack: dict[str, Any]) -> None:
    stack = {"services": {"bad": {"image": "nginx:latest", "ports": [{"published": "80"}], "privileged": True}}}

    rules = {rule for _, rule, _ in findings(stack)}

    assert rules == {
        "pinned", "privileged", "non-root", "capabilities", "no-new-privileges", "read-only", "mem_limit",
        "pids_limit", "log rotation", "health", "loopback",
    }  # fmt: skip


def test_a_public_address_reaches_the_service_that_refuses_it(compose: Callable[..., dict[str, Any]]) -> None:
    public = compose("docker-compose.monitoring.yml", environment={"BIND_ADDR": "0.0.0.0"})  # noqa: S104 - refused

    assert public["services"]["secrets"]["environment"]["BIND_ADDR"] == "0.0.0.0"  # noqa: S104 - refused


@pytest.mark.parametrize("files", FILES)
def test_no_default_password_stands_anywhere(compose: Callable[..., dict[str, Any]], files: tuple[str, ...]) -> None:
    text = str(compose(*files)).lower()

    assert [word for word in ("changeme", "admin:admin", "password123", "elastic:elastic") if word in text] == []


def test_the_stack_among_itself_has_no_way_out(stack: dict[str, Any]) -> None:
    assert stack["networks"]["stack"]["internal"] is True


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
