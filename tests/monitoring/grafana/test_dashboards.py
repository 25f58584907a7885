"""The dashboards' files: what their modules say, complete, and every expression one that Prometheus 2.42 parses."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from topmast import dashboard, dashboards, plugins
from topmast.layout import find_home

FOLDER = find_home() / "monitoring" / "grafana"
DASHBOARDS = sorted((FOLDER / "dashboards").glob("*.json"))
UIDS = {"prometheus", "alertmanager", "logs"}
# PANELS.md: group → panels.
OVERVIEW = {
    "System health": ["Services up", "Firing alerts"],
    "Cache": ["Hit ratio by namespace", "Latency P95 by namespace"],
    "API": ["Latency P50, P95, P99", "Requests by status class"],
    "Resources": ["CPU", "Memory", "Disk"],
    "Database": ["Query P95 by operation", "Connections against the limit"],
    "Errors and logs": ["Error ratio", "Errors in the logs"],
    "LLM cost": ["Spend per hour by model", "Spent against budget", "Saved by the cache"],
    "SLA": ["Availability and error budget left"],
}

HARDENED = {
    "GF_USERS_ALLOW_SIGN_UP": "false",
    "GF_AUTH_ANONYMOUS_ENABLED": "false",
    "GF_SECURITY_DISABLE_GRAVATAR": "true",
    "GF_SNAPSHOTS_EXTERNAL_ENABLED": "false",
    "GF_ANALYTICS_REPORTING_ENABLED": "false",
    "GF_ANALYTICS_CHECK_FOR_UPDATES": "false",
}

every_dashboard = pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)


def read(path: Path) -> dict[str, Any]:
    model: dict[str, Any] = json.loads(path.read_text())
    return model


def panels(model: dict[str, Any]) -> list[dict[str, Any]]:
    return [panel for panel in model["panels"] if panel["type"] != "row"]


def targets(model: dict[str, Any]) -> list[tuple[str, str]]:
    """Return (panel and refId, expression) of every query, annotations included."""
    asked = [(f"{p['title']} {t['refId']}", t["expr"]) for p in panels(model) for t in p["targets"] if "expr" in t]
    return asked + [(f"annotation {each['name']}", each["expr"]) for each in model["annotations"]["list"]]


def test_the_overview_has_its_17_panels_in_eight_groups() -> None:
    groups: dict[str, list[str]] = {}
    for panel in read(FOLDER / "dashboards" / "application-overview.json")["panels"]:
        if panel["type"] == "row":
            groups[panel["title"]] = []
        else:
            groups[list(groups)[-1]].append(panel["title"])

    assert groups == OVERVIEW
    assert list(groups) == list(OVERVIEW)


def test_the_files_are_what_their_modules_say() -> None:
    assert {path.name: path.read_text() for path in DASHBOARDS} == dashboard.files()


def test_only_files_that_differ_are_written(tmp_path: Path) -> None:
    every = dashboard.write(tmp_path)
    (tmp_path / "application-overview.json").write_text("{}")

    assert [path.name for path in dashboard.write(tmp_path)] == ["application-overview.json"]
    assert sorted(path.name for path in every) == [path.name for path in DASHBOARDS]


def test_a_dashboard_has_the_name_of_its_module() -> None:
    named = {each.name.replace("-", "_") for each in plugins.load_all(dashboards, "DASHBOARD")}

    assert named == set(plugins.names(dashboards))


@every_dashboard
def test_the_file_is_one_that_grafana_cannot_change(path: Path) -> None:
    model = read(path)

    assert (model["schemaVersion"], model["editable"], model["uid"]) == (42, False, path.stem)
    assert model["templating"]["list"][0]["name"] == "environment"
    assert all(variable["refresh"] == 2 for variable in model["templating"]["list"])


@pytest.mark.rules
def test_prometheus_242_parses_every_expression(promtool: Path, tmp_path: Path) -> None:
    rules = []
    for path in DASHBOARDS:
        for number, (where, expression) in enumerate(targets(read(path))):
            plain = expression.replace("$__rate_interval", "1m").replace("$__range", "1h")
            plain = re.sub(r"\$(environment|instance|model|feature|namespace)", ".*", plain)
            rules.append({"record": f"panel:{path.stem.replace('-', '_')}:{number}", "expr": plain})
            assert "$" not in plain.replace("${1}", ""), where
    file = tmp_path / "panels.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))

    done = subprocess.run(
        [str(promtool), "check", "rules", str(file)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr


def test_the_provisioned_datasources_have_the_uids_that_panels_name() -> None:
    provisioned = yaml.safe_load((FOLDER / "provisioning" / "datasources" / "datasources.yml").read_text())

    assert {source["uid"] for source in provisioned["datasources"]} == UIDS
    assert not any(source["editable"] for source in provisioned["datasources"])


def test_provisioned_dashboards_are_the_files_and_nobody_changes_them() -> None:
    provisioned = yaml.safe_load((FOLDER / "provisioning" / "dashboards" / "dashboards.yml").read_text())

    [provider] = provisioned["providers"]
    assert (provider["disableDeletion"], provider["allowUiUpdates"], provider["type"]) == (True, False, "file")


def test_exemplars_lead_to_the_log_lines_and_to_the_tracing_system() -> None:
    provisioned = yaml.safe_load((FOLDER / "provisioning" / "datasources" / "datasources.yml").read_text())

    prometheus = next(each for each in provisioned["datasources"] if each["uid"] == "prometheus")
    links = prometheus["jsonData"]["exemplarTraceIdDestinations"]
    compose = yaml.safe_load((find_home() / "docker-compose.monitoring.yml").read_text())
    # Grafana puts environment variables in: a dollar that is meant stands twice.
    assert [each["url"].endswith(("$${__value.raw}", '$${__value.raw}"}]}')) for each in links] == [True, True]
    assert links[1]["url"].startswith("${TRACING_URL}")
    assert "TRACING_URL" in compose["services"]["grafana"]["environment"]


def test_latency_panels_have_exemplars() -> None:
    asked = [
        panel["title"]
        for path in DASHBOARDS
        for panel in panels(read(path))
        if any(target.get("exemplar") for target in panel["targets"])
    ]

    assert asked == ["Run time P95", "Latency P50, P95, P99", "Query P95 by database", "Latency P95 by model"]


def test_grafana_is_hardened() -> None:
    compose = yaml.safe_load((find_home() / "docker-compose.monitoring.yml").read_text())

    grafana = compose["services"]["grafana"]["environment"]
    assert {name: grafana[name] for name in HARDENED} == HARDENED
    assert {"GF_SECURITY_ADMIN_PASSWORD__FILE", "GF_SECURITY_SECRET_KEY__FILE"} <= grafana.keys()
    assert grafana["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"].endswith("/application-overview.json")
