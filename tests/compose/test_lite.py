"""docker-compose.lite.yml fits a machine of 4 GB."""

from collections.abc import Callable
from typing import Any

import pytest

LITE = ("docker-compose.monitoring.yml", "docker-compose.lite.yml")


@pytest.fixture(scope="module")
def lite(compose: Callable[..., dict[str, Any]]) -> dict[str, Any]:
    return compose(*LITE)


def test_the_limits_leave_more_than_half_of_4_gib(lite: dict[str, Any]) -> None:
    # A one-shot has ended before what it prepares runs.
    lasting = {n: s for n, s in lite["services"].items() if s.get("restart") != "no"}

    mebibytes = sum(int(service["mem_limit"]) for service in lasting.values()) / 1024**2

    assert mebibytes <= 1792, {name: int(service["mem_limit"]) / 1024**2 for name, service in lasting.items()}


def test_elasticsearch_and_its_friends_stay_out(lite: dict[str, Any]) -> None:
    assert sorted(lite["services"]) == [
        "alertmanager", "cadvisor", "exporter", "grafana", "node-exporter", "page", "prometheus", "secrets",
        "shipper",
    ]  # fmt: skip


def test_metrics_are_kept_for_a_week(lite: dict[str, Any]) -> None:
    assert "--storage.tsdb.retention.time=7d" in lite["services"]["prometheus"]["command"]


def test_the_elk_profile_brings_them_back(compose: Callable[..., dict[str, Any]]) -> None:
    both = compose(*LITE, options=("--profile", "elk"))

    assert {"elasticsearch", "logstash", "kibana", "elasticsearch-setup"} <= set(both["services"])


def test_only_the_command_line_of_prometheus_differs_in_its_retention(
    lite: dict[str, Any], stack: dict[str, Any]
) -> None:
    def rest(services: dict[str, Any]) -> list[str]:
        return [word for word in services["prometheus"]["command"] if ".retention." not in word]

    assert rest(lite["services"]) == rest(stack["services"])
