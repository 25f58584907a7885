"""docker-compose.monitoring.yml names the full stack, and what it mounts is there."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]

PORTS = {
    "prometheus": {9090},
    "alertmanager": {9093},
    "grafana": {3001},
    "elasticsearch": {9200},
    "logstash": {5044, 9600},
    "kibana": {5601},
    "node-exporter": {9100},
    "cadvisor": {8080},
    "exporter": {9470, 4318},
    "shipper": {9471},
    "page": {3002},
}
ONE_SHOTS = {"secrets", "elasticsearch-setup", "kibana-setup", "kibana-set-up"}


def test_the_stack_is_complete(stack: dict[str, Any]) -> None:
    assert set(stack["services"]) == set(PORTS) | ONE_SHOTS


@pytest.mark.parametrize("service", sorted(PORTS))
def test_ports(stack: dict[str, Any], service: str) -> None:
    published = {int(port["published"]) for port in stack["services"][service]["ports"]}

    assert published == PORTS[service]


def test_what_is_mounted_from_the_clone_is_there(stack: dict[str, Any]) -> None:
    missing = [
        f"{name}: {volume['source']}"
        for name, service in stack["services"].items()
        for volume in service.get("volumes", [])
        if volume["type"] == "bind" and volume["source"].startswith(str(ROOT)) and not Path(volume["source"]).exists()
    ]

    assert missing == []


def test_rendered_files_take_the_place_of_the_source(compose: Callable[..., dict[str, Any]]) -> None:
    moved = compose("docker-compose.monitoring.yml", environment={"TOPMAST_RENDERED": "/srv/rendered"})

    sources = {v["source"] for s in moved["services"].values() for v in s.get("volumes", []) if v["type"] == "bind"}
    assert not any(source.startswith(str(ROOT)) for source in sources)
    assert "/srv/rendered/prometheus" in sources


def test_the_engines_start_after_the_secrets(stack: dict[str, Any]) -> None:
    def first(name: str) -> bool:
        needs = stack["services"][name].get("depends_on", {})
        done = {each for each, how in needs.items() if how["condition"] == "service_completed_successfully"}
        return "secrets" in done or any(first(each) for each in needs)

    assert [name for name in stack["services"] if name != "secrets" and not first(name)] == []


def test_pages_are_asked_from_outside_with_a_profile_and_never_beyond_this_machine(
    compose: Callable[..., dict[str, Any]],
) -> None:
    with_urls = compose(
        "docker-compose.monitoring.yml", environment={"BIND_ADDR": "192.0.2.1"}, options=("--profile", "url")
    )

    added = with_urls["services"]["blackbox-exporter"]

    assert [(port["host_ip"], port["published"]) for port in added["ports"]] == [("127.0.0.1", "9115")]
    assert {volume["target"] for volume in added["volumes"]} == {"/etc/blackbox"}
