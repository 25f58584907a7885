"""Dashboards are read from any JSON, whatever is in it; exclusions need a reason and a use."""

import json
from pathlib import Path
from typing import Any

import pytest
from topmast import check, dashboardfile
from topmast.check import Spot
from topmast.checks.dashboard_panels import CHECK, RULES

SILENT = {"id": 1, "type": "stat", "title": "Users", "targets": [{"refId": "A", "expr": "up"}]}


def said(tmp_path: Path, model: Any, exclusions: str = "") -> list[str]:
    folder = tmp_path / "dashboards"
    folder.mkdir()
    (folder / "mine.json").write_text(model if isinstance(model, str) else json.dumps(model))
    if exclusions:
        (tmp_path / "lint.yml").write_text(exclusions)
    spots: list[Spot] = list(dashboardfile.findings(check.read([folder], tmp_path), RULES))
    return [f"{spot.path.name}: {spot.message}" for spot in spots]


@pytest.mark.parametrize(
    "model",
    [
        pytest.param({"panels": None}, id="no list of panels"),
        pytest.param(
            {"panels": [None, 3, "x", {"targets": 4}, {"targets": [None]}], "templating": []}, id="nonsense"
        ),
        pytest.param(
            {"panels": [{"fieldConfig": {"defaults": 3, "overrides": [1]}, "datasource": 7}]}, id="wrong kinds"
        ),
        pytest.param([1, 2], id="a list"),
        pytest.param("{" * 100_000, id="deep"),
    ],
)
def test_whatever_is_in_the_file_is_read(tmp_path: Path, model: Any) -> None:
    said(tmp_path, model)


def test_panels_in_collapsed_rows_count(tmp_path: Path) -> None:
    found = said(tmp_path, {"panels": [{"id": 9, "type": "row", "panels": [SILENT]}]})

    assert "mine.json: Users: no unit: `none` when it has none (panel-units-rule)" in found


def test_a_reason_excludes_one_panel(tmp_path: Path) -> None:
    other = SILENT | {"id": 2, "title": "Orders"}

    found = said(tmp_path, {"panels": [SILENT, other]}, "panel-units-rule:\n  - {panel: Users, reason: people}\n")

    assert [each for each in found if "units-rule" in each] == [
        "mine.json: Orders: no unit: `none` when it has none (panel-units-rule)"
    ]


@pytest.mark.parametrize(
    ("exclusion", "message"),
    [
        pytest.param("{panel: Users}", "panel-units-rule: an exclusion without a reason: say why", id="no reason"),
        pytest.param(
            "{panel: Orders, reason: x}", "panel-units-rule: Orders excludes nothing: remove it", id="no use"
        ),
    ],
)
def test_an_exclusion_has_a_reason_and_a_use(tmp_path: Path, exclusion: str, message: str) -> None:
    found = said(tmp_path, {"panels": [SILENT]}, f"panel-units-rule:\n  - {exclusion}\n")

    assert f"lint.yml: {message}" in found


def test_variables_are_put_in_and_captures_left_alone() -> None:
    text = 'label_replace(rate(x{i=~"$instance", m=~"${model:regex}"}[$__rate_interval]), "a", "${1}xx", "b", "(.)")'

    assert dashboardfile.substituted(text, {"instance": "a:1"}) == (
        'label_replace(rate(x{i=~"a:1", m=~".*"}[1m]), "a", "${1}xx", "b", "(.)")'
    )


def test_the_check_is_for_a_users_own_dashboards_too() -> None:
    assert not CHECK.ours
