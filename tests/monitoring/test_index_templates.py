"""Our index templates: on a real Elasticsearch as far as it knows them, and that no field of ours is left out.

The node of the suite `elasticsearch` has the server alone: two field types are the nearest of the core there, and
the lifecycle is left out (`topmast.elasticnode.as_known`). Those and security are proved against recordings only
(tests/appliance/setup/test_elasticsearch.py).
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from topmast import elasticnode
from topmast.checks.kibana_objects import fields_of
from topmast.elasticnode import Node
from topmast.setup import elasticsearch as setup
from topmast.setup.elasticsearch import Cluster
from topmast_shipper import patterns

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = json.loads((ROOT / "monitoring/elasticsearch/templates/topmast-logs.json").read_text())
FIELDS = dict(fields_of(TEMPLATE["template"]["mappings"]["properties"]))
CASES = [
    each
    for each in yaml.safe_load((ROOT / "tests/monitoring/logstash/goldens.yml").read_text())
    if each["place"].startswith("logs-")
]


def leaves(document: dict[str, Any], above: str = "") -> Iterator[str]:
    """Yield the dotted names of what a document holds; below a flattened field everything is its own."""
    for key, value in document.items():
        if isinstance(value, dict) and FIELDS.get(above + key) != "flattened":
            yield from leaves(value, f"{above}{key}.")
        else:
            yield above + key


@pytest.mark.parametrize("case", [pytest.param(each, id=each["case"]) for each in CASES])
def test_every_field_of_a_pipeline_s_document_can_be_searched(case: dict[str, Any]) -> None:
    """`dynamic: false` keeps a field that the template does not know, and finds nothing by it."""
    assert [name for name in leaves(case["document"]) if name not in FIELDS] == []


def test_every_field_that_a_pattern_captures_can_be_searched() -> None:
    captured = {
        ".".join(re.findall(r"\[([^\]]+)\]", path))
        for text in patterns.own().values()
        for path in re.findall(r"%\{\w+:((?:\[[^\]]+\])+)", text)
        if not path.startswith("[@metadata]")
    }

    assert len(captured) > 40
    assert sorted(captured - FIELDS.keys()) == []


def test_the_fields_are_far_below_the_limit_of_the_index() -> None:
    assert 2 * len(FIELDS) < TEMPLATE["template"]["settings"]["index.mapping.total_fields.limit"]


@pytest.fixture(scope="module")
def cluster(elasticsearch_node: Node) -> Cluster:
    """The real node, our template put by the set-up's own hand."""
    cluster = Cluster(elasticsearch_node.url, requests.Session())
    setup.template(cluster, "topmast-logs", elasticnode.as_known(TEMPLATE))
    return cluster


@pytest.mark.elasticsearch
def test_the_template_is_accepted_and_the_set_up_sees_that_it_is_there(cluster: Cluster) -> None:
    """The server's own answer is compared: numbers come back as text, settings nested, with defaults."""
    assert setup.template(cluster, "topmast-logs", elasticnode.as_known(TEMPLATE)) is False


@pytest.mark.elasticsearch
def test_a_change_is_put_once(cluster: Cluster) -> None:
    changed = elasticnode.as_known(TEMPLATE)
    changed["template"]["settings"] = {**changed["template"]["settings"], "index.refresh_interval": "2s"}

    assert setup.template(cluster, "topmast-logs", changed) is True
    assert setup.template(cluster, "topmast-logs", changed) is False
    assert setup.template(cluster, "topmast-logs", elasticnode.as_known(TEMPLATE)) is True


@pytest.mark.elasticsearch
@pytest.mark.parametrize("case", [pytest.param(each, id=each["case"]) for each in CASES])
def test_a_pipeline_s_document_is_indexed_with_every_field_of_its_type(
    case: dict[str, Any], cluster: Cluster
) -> None:
    stream, document = case["place"], {"@timestamp": "2026-01-01T00:00:00Z", **case["document"]}
    path = f"/{stream}/_create/{case['id']}-{CASES.index(case)}?refresh=true"

    first = requests.put(cluster.url + path, json=document, timeout=30)
    again = requests.put(cluster.url + path, json=document, timeout=30)

    assert (first.status_code, again.status_code) == (201, 409), first.text
    # A data stream made it, not an index of that name.
    assert first.json()["_index"].startswith(f".ds-{stream}-")
    # `ignore_malformed` stores a value of another type and names its field here.
    found = cluster.call("POST", f"/{stream}/_search", {"query": {"ids": {"values": [first.json()["_id"]]}}})
    (hit,) = found["hits"]["hits"]
    assert hit.get("_ignored") is None
    assert hit["_source"] == document


@pytest.mark.elasticsearch
def test_a_value_of_another_type_would_have_been_seen(cluster: Cluster) -> None:
    document = {"@timestamp": "2026-01-01T00:00:00Z", "message": "x", "source": {"port": "many"}}

    made = cluster.call("POST", "/logs-raw-default/_doc?refresh=true", document)

    found = cluster.call("POST", "/logs-raw-default/_search", {"query": {"ids": {"values": [made["_id"]]}}})
    assert found["hits"]["hits"][0]["_ignored"] == ["source.port"]
