"""Dashboards: ours, the user's, and files that are none."""

from collections.abc import Callable
from pathlib import Path

import pytest
from starlette.testclient import TestClient

Write = Callable[..., Path]


def test_both_folders_are_listed_and_the_users_file_wins(client: TestClient, write_dashboard: Write) -> None:
    write_dashboard("a", {"title": "Ours", "uid": "u", "panels": []})
    write_dashboard("b", {"title": "B", "panels": [], "tags": ["x"]})
    write_dashboard("a", {"title": "Mine", "description": "Better.", "panels": []}, own=True)

    listed = client.get("/api/dashboards").json()["dashboards"]

    assert listed == [
        {"name": "a", "title": "Mine", "description": "Better.", "uid": "", "tags": [], "own": True},
        {"name": "b", "title": "B", "description": "", "uid": "", "tags": ["x"], "own": False},
    ]


def test_a_dashboard_is_found_by_name_or_uid_and_read_anew(client: TestClient, write_dashboard: Write) -> None:
    write_dashboard("a", {"title": "Before", "uid": "some-uid", "panels": []})
    assert client.get("/api/dashboard/some-uid").json()["title"] == "Before"

    write_dashboard("a", {"title": "After", "panels": []})

    assert client.get("/api/dashboard/a").json()["title"] == "After"


def test_an_export_of_grafanas_api_is_unwrapped(client: TestClient, write_dashboard: Write) -> None:
    write_dashboard("a", {"meta": {}, "dashboard": {"title": "Inner", "panels": []}})

    assert client.get("/api/dashboard/a").json() == {"title": "Inner", "panels": []}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param('{"title": ', "a.json: not JSON: Expecting value: line 1 column 11 (char 10)", id="cut off"),
        pytest.param("[1]", "a.json: no dashboard: it has no list of panels", id="a list"),
        pytest.param('{"title": "x"}', "a.json: no dashboard: it has no list of panels", id="no panels"),
        pytest.param("[" * 100_000, "a.json: not JSON", id="nested too deep"),
    ],
)
def test_a_broken_file_says_what_is_wrong_and_the_others_go_on(
    client: TestClient, write_dashboard: Write, content: str, message: str
) -> None:
    write_dashboard("a", content)
    write_dashboard("b", {"title": "B", "panels": []})

    answer = client.get("/api/dashboard/a")

    assert answer.status_code == 422
    assert answer.json()["error"].startswith(message)
    listed = {entry["name"]: entry.get("error", "") for entry in client.get("/api/dashboards").json()["dashboards"]}
    assert listed["a"].startswith(message)
    assert listed["b"] == ""


@pytest.mark.parametrize("name", ["nothing", "..%2F..%2Fetc%2Fpasswd", "%2e%2e", ".hidden"])
def test_an_unknown_name_is_a_404_that_names_what_there_is(
    client: TestClient, write_dashboard: Write, name: str
) -> None:
    write_dashboard("a", {"panels": []})
    write_dashboard(".hidden", {"panels": []})

    answer = client.get(f"/api/dashboard/{name}")

    assert answer.status_code == 404


def test_ours_is_the_overview_of_the_house() -> None:
    from topmast.layout import find_home
    from topmast.page import dashboards

    overview = dashboards.read([find_home() / "monitoring" / "grafana" / "dashboards"], "application-overview")

    assert len([panel for panel in overview["panels"] if panel["type"] != "row"]) == 17
