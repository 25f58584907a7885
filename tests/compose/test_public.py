"""docker-compose.public.yml: what is published on a public address speaks TLS and asks for a password."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from topmast.policy import ALLOWED, findings

ROOT = Path(__file__).resolve().parents[2]
PUBLIC = "docker-compose.public.yml"
ADDRESS = "192.0.2.10"
# They ask for a login or a token of their own.
OWN_PASSWORD = {"grafana", "kibana", "elasticsearch", "exporter"}


@pytest.fixture(params=["full", "lite"])
def stack(compose: Callable[..., dict[str, Any]], request: pytest.FixtureRequest) -> dict[str, Any]:
    lite = ["docker-compose.lite.yml"] if request.param == "lite" else []
    files = ("docker-compose.monitoring.yml", *lite, PUBLIC)
    return compose(*files, environment={"BIND_ADDR": ADDRESS}, options=("--profile", "*"))


def test_the_gateway_alone_is_on_the_public_address(stack: dict[str, Any]) -> None:
    by_address: dict[str, set[str]] = {}
    for name, service in stack["services"].items():
        for port in service.get("ports", []):
            by_address.setdefault(port["host_ip"], set()).add(name)

    assert by_address[ADDRESS] == {"gateway"}
    assert by_address.keys() == {ADDRESS, "127.0.0.1"}
    assert "gateway" not in by_address["127.0.0.1"]


def test_the_policy_holds(stack: dict[str, Any]) -> None:
    assert [each for each in findings(stack) if each[:2] not in ALLOWED] == []


def test_without_an_address_it_is_refused(compose: Callable[..., dict[str, Any]]) -> None:
    with pytest.raises(AssertionError, match="names one address of this machine"):
        compose("docker-compose.monitoring.yml", PUBLIC)


def servers() -> dict[int, tuple[str, str]]:
    """Return the block and the service behind each port of the gateway."""
    text = (ROOT / "monitoring/gateway/nginx.conf").read_text()
    blocks = re.findall(r"^    server \{\n(.*?)^    \}", text, re.MULTILINE | re.DOTALL)
    found = {}
    for block in blocks:
        (port,), (service,) = re.findall(r"listen (\d+)", block), re.findall(r"set \$to http://([a-z]+):", block)
        found[int(port)] = (block, service)
    return found


def test_every_port_speaks_tls_and_asks_for_a_password(stack: dict[str, Any]) -> None:
    found = servers()

    assert {int(port["target"]) for port in stack["services"]["gateway"]["ports"]} == found.keys()
    for port, (block, service) in found.items():
        assert f"listen {port} ssl;" in block
        assert ("auth_basic Topmast;" in block) != (service in OWN_PASSWORD), service
    # One door without the password: an answer without a body.
    without = [block for block, _ in found.values() if "auth_basic off" in block]
    assert len(without) == 1
    assert "location = /.gateway { auth_basic off; return 204; }" in without[0]
