"""Many queries in one request: every one is answered, alone in its failure, and nothing else is passed on."""

import json
from typing import Any

import pytest
from http_stub import Stub
from starlette.testclient import TestClient

QUERY = {"path": "/api/v1/query", "form": "query=up"}
RANGE = {"path": "/api/v1/query_range", "form": "query=up&step=15"}


def lines(text: str) -> list[dict[str, Any]]:
    return sorted((json.loads(line) for line in text.splitlines()), key=lambda line: int(line["id"]))


@pytest.mark.parametrize("encoding", ["gzip", "identity"])
def test_every_query_is_answered_by_a_line(through: TestClient, upstream: Stub, encoding: str) -> None:
    answer = through.post("/api/batch", json=[QUERY, RANGE], headers={"accept-encoding": encoding})

    success = {"status": "success"}
    assert lines(answer.text) == [
        {"id": 0, "status": 200, "body": success},
        {"id": 1, "status": 200, "body": success},
    ]
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert answer.headers.get("content-encoding", "identity") == encoding
    assert sorted(upstream.asked) == [
        ("POST", "/api/v1/query", b"query=up"),
        ("POST", "/api/v1/query_range", b"query=up&step=15"),
    ]


def test_an_engine_that_is_not_there_is_named_in_each_line(client: TestClient) -> None:
    told = lines(client.post("/api/batch", json=[QUERY, RANGE]).text)

    assert [line["status"] for line in told] == [502, 502]
    assert told[0]["body"]["error"].startswith("Prometheus does not answer at http://127.0.0.1:9")


def test_what_is_no_json_becomes_an_error(through: TestClient, upstream: Stub) -> None:
    upstream.answer = b"<html>a proxy\nsays no</html>"

    (told,) = lines(through.post("/api/batch", json=[QUERY]).text)

    assert (told["status"], told["body"]["error"]) == (502, "Prometheus answered 200, not JSON")


@pytest.mark.parametrize(
    "given",
    [
        pytest.param([], id="nothing"),
        pytest.param([QUERY] * 65, id="too many"),
        pytest.param({"path": "/api/v1/query"}, id="no list"),
        pytest.param([{"path": "/api/v1/admin/tsdb/snapshot", "form": ""}], id="another path"),
        pytest.param([{"path": "/api/v1/rules", "form": ""}], id="a path without forms"),
        pytest.param([{"path": "/api/v1/query"}], id="no form"),
        pytest.param(["/api/v1/query"], id="no object"),
    ],
)
def test_anything_else_is_refused_whole(through: TestClient, upstream: Stub, given: Any) -> None:
    answer = through.post("/api/batch", json=given)

    assert (answer.status_code, upstream.asked) == (400, [])


def test_a_batch_that_is_too_large_is_not_read_to_its_end(through: TestClient) -> None:
    assert through.post("/api/batch", content=b"[" + b" " * 300_000).status_code == 413
