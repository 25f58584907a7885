"""The pass-through: which paths, how much, how long, and what is said when the engine is not there."""

import pytest
from http_stub import Stub
from starlette.testclient import TestClient


def test_a_query_goes_through_with_its_parameters(through: TestClient, upstream: Stub) -> None:
    answer = through.get("/api/v1/query", params={"query": 'up{job="a b"}'})

    assert answer.json() == {"status": "success"}
    assert upstream.asked == [("GET", "/api/v1/query?query=up%7Bjob%3D%22a+b%22%7D", b"")]


def test_a_long_query_goes_through_as_a_form(through: TestClient, upstream: Stub) -> None:
    through.post("/api/v1/query_range", data={"query": "up", "step": "15"})

    assert upstream.asked == [("POST", "/api/v1/query_range", b"query=up&step=15")]


def test_an_error_of_the_engine_goes_through_as_it_is(through: TestClient, upstream: Stub) -> None:
    upstream.status, upstream.answer = 400, b'{"status":"error","error":"parse error"}'

    answer = through.get("/api/v1/query", params={"query": "("})

    assert (answer.status_code, answer.json()["error"]) == (400, "parse error")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        pytest.param("GET", "/api/v1/label/job/values", 200, id="label values"),
        pytest.param("GET", "/api/v1/rules?type=alert", 200, id="rules"),
        pytest.param("GET", "/api/v2/alerts", 200, id="Alertmanager's alerts"),
        pytest.param("GET", "/api/v1/label/a%2F..%2F..%2Fadmin/values", 404, id="a path inside a label"),
        pytest.param("GET", "/api/v1/label/a-b/values", 400, id="no label name"),
        pytest.param("POST", "/api/v1/admin/tsdb/delete_series", 404, id="admin"),
        pytest.param("GET", "/api/v1/status/config", 404, id="the configuration"),
        pytest.param("POST", "/api/v1/rules", 405, id="writing to a reading path"),
        pytest.param("POST", "/api/v2/alerts", 405, id="sending alerts"),
        pytest.param("POST", "/api/v2/silences", 405, id="silencing"),
        pytest.param("DELETE", "/api/v2/silence/x", 404, id="ending a silence"),
    ],
)
def test_only_reading_paths_are_passed(through: TestClient, method: str, path: str, status: int) -> None:
    assert through.request(method, path).status_code == status


def test_an_answer_that_is_too_large_is_refused_with_a_sentence(through: TestClient, upstream: Stub) -> None:
    upstream.answer = b"x" * 1001

    answer = through.get("/api/v1/query")

    assert answer.status_code == 502
    assert "ask for less" in answer.json()["error"]


def test_a_form_that_is_too_large_never_reaches_the_engine(through: TestClient, upstream: Stub) -> None:
    answer = through.post("/api/v1/query", content=b"query=" + b"x" * 70_000)

    assert (answer.status_code, upstream.asked) == (413, [])


def test_an_engine_that_hangs_is_given_up(through: TestClient, upstream: Stub) -> None:
    upstream.hold.clear()

    answer = through.get("/api/v1/query")

    assert answer.status_code == 504
    assert answer.json()["error"] == "Prometheus did not answer within 0.5 s"


def test_an_engine_that_is_not_there_is_named(client: TestClient) -> None:
    answer = client.get("/api/v1/query")

    assert answer.status_code == 502
    assert answer.json()["error"] == "Prometheus does not answer at http://127.0.0.1:9; is it running?"


def test_our_own_page_gets_the_status_in_a_header(client: TestClient) -> None:
    answer = client.get("/api/v2/alerts", headers={"x-topmast-status": "header"})

    assert (answer.status_code, answer.headers["x-topmast-status"]) == (200, "502")
    assert answer.json()["status"] == "error"


@pytest.mark.parametrize(
    ("answer", "scrape", "history"),
    [
        pytest.param(
            b'{"data": {"result": [{"metric": {"interval": "15s"}, "value": [1, "120.5"]}, '
            b'{"metric": {"interval": "1m0s"}, "value": [1, "3"]}]}}',
            60.0, 120.5, id="the longest of both",
        ),
        pytest.param(b'{"data": {"result": [{"metric": {"interval": "15s"}, "value": [1, "-9"]}]}}', 15.0, 0.0,
                     id="ahead"),
        pytest.param(b'{"data": {"result": []}}', None, None, id="it does not say"),
        pytest.param(b"<html>", None, None, id="no JSON"),
    ],
)  # fmt: skip
def test_what_charts_must_know_first(
    through: TestClient, upstream: Stub, answer: bytes, scrape: float | None, history: float | None
) -> None:
    upstream.answer = answer

    told = through.get("/api/prometheus").json()

    assert told == {"scrape_seconds": scrape, "history_seconds": history}


def test_without_prometheus_nothing_is_known_of_it(client: TestClient) -> None:
    assert client.get("/api/prometheus").json() == {"scrape_seconds": None, "history_seconds": None}
