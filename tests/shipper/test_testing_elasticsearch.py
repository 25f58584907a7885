"""The stand-in for the bulk API, as our sink meets it: what each fault stores, and what the sink makes of it."""

import gzip
from collections.abc import Callable, Iterator, Sequence

import pytest
import requests
from topmast_shipper.bulk import ElasticsearchSink
from topmast_shipper.component import Receipt, Sink
from topmast_shipper.errors import TransientError
from topmast_shipper.sinks.elasticsearch import Config
from topmast_shipper.testing import SinkContract, event, events
from topmast_shipper.testing_elasticsearch import (
    BulkStandIn,
    Fault,
    half_answer,
    partly_busy,
    refuses,
    reset,
    reset_after_bytes,
    says_nothing,
    stall,
    well,
)


@pytest.fixture
def server() -> Iterator[BulkStandIn]:
    with BulkStandIn() as found:
        yield found


@pytest.fixture
def sink(server: BulkStandIn) -> Iterator[ElasticsearchSink]:
    found = ElasticsearchSink(Config((server.url,), timeout_seconds=1.0))
    yield found
    found.close()


class TestStandIn(SinkContract):
    @pytest.fixture
    def sink(self, server: BulkStandIn) -> Iterator[Sink]:
        found = ElasticsearchSink(Config((server.url,)))
        yield found
        found.close()

    @pytest.fixture
    def stored(self, server: BulkStandIn) -> Callable[[], Sequence[str]]:
        return lambda: list(server.documents)


@pytest.mark.parametrize(
    ("fault", "stored"),
    [
        pytest.param(refuses(429, "es_rejected_execution_exception"), 0, id="429"),
        pytest.param(refuses(503, "cluster_block_exception"), 0, id="503"),
        pytest.param(partly_busy({0}), 3, id="the first is busy"),
        pytest.param(reset(), 4, id="reset behind all"),
        pytest.param(reset(stored=2), 2, id="reset in the middle"),
        pytest.param(reset_after_bytes(1), 0, id="reset while it is sent"),
        pytest.param(stall(stored=True), 4, id="stored, and silence"),
        pytest.param(stall(stored=False), 0, id="silence"),
        pytest.param(half_answer(), 4, id="half an answer"),
        pytest.param(says_nothing(), 0, id="an answer that speaks of nothing"),
    ],
)
def test_a_fault_is_a_matter_of_time_and_doubles_nothing(
    server: BulkStandIn, sink: ElasticsearchSink, fault: Fault, stored: int
) -> None:
    server.script(fault, well())

    with pytest.raises(TransientError):
        sink.send(events(4))
    assert server.count == stored

    assert sink.send(events(4)) == Receipt(4)
    assert sorted(server.documents) == [each.id for each in events(4)]


def test_what_stands_before_the_first_busy_event_is_settled(server: BulkStandIn, sink: ElasticsearchSink) -> None:
    server.script(partly_busy({1, 3}))

    receipt = sink.send(events(4))

    assert receipt == Receipt(1)
    assert list(server.documents) == [event(0).id, event(2).id]
    assert sink.send(events(3, first=1)) == Receipt(3)
    assert server.count == 4


def bulk(server: BulkStandIn, body: bytes, filtered: str = "", **headers: str) -> requests.Response:
    told = {
        "content-type": "application/x-ndjson",
        **{name.replace("_", "-"): text for name, text in headers.items()},
    }
    asked = {"filter_path": filtered} if filtered else {}
    return requests.post(f"{server.url}/logs-app-default/_bulk", params=asked, data=body, headers=told, timeout=10)


TWO = b'{"create":{"_id":"a"}}\n{"message":"1"}\n{"create":{"_id":"a"}}\n{"message":"2"}\n'


def test_there_is_an_item_for_each_action_also_when_all_is_well(server: BulkStandIn) -> None:
    answer = bulk(server, TWO[: len(TWO) // 2]).json()

    assert (answer["errors"], len(answer["items"])) == (False, 1)
    assert answer["items"][0]["create"]["_index"] == ".ds-logs-app-default-2026.11.22-000001"
    assert answer["items"][0]["create"]["result"] == "created"


@pytest.mark.parametrize(
    ("filtered", "found"),
    [
        pytest.param("errors", {"errors": True}, id="errors only"),
        pytest.param(
            "errors,items.*.status,items.*.error.type",
            {
                "errors": True,
                "items": [
                    {"create": {"status": 201}},
                    {"create": {"status": 409, "error": {"type": "version_conflict_engine_exception"}}},
                ],
            },
            id="what the sink asks for",
        ),
        pytest.param("items.*.error.type,nothing", {
            "items": [{"create": {"error": {"type": "version_conflict_engine_exception"}}}]
        }, id="an item with nothing left is no item"),
    ],
)  # fmt: skip
def test_an_answer_is_reduced_to_what_is_asked_for(server: BulkStandIn, filtered: str, found: object) -> None:
    assert bulk(server, TWO, filtered).json() == found


@pytest.mark.parametrize(
    ("body", "headers", "said"),
    [
        pytest.param(TWO[:-1], {}, "terminated by a newline", id="no newline at the end"),
        pytest.param(TWO, {"content_type": "text/plain"}, "Content-Type", id="another content type"),
        pytest.param(
            gzip.compress(TWO) + b"\n", {"content_encoding": "gzip"}, "does not end", id="a byte behind the gzip"
        ),
    ],
)
def test_what_is_no_bulk_request_is_refused_whole(
    server: BulkStandIn, body: bytes, headers: dict[str, str], said: str
) -> None:
    answer = bulk(server, body, **headers)

    assert answer.status_code == 400
    assert said in answer.json()["error"]["reason"]
    assert server.count == 0


def test_the_template_is_installed_once(server: BulkStandIn, sink: ElasticsearchSink) -> None:
    sink.connected()
    first = dict(server.things)
    server.things["/_index_template/topmast-logs"]["version"] = "a person's"
    sink.close()
    sink.connected()

    assert set(first) == {"/_ilm/policy/topmast-logs", "/_index_template/topmast-logs"}
    assert server.things["/_index_template/topmast-logs"]["version"] == "a person's"
