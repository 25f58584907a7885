"""Log search over a store that the shipper wrote."""

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from starlette.testclient import TestClient
from topmast.layout import Layout
from topmast_shipper.event import Event, Origin, Position
from topmast_shipper.sinks.sqlite import Config, SqliteSink

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC).timestamp()


def event(number: int, level: str, message: str) -> Event:
    at = datetime.fromtimestamp(NOON + number, UTC)
    document: Mapping[str, Any] = {
        "@timestamp": at.isoformat().replace("+00:00", "Z"),
        "log": {"level": level},
        "service": {"name": "shop"},
        "message": message,
    }
    position = Position("0123456789abcdef", 0, number + 1)
    origin = Origin("test", "/var/log/app.log", "shop")
    line, told = message.encode(), orjson.dumps(document)
    moment = int(at.timestamp() * 1_000_000)
    return Event(line, position, number, origin, time.time(), (), told, moment, level, "shop")


@pytest.fixture
def store(layout: Layout) -> None:
    sink = SqliteSink(Config(layout.log_store, retention_days=100_000))
    sink.send([event(n, "error" if n % 4 == 0 else "info", f"checkout number{n}") for n in range(20)])
    sink.close()


@pytest.mark.usefixtures("store")
def test_the_newest_lines_come_first(client: TestClient) -> None:
    found = client.get("/api/logs", params={"q": "level:error checkout", "limit": 2}).json()["documents"]

    assert [each["message"] for each in found] == ["checkout number16", "checkout number12"]


@pytest.mark.usefixtures("store")
def test_the_range_holds_its_beginning_and_not_its_end(client: TestClient) -> None:
    found = client.get("/api/logs", params={"q": "", "since": NOON + 3, "until": NOON + 5}).json()["documents"]

    assert [each["message"] for each in found] == ["checkout number4", "checkout number3"]


@pytest.mark.usefixtures("store")
def test_the_histogram_counts_every_match_by_level(client: TestClient) -> None:
    answer = client.get("/api/logs/histogram", params={"since": NOON, "until": NOON + 600}).json()

    assert answer["step"] == 10
    assert [(each["count"], each["levels"]) for each in answer["buckets"]] == [
        (10, {"error": 3, "info": 7}),
        (10, {"error": 2, "info": 8}),
    ]


@pytest.mark.usefixtures("store")
def test_the_facets_are_what_a_person_narrows_by(client: TestClient) -> None:
    answer = client.get("/api/logs/facets", params={"q": "checkout"}).json()

    assert answer == {
        "matches": 20,
        "facets": [
            {"field": "log.level", "values": [["info", 15], ["error", 5]]},
            {"field": "service.name", "values": [["shop", 20]]},
        ],
    }


@pytest.mark.parametrize("path", ["/api/logs", "/api/logs/histogram", "/api/logs/facets"])
def test_a_broken_query_says_where(client: TestClient, path: str) -> None:
    answer = client.get(path, params={"q": 'level:error "never closed'})

    assert answer.status_code == 400
    assert answer.json()["position"] == 12
    assert answer.json()["error"] == "this quotation mark is never closed"


@pytest.mark.parametrize("value", ["soon", "1e400", "nan"])
def test_a_time_that_is_none_is_refused(client: TestClient, value: str) -> None:
    assert client.get("/api/logs", params={"since": value}).status_code == 400


def test_no_store_yet_is_no_lines(client: TestClient) -> None:
    assert client.get("/api/logs").json() == {"documents": []}


def test_a_store_that_is_none_is_one_sentence(client: TestClient, layout: Layout) -> None:
    layout.log_store.mkdir(parents=True)
    (layout.log_store / "2026-05-01.sqlite").write_bytes(b"not a database, but long enough to be read as one" * 50)

    answer = client.get("/api/logs")

    assert answer.status_code == 503
    assert answer.json()["error"].startswith("the log store cannot be read: ")


@pytest.mark.usefixtures("store")
def test_a_day_that_is_damaged_is_named_with_what_to_do(client: TestClient, layout: Layout) -> None:
    damaged = layout.log_store / "2026-01-02.sqlite"
    damaged.write_text("x\n" * 512)

    answer = client.get("/api/logs", params={"q": ""})

    assert answer.status_code == 503
    assert f"{damaged}: file is not a database: no log store; move it away" in answer.json()["error"]
