"""The stand-in for the bulk API, as our sink meets it: what each fault stores, and what the sink makes of it."""

from collections.abc import Callable, Iterator, Sequence

import pytest
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


def test_the_template_is_installed_once(server: BulkStandIn, sink: ElasticsearchSink) -> None:
    sink.connected()
    first = dict(server.things)
    server.things["/_index_template/topmast-logs"]["version"] = "a person's"
    sink.close()
    sink.connected()

    assert set(first) == {"/_ilm/policy/topmast-logs", "/_index_template/topmast-logs"}
    assert server.things["/_index_template/topmast-logs"]["version"] == "a person's"
