"""docker-compose.lite.yml fits a machine of 4 GB."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from topmast import composition

MONITORING = Path(__file__).resolve().parents[2] / "monitoring"
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


def test_only_retention_and_file_differ_on_the_command_line_of_prometheus(
    lite: dict[str, Any], stack: dict[str, Any]
) -> None:
    def rest(services: dict[str, Any]) -> list[str]:
        return [
            word for word in services["prometheus"]["command"] if not re.search(r"\.retention\.|config\.file", word)
        ]

    assert rest(lite["services"]) == rest(stack["services"])


def test_prometheus_asks_every_30_seconds_and_nobody_who_is_not_there() -> None:
    source, made = (MONITORING / f"prometheus/prometheus{name}.yml" for name in ("", ".lite"))

    assert made.read_text() == composition.lite(source.read_text()), "make it anew with composition.lite"
    read = yaml.safe_load(made.read_text())
    assert (read["global"]["scrape_interval"], read["global"]["evaluation_interval"]) == ("30s", "30s")
    assert {"elasticsearch", "logstash", "kibana"} & {job["job_name"] for job in read["scrape_configs"]} == set()


def test_logs_stay_in_the_embedded_store() -> None:
    full, less = (yaml.safe_load((MONITORING / f"topmast{name}.yml").read_text()) for name in ("", ".lite"))
    full["shipper"]["sinks"] = [each for each in full["shipper"]["sinks"] if "logstash" not in each]
    del full["exporter"]["collectors"]

    assert less == full


def test_the_override_brings_its_files(lite: dict[str, Any]) -> None:
    for name in ("exporter", "shipper"):
        sources = {v["target"]: v["source"] for v in lite["services"][name]["volumes"]}
        assert sources["/etc/topmast/topmast.yml"].endswith("monitoring/topmast.lite.yml")
    assert "--config.file=/etc/prometheus/prometheus.lite.yml" in lite["services"]["prometheus"]["command"]
    assert lite["services"]["grafana"]["environment"]["SCRAPE_INTERVAL"] == "30s"


def test_grafana_leads_to_the_page_where_lines_would_be(lite: dict[str, Any], tmp_path: Path) -> None:
    composition.lite_grafana(MONITORING / "grafana", tmp_path)

    for name in ("logs.json", "datasources.yml"):
        kept = (MONITORING / "grafana" / "lite" / name).read_text()
        assert kept == (tmp_path / name).read_text(), f"{name}: make it anew with composition.lite_grafana"
    panels = json.loads((tmp_path / "logs.json").read_text())["panels"]
    asked = {(each.get("datasource") or {}).get("type") for each in panels}
    assert asked == {"prometheus", None}
    led = [each["options"]["content"] for each in panels if each["type"] == "text"]
    assert len(led) == 2
    assert all("http://localhost:3002/logs" in each for each in led)
    told = yaml.safe_load((tmp_path / "datasources.yml").read_text())
    assert {each["type"] for each in told["datasources"]} == {"prometheus", "alertmanager"}
    mounted = {volume["target"]: volume["source"] for volume in lite["services"]["grafana"]["volumes"]}
    assert mounted["/etc/grafana/dashboards/logs.json"].endswith("monitoring/grafana/lite/logs.json")
