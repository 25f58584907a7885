"""The logstash collector on answers in the shape of 8.x, written by hand; test_recordings.py has recordings."""

import contextlib
import json

import pytest
from topmast_exporter.collectors import logstash
from topmast_exporter.collectors.logstash import MAX_PIPELINES, Config, build, parse
from topmast_exporter.errors import CollectError

STATS = {
    "version": "8.15.0",
    "jvm": {"uptime_in_millis": 2500, "mem": {"heap_used_in_bytes": 25, "heap_max_in_bytes": 100}},
    "reloads": {"failures": 1},
    "pipelines": {
        "app": {
            "events": {"in": 10, "filtered": 9, "out": 8, "duration_in_millis": 500},
            "reloads": {"failures": 1},
            "queue": {
                "type": "persisted",
                "events_count": 2,
                "queue_size_in_bytes": 300,
                "max_queue_size_in_bytes": 1000,
            },
            "dead_letter_queue": {"queue_size_in_bytes": 64},
        },
        "quick": {"events": {"in": 1}, "queue": {"type": "memory", "events_count": 0}},
    },
}


@pytest.mark.parametrize(
    ("name", "labels", "value"),
    [
        ("logstash_pipeline_events_in_total", {"pipeline": "app"}, 10),
        ("logstash_pipeline_events_filtered_total", {"pipeline": "app"}, 9),
        ("logstash_pipeline_events_out_total", {"pipeline": "app"}, 8),
        ("logstash_pipeline_queue_events", {"pipeline": "app"}, 2),
        ("logstash_pipeline_queue_events", {"pipeline": "quick"}, None),
        ("logstash_pipeline_queue_bytes", {"pipeline": "app"}, 300),
        ("logstash_pipeline_queue_max_bytes", {"pipeline": "app"}, 1000),
        ("logstash_pipeline_dead_letter_bytes", {"pipeline": "app"}, 64),
        ("logstash_pipeline_dead_letter_bytes", {"pipeline": "quick"}, None),
        ("logstash_pipeline_reloads_failures_total", {"pipeline": "app"}, 1),
        ("logstash_jvm_heap_used_ratio", {}, 0.25),
        ("logstash_uptime_seconds", {}, 2.5),
    ],
)
def test_statistics_become_metrics(name, labels, value):
    assert parse(STATS).value(name, **labels) == value


def test_the_queue_of_6_stands_elsewhere():
    queue = {"type": "persisted", "events": 5, "capacity": {"queue_size_in_bytes": 7, "max_queue_size_in_bytes": 9}}

    reading = parse({"pipelines": {"app": {"queue": queue}}})

    names = ("events", "bytes", "max_bytes")
    assert [reading.value(f"logstash_pipeline_queue_{name}", pipeline="app") for name in names] == [5, 7, 9]


def test_pipelines_beyond_the_limit_are_one_and_no_event_is_lost():
    pipelines = {f"customer{number}": {"events": {"in": 2, "out": 1}} for number in range(MAX_PIPELINES + 10)}

    reading = parse({"pipelines": pipelines})

    assert reading.value("logstash_pipeline_events_in_total", pipeline=f"customer{MAX_PIPELINES - 1}") == 2
    assert reading.value("logstash_pipeline_events_in_total", pipeline=f"customer{MAX_PIPELINES}") is None
    assert reading.value("logstash_pipeline_events_in_total", pipeline="_other") == 20
    assert reading.value("logstash_pipeline_events_out_total", pipeline="_other") == 10
    assert reading.value("logstash_pipeline_queue_events", pipeline="_other") is None


def test_it_is_read_over_http(answering):
    answering.answers["/_node/stats"] = (200, json.dumps(STATS).encode())
    with contextlib.closing(build(Config("logs", answering.url))) as source:
        assert source.collect().value("logstash_pipeline_events_in_total", pipeline="app") == 10


@pytest.mark.parametrize("stats", [pytest.param([], id="a list"), pytest.param({"pipelines": 1}, id="no pipelines")])
def test_what_is_no_answer_is_refused(stats):
    with pytest.raises(CollectError) as error:
        parse(stats)

    assert error.value.reason == "protocol"


def test_the_module_ends_in_its_constant():
    assert (logstash.COLLECTOR.name, logstash.COLLECTOR.up) == ("logstash", "logstash_up")
