"""sinks/elasticsearch.py on a real Elasticsearch.

Its jars have neither security nor lifecycles, and of the field types only those of the core: our template is put
there with the nearest of these. What it lacks is in test_elasticsearch_setup.py, on a stand-in.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import requests
from topmast import elasticnode
from topmast.elasticnode import Node
from topmast_shipper.component import Receipt, Refusal, Sink
from topmast_shipper.elasticsearch_setup import definition
from topmast_shipper.errors import PermanentError, TransientError
from topmast_shipper.rooms import kind
from topmast_shipper.testing import SinkContract, event, events, running

pytestmark = pytest.mark.elasticsearch


def opened(server: Node, stream: str, **options: Any) -> Sink:
    built: Sink = kind("sinks", "elasticsearch").build({"hosts": [server.url], "data_stream": stream, **options})
    return built


def documents(server: Node, stream: str) -> list[dict[str, Any]]:
    """Return what the stream holds, in the order of its ids."""
    requests.post(f"{server.url}/{stream}/_refresh", timeout=30)
    query = {"size": 10_000, "sort": [{"event.id": "asc"}], "query": {"match_all": {}}}
    answer = requests.post(f"{server.url}/{stream}/_search", json=query, timeout=30)
    return [] if answer.status_code == 404 else list(answer.json()["hits"]["hits"])


def ids(server: Node, stream: str) -> list[str]:
    return [str(each["_id"]) for each in documents(server, stream)]


def prepared(node: Node) -> Node:
    """Put our template, as far as this server knows its types."""
    template = elasticnode.as_known(definition("templates"))
    answer = node.call("PUT", "/_index_template/topmast-logs", template)
    assert answer.ok, answer.text
    return node


@pytest.fixture(scope="module")
def node(elasticsearch_node: Node) -> Node:
    return prepared(elasticsearch_node)


@pytest.fixture
def stream(request: pytest.FixtureRequest) -> str:
    """A data stream that no other test writes to."""
    name = "".join(each if each.isalnum() else "_" for each in request.node.nodeid.rpartition("::")[2].lower())
    return f"logs-app-{name[:80]}"


class TestElasticsearch(SinkContract):
    @pytest.fixture
    def sink(self, node: Node, stream: str) -> Iterator[Sink]:
        sink = opened(node, stream)
        yield sink
        sink.close()

    @pytest.fixture
    def stored(self, node: Node, stream: str) -> Callable[[], Sequence[str]]:
        return lambda: ids(node, stream)


def test_a_stream_is_made_by_its_template(node: Node, stream: str) -> None:
    sink = opened(node, stream, setup="check")

    sink.send(events(2))

    assert all(each["_index"].startswith(".ds-") for each in documents(node, stream))


def test_only_looking_says_what_is_missing(node: Node) -> None:
    sink = opened(node, "logs-nobodys-shop", setup="check")

    with pytest.raises(PermanentError, match="no index template covers the data stream logs-nobodys-shop"):
        sink.send([event()])


def test_a_field_of_another_type_is_stored_all_the_same(node: Node, stream: str) -> None:
    sink = opened(node, stream)

    receipt = sink.send(
        [event(0, **{"http.response.status_code": 200}), event(1, http={"response": "late"}), event(2)]
    )

    assert receipt.settled == 3
    assert len(ids(node, stream)) == 3 - len(receipt.refused)


def test_what_does_not_fit_the_mapping_is_refused_alone(node: Node, stream: str) -> None:
    """`@timestamp` is the one field that the server will not take malformed."""
    sink = opened(node, stream)
    bad = event(1)._replace(json=event(1).json.replace(b"2026-11-21T22:26:40.000Z", b"yesterday"))

    receipt = sink.send([event(0), bad, event(2)])

    assert receipt == Receipt(3, (Refusal(1, "document_parsing_exception"),))
    assert ids(node, stream) == [event(0).id, event(2).id]


def test_a_document_can_be_found_by_its_fields(node: Node, stream: str) -> None:
    sink = opened(node, stream)
    sink.send([event(0, **{"log.level": "error", "message": "payment failed"}), event(1)])

    requests.post(f"{node.url}/{stream}/_refresh", timeout=30)
    query = {"query": {"bool": {"filter": [{"term": {"log.level": "error"}}, {"match": {"message": "failed"}}]}}}
    hits = requests.post(f"{node.url}/{stream}/_search", json=query, timeout=30).json()["hits"]["hits"]

    assert [each["_id"] for each in hits] == [event(0).id]


def test_a_tiny_queue_pushes_back_and_every_line_is_there_once(
    start_elasticsearch: Callable[..., Node], tmp_path: Path, eventually: Callable[..., None]
) -> None:
    """One thread, a queue of one: the server rejects what comes while it works (429)."""
    server = prepared(start_elasticsearch({"node.processors": "1", "thread_pool.write.queue_size": "1"}))
    lines = 3_000

    with shipping(tmp_path, [server.url], 4, lines):
        eventually(lambda: total(server) == 4 * lines, "all lines in the store", 120)

    assert total(server) == 4 * lines


def test_a_server_killed_in_the_middle_of_a_bulk_has_every_line_once(
    start_elasticsearch: Callable[..., Node], tmp_path: Path, eventually: Callable[..., None]
) -> None:
    server, lines = prepared(start_elasticsearch()), 20_000

    with shipping(tmp_path, [server.url], 1, lines):
        eventually(lambda: 0 < total(server) < lines, "some lines in the store", 60)
        server.kill()
        server.start()
        eventually(lambda: total(server) == lines, "all lines in the store", 120)

    assert total(server) == lines
    assert unique(server) == lines


def shipping(folder: Path, hosts: Sequence[str], files: int, lines: int) -> Any:
    """Return a running shipper of some files, as a context."""
    for number in range(files):
        text = "".join(json.dumps({"message": f"line {at} of {number}", "n": at}) + "\n" for at in range(lines))
        (folder / f"app-{number}.log").write_text(text)
    section = {
        "listen": "",
        "data": str(folder / "data"),
        "inputs": [{"file": {"name": "app", "paths": [str(folder / "app-*.log")], "parser": "json_lines"}}],
        "sinks": [{"elasticsearch": {"hosts": list(hosts)}}],
    }
    config = folder / "topmast.yml"
    config.write_text(json.dumps({"shipper": section}))
    return running(config, folder / "shipper.log")


def total(server: Node) -> int:
    requests.post(f"{server.url}/logs-app-default/_refresh", timeout=30)
    answer = requests.get(f"{server.url}/logs-app-default/_count", timeout=30)
    return int(answer.json()["count"]) if answer.ok else 0


def unique(server: Node) -> int:
    """Return how many different ids there are, page by page: an aggregation only estimates."""
    found: set[str] = set()
    query: dict[str, Any] = {"size": 5_000, "sort": [{"event.id": "asc"}], "_source": False}
    while hits := requests.post(f"{server.url}/logs-app-default/_search", json=query, timeout=30).json()["hits"][
        "hits"
    ]:
        found |= {each["_id"] for each in hits}
        query["search_after"] = hits[-1]["sort"]
    return len(found)


def test_nobody_there_is_a_matter_of_time(tmp_path: Path, port: int) -> None:
    sink: Sink = kind("sinks", "elasticsearch").build({"hosts": [f"http://127.0.0.1:{port}"]})

    with pytest.raises(TransientError, match="cannot connect"):
        sink.send([event()])
