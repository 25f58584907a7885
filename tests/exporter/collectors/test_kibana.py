"""The kibana collector on answers in the shape of 8.x and 7.x, written by hand; test_recordings.py has recordings."""

import contextlib
import json

import pytest
from topmast_exporter.collectors import kibana
from topmast_exporter.collectors.kibana import Config, build, parse
from topmast_exporter.errors import CollectError

STATUS = {
    "version": {"number": "8.15.0"},
    "status": {"overall": {"level": "degraded", "summary": "one service is degraded"}},
    "metrics": {"response_times": {"avg_in_millis": 12.5, "max_in_millis": 40}, "concurrent_connections": 3},
}


@pytest.mark.parametrize(
    ("name", "labels", "value"),
    [
        ("kibana_status", {"level": "degraded"}, 1),
        ("kibana_status", {"level": "available"}, 0),
        ("kibana_response_time_seconds", {}, 0.0125),
        ("kibana_concurrent_connections", {}, 3),
        ("kibana_heap_used_bytes", {}, None),
    ],
)
def test_a_status_becomes_metrics(name, labels, value):
    assert parse(STATUS).value(name, **labels) == pytest.approx(value)


def test_who_is_not_logged_in_is_told_the_level_only():
    reading = parse({"status": {"overall": {"level": "available"}}})

    assert [metric.name for metric in reading.metrics()] == ["kibana_status"]


def test_the_colours_of_7_are_levels():
    assert parse({"status": {"overall": {"state": "red"}}}).value("kibana_status", level="critical") == 1


def test_one_that_is_unavailable_says_so_with_503(answering):
    answer = {"status": {"overall": {"level": "unavailable"}}}
    answering.answers["/api/status"] = (503, json.dumps(answer).encode())
    with contextlib.closing(build(Config("kibana", answering.url))) as source:
        assert source.collect().value("kibana_status", level="unavailable") == 1


def test_what_is_no_status_is_refused():
    with pytest.raises(CollectError) as error:
        parse({"status": "fine"})

    assert error.value.reason == "protocol"


def test_the_module_ends_in_its_constant():
    assert (kibana.COLLECTOR.name, kibana.COLLECTOR.up) == ("kibana", "kibana_up")
