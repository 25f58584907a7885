"""The elasticsearch collector on answers in the shape of 8.x (written by hand), over real HTTP."""

import base64
import contextlib
import datetime
import json
import socket
import ssl
import threading

import pytest
import trustme
from topmast_exporter.collectors import elasticsearch
from topmast_exporter.collectors.elasticsearch import Config, ElasticsearchSource, parse
from topmast_exporter.errors import CollectError

HEALTH = {
    "cluster_name": "logs",
    "status": "yellow",
    "number_of_nodes": 2,
    "number_of_data_nodes": 1,
    "unassigned_shards": 3,
    "delayed_unassigned_shards": 0,
    "task_max_waiting_in_queue_millis": 0,
}
NODE = {
    "name": "one",
    "host": "10.0.0.7",
    "roles": ["data_hot", "ingest", "master", "voting_only"],
    "indices": {"docs": {"count": 12}, "search": {"query_time_in_millis": 1500}, "indexing": {"is_throttled": False}},
    "jvm": {
        "mem": {"heap_used_in_bytes": 50, "heap_max_in_bytes": 100, "pools": {"old": {"used_in_bytes": 4}}},
        "gc": {"collectors": {"young": {"collection_count": 11, "collection_time_in_millis": 113}}},
    },
    "thread_pool": {"write": {"rejected": 2, "queue": 1}},
    "fs": {"data": [{"mount": "/", "path": "/data", "total_in_bytes": 10, "available_in_bytes": 4}]},
    "http": {"current_open": 1},
}
STATS = {"cluster_name": "logs", "nodes": {"id": NODE}}

OF = {
    "cluster": "logs",
    "host": "10.0.0.7",
    "name": "one",
    "es_master_node": "true",
    "es_data_node": "false",
    "es_ingest_node": "true",
    "es_client_node": "true",
}


@pytest.mark.parametrize(
    ("name", "labels", "value"),
    [
        ("elasticsearch_cluster_health_status", {"cluster": "logs", "color": "yellow"}, 1),
        ("elasticsearch_cluster_health_status", {"cluster": "logs", "color": "red"}, 0),
        ("elasticsearch_cluster_health_unassigned_shards", {"cluster": "logs"}, 3),
        ("elasticsearch_cluster_health_relocating_shards", {"cluster": "logs"}, None),
        ("elasticsearch_indices_docs", OF, 12),
        ("elasticsearch_indices_search_query_time_seconds", OF, 1.5),
        ("elasticsearch_jvm_memory_used_bytes", {**OF, "area": "heap"}, 50),
        ("elasticsearch_jvm_gc_collection_seconds_sum", {**OF, "gc": "young"}, 0.113),
        ("elasticsearch_jvm_memory_pool_used_bytes", {**OF, "pool": "old"}, 4),
        ("elasticsearch_thread_pool_rejected_count", {**OF, "type": "write"}, 2),
        ("elasticsearch_filesystem_data_available_bytes", {**OF, "mount": "/", "path": "/data"}, 4),
        ("elasticsearch_nodes_roles", {"cluster": "logs", "host": "10.0.0.7", "name": "one", "role": "client"}, 1),
        (
            "elasticsearch_nodes_roles",
            {"cluster": "logs", "host": "10.0.0.7", "name": "one", "role": "voting_only"},
            None,
        ),
        ("elasticsearch_indices_indexing_is_throttled", OF, 0),
    ],
)
def test_the_answers_become_the_names_of_elasticsearch_exporter(name, labels, value):
    assert parse(HEALTH, STATS).value(name, **labels) == value


@pytest.fixture
def cluster(answering):
    answering.answers["/_cluster/health"] = (200, json.dumps(HEALTH).encode())
    answering.answers[f"/_nodes/stats/{elasticsearch.SECTIONS}"] = (200, json.dumps(STATS).encode())
    return answering


def test_one_connection_is_kept_and_the_key_comes_from_its_file(cluster, tmp_path):
    key = tmp_path / "key"
    key.write_text("YTpi\n")
    with contextlib.closing(ElasticsearchSource(Config("es", cluster.url, api_key_file=str(key)))) as source:
        source.collect()
        kept = source._http._connection
        reading = source.collect()

        assert source._http._connection is kept
    assert reading.value("elasticsearch_indices_docs", **OF) == 12
    assert {who for _, who in cluster.asked} == {"ApiKey YTpi"}


