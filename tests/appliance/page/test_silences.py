"""A silence is what was asked for and no more, has an end, and is nobody else's to make."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from http_stub import Stub
from starlette.testclient import TestClient
from topmast.page.silences import Wanted, silence

ACTION = {"x-topmast-action": "silence"}
ASKED = {"labels": {"alertname": "HostCpuHigh", "instance": "a:1"}, "seconds": 3600, "comment": "deploy"}
ID = "c4a8e2c3-63c4-4bb4-8d0e-5a4e8b9b1f10"


def test_labels_become_equalities_and_there_is_an_end() -> None:
    wanted = Wanted({"instance": "a:1", "alertname": "X"}, 3600, "why", "me")

    assert silence(wanted, datetime(2026, 5, 1, 12, tzinfo=UTC)) == {
        "matchers": [
            {"name": "alertname", "value": "X", "isRegex": False, "isEqual": True},
            {"name": "instance", "value": "a:1", "isRegex": False, "isEqual": True},
        ],
        "startsAt": "2026-05-01T12:00:00+00:00",
        "endsAt": "2026-05-01T13:00:00+00:00",
        "createdBy": "me",
        "comment": "why",
    }


def test_alertmanager_is_asked_and_its_answer_handed_on(through: TestClient, upstream: Stub) -> None:
    upstream.answer = b'{"silenceID": "x"}'

    answer = through.post("/api/silence", json=ASKED, headers=ACTION)

    assert answer.json() == {"silenceID": "x"}
    ((method, path, body),) = upstream.asked
    assert (method, path) == ("POST", "/api/v2/silences")
    assert {each["name"]: each["value"] for each in json.loads(body)["matchers"]} == ASKED["labels"]


def test_a_silence_is_ended(through: TestClient, upstream: Stub) -> None:
    assert through.delete(f"/api/silence/{ID}", headers=ACTION).status_code == 200
    assert upstream.asked == [("DELETE", f"/api/v2/silence/{ID}", b"")]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        pytest.param({}, 403, id="a form or a link of another page"),
        pytest.param({**ACTION, "origin": "http://evil.example"}, 403, id="another origin"),
        pytest.param({**ACTION, "sec-fetch-site": "cross-site", "sec-fetch-mode": "cors"}, 403, id="another site"),
        pytest.param({**ACTION, "host": "rebound.example:3001"}, 421, id="another host"),
    ],
)
@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_nobody_else_may(
    through: TestClient, upstream: Stub, method: str, headers: dict[str, str], status: int
) -> None:
    path = "/api/silence" if method == "POST" else f"/api/silence/{ID}"

    answer = through.request(method, path, json=ASKED, headers=headers)

    assert (answer.status_code, upstream.asked) == (status, [])


@pytest.mark.parametrize(
    "given",
    [
        pytest.param({**ASKED, "labels": {}}, id="no labels"),
        pytest.param({**ASKED, "labels": {"severity": "critical"}}, id="no alert's name"),
        pytest.param({**ASKED, "labels": {"alertname": "X", "a b": "c"}}, id="no label"),
        pytest.param({**ASKED, "labels": {"alertname": "X", "a": 1}}, id="no text"),
        pytest.param({**ASKED, "seconds": 1}, id="too short"),
        pytest.param({**ASKED, "seconds": 1e12}, id="for ever"),
        pytest.param({**ASKED, "seconds": "3600"}, id="no number"),
        pytest.param([], id="no object"),
    ],
)
def test_what_makes_no_silence_is_refused(through: TestClient, upstream: Stub, given: Any) -> None:
    answer = through.post("/api/silence", json=given, headers=ACTION)

    assert (answer.status_code, upstream.asked) == (400, [])


def test_an_id_is_never_a_path(through: TestClient, upstream: Stub) -> None:
    assert through.delete("/api/silence/..%2f..%2fstatus", headers=ACTION).status_code in (400, 404)
    assert upstream.asked == []


def test_without_alertmanager_it_says_so(client: TestClient) -> None:
    answer = client.post("/api/silence", json=ASKED, headers=ACTION)

    assert answer.status_code == 502
    assert answer.json()["error"].startswith("Alertmanager does not answer")