def test_a_key_may_stand_in_the_environment(cluster, monkeypatch):
    monkeypatch.setenv("THE_KEY", "YTpi")
    with contextlib.closing(ElasticsearchSource(Config("es", cluster.url, api_key_env="THE_KEY"))) as source:
        source.collect()

    assert {who for _, who in cluster.asked} == {"ApiKey YTpi"}


def test_a_password_that_changes_is_read_from_its_file(cluster, tmp_path):
    password = tmp_path / "password"
    password.write_text("one")
    with contextlib.closing(
        ElasticsearchSource(Config("es", cluster.url, user="elastic", password_file=str(password)))
    ) as source:
        source.collect()
        fine = cluster.answers["/_cluster/health"]
        cluster.answers["/_cluster/health"] = (401, b"{}")
        with pytest.raises(CollectError) as refused:
            source.collect()
        cluster.answers["/_cluster/health"] = fine
        password.write_text("two")
        source.collect()

    assert refused.value.reason == "authentication"
    assert base64.b64decode(cluster.asked[-1][1].split()[1]) == b"elastic:two"


def test_a_key_that_may_see_the_health_only_costs_the_nodes(cluster):
    cluster.answers[f"/_nodes/stats/{elasticsearch.SECTIONS}"] = (403, b"{}")
    with contextlib.closing(ElasticsearchSource(Config("es", cluster.url))) as source:
        reading = source.collect()

    assert reading.refused["nodes"][0] == "permission"
    assert reading.value("elasticsearch_cluster_health_number_of_nodes", cluster="logs") == 2


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        pytest.param(200, b"<html>", "protocol", id="a proxy's page"),
        pytest.param(200, b'{"cluster_name": 1}', "protocol", id="another JSON"),
        pytest.param(200, b"[" * 100_000, "protocol", id="nested without end"),
        pytest.param(200, b'{"a": "' + b"x" * (50 * 2**20) + b'"}', "protocol", id="50 MB"),
        pytest.param(200, b'{"cluster_name": "logs", "sta', "protocol", id="half an answer"),
        pytest.param(503, b"{}", "protocol", id="not ready"),
        pytest.param(403, b"{}", "permission", id="no right"),
    ],
)
def test_what_is_no_answer_has_a_reason(answering, status, body, reason):
    answering.answers["/_cluster/health"] = (status, body)
    with (
        contextlib.closing(ElasticsearchSource(Config("es", answering.url))) as source,
        pytest.raises(CollectError) as error,
    ):
        source.collect()

    assert error.value.reason == reason
    assert len(str(error.value)) < 300


def test_a_server_that_drips_is_a_timeout(port):
    over = threading.Event()
    listener = socket.create_server(("127.0.0.1", port))

    def drip():
        connection, _ = listener.accept()
        with connection, contextlib.suppress(OSError):
            connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
            while not over.wait(0.05):
                connection.sendall(b" ")

    thread = threading.Thread(target=drip)
    thread.start()
    config = Config("es", f"http://127.0.0.1:{port}", timeout_seconds=0.5)
    with contextlib.closing(ElasticsearchSource(config)) as source, pytest.raises(CollectError) as error:
        source.collect()
    over.set()
    thread.join()
    listener.close()

    assert error.value.reason == "timeout"


@pytest.mark.parametrize("good", [pytest.param(True, id="valid"), pytest.param(False, id="expired")])
def test_an_own_authority_is_trusted_and_an_expired_certificate_is_said(cluster, tmp_path, good):
    now = datetime.datetime.now(datetime.UTC)
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    pair = authority.issue_cert("localhost", not_after=None if good else now - datetime.timedelta(days=1))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    pair.configure_cert(context)
    cluster.server.socket = context.wrap_socket(cluster.server.socket, server_side=True)
    url = f"https://localhost:{cluster.server.server_port}"
    with contextlib.closing(ElasticsearchSource(Config("es", url, ca_file=str(tmp_path / "ca.pem")))) as source:
        if good:
            assert source.collect().value("elasticsearch_indices_docs", **OF) == 12
        else:
            with pytest.raises(CollectError, match="certificate has expired") as error:
                source.collect()
            assert error.value.reason == "connection"


def test_the_module_ends_in_its_constant():
    assert (elasticsearch.COLLECTOR.name, elasticsearch.COLLECTOR.up) == ("elasticsearch", "elasticsearch_up")


# --- a real node (suite elasticsearch): 8.15, or 9.0 where there is Java 21 ----------------------------------------


@pytest.mark.elasticsearch
def test_a_real_yellow_cluster_has_every_name_of_the_contract_with_true_values(start_elasticsearch):
    node = start_elasticsearch({"cluster.name": "shop", "node.name": "one"})
    node.call("PUT", "/orders", {"settings": {"number_of_shards": 2, "number_of_replicas": 1}}).raise_for_status()
    for number in range(7):
        node.call("POST", "/orders/_doc", {"n": number}).raise_for_status()
    node.call("POST", "/orders/_refresh").raise_for_status()
    node.call("GET", "/orders/_search").raise_for_status()
    with contextlib.closing(ElasticsearchSource(Config("es", node.url))) as source:
        reading = source.collect()

    cluster = {"cluster": "shop"}
    of = {**cluster, "host": "127.0.0.1", "name": "one"}
    of |= {f"es_{role}_node": "true" for role in ("master", "data", "ingest", "client")}
    assert reading.refused == {}
    colours = {
        c: reading.value("elasticsearch_cluster_health_status", **cluster, color=c) for c in ("green", "yellow")
    }
    assert colours == {"green": 0, "yellow": 1}
    health = {
        name: reading.value(f"elasticsearch_cluster_health_{name}", **cluster)
        for name in (
            "number_of_nodes",
            "number_of_data_nodes",
            "active_shards",
            "unassigned_shards",
            "delayed_unassigned_shards",
        )
    }
    assert health == {
        "number_of_nodes": 1,
        "number_of_data_nodes": 1,
        "active_shards": 2,
        "unassigned_shards": 2,
        "delayed_unassigned_shards": 0,
    }
    counted = {
        name: reading.value(f"elasticsearch_indices_{name}", **of)
        for name in ("docs", "indexing_index_total", "search_query_total")
    }
    assert counted == {"docs": 7, "indexing_index_total": 7, "search_query_total": 2}  # a query on each shard
    assert reading.value("elasticsearch_thread_pool_rejected_count", **of, type="write") == 0
    used, most = (
        reading.value(f"elasticsearch_jvm_memory_{name}_bytes", **of, area="heap") for name in ("used", "max")
    )
    assert 0 < used < most <= 256 * 2**20 < most * 1.1  # the heap that the node was given, less a survivor space
    sizes = {
        sample.name: sample.value
        for metric in reading.metrics()
        for sample in metric.samples
        if sample.name.startswith("elasticsearch_filesystem_data_")
    }
    assert (
        0 < sizes["elasticsearch_filesystem_data_available_bytes"] < sizes["elasticsearch_filesystem_data_size_bytes"]
    )
    names = {metric.name for metric in reading.metrics()}
    assert {
        "elasticsearch_jvm_gc_collection_seconds_sum",
        "elasticsearch_indices_store_size_bytes",
        "elasticsearch_indices_search_query_time_seconds",
        "elasticsearch_breakers_tripped",
    } <= names


@pytest.mark.elasticsearch
def test_a_cluster_that_turns_green_is_told_at_the_next_reading(start_elasticsearch):
    node = start_elasticsearch({"cluster.name": "shop"})
    node.call("PUT", "/orders", {"settings": {"number_of_replicas": 1}}).raise_for_status()
    with contextlib.closing(ElasticsearchSource(Config("es", node.url))) as source:
        before = source.collect()
        node.call("PUT", "/orders/_settings", {"number_of_replicas": 0}).raise_for_status()
        after = source.collect()
        node.kill()
        with pytest.raises(CollectError) as gone:
            source.collect()

    status = "elasticsearch_cluster_health_status"
    assert [one.value(status, cluster="shop", color="yellow") for one in (before, after)] == [1, 0]
    assert after.value(status, cluster="shop", color="green") == 1
    assert gone.value.reason == "connection"
