"""Logstash and Kibana cannot be run here: their collectors on recordings, whole output against what was recorded.

recordings.yml names for each the project that recorded it, and its version. Everything else about these collectors is
proved on answers written by hand (test_logstash.py, test_kibana.py) and on bad servers (test_bad_servers.py).
"""

import contextlib
import json
from pathlib import Path

import pytest
import yaml
from topmast import metrics
from topmast_exporter.collector import load

RECORDINGS = yaml.safe_load((Path(__file__).parent / "recordings.yml").read_text())
PATHS = {"logstash": "/_node/stats", "kibana": "/api/status"}
ALL = [
    pytest.param(kind, one, id=f"{kind} {one['version']}")
    for kind, recorded in RECORDINGS.items()
    for one in recorded
]


def document(fields):
    """Return the answer that has these fields: `a.b.c` -> value."""
    found = {}
    for path, value in fields.items():
        *folders, last = path.split(".")
        place = found
        for folder in folders:
            place = place.setdefault(folder, {})
        place[last] = value
    return found


@pytest.mark.parametrize(("kind", "recording"), ALL)
def test_a_recorded_answer_is_shown_whole(answering, kind, recording):
    answering.answers[PATHS[kind]] = (200, json.dumps(document(recording["fields"])).encode())
    collector = load(kind)
    with contextlib.closing(collector.build(collector.config("recorded", answering.url))) as source:
        reading = source.collect()

    shown = {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for metric in reading.metrics()
        for sample in metric.samples
    }
    expected = {(one["name"], *sorted(one["labels"].items())): one["value"] for one in recording["shows"]}
    assert shown == pytest.approx(expected, rel=1e-5)


# No recording has it: proved on an answer written by hand (test_logstash.py).
BY_HAND = {"logstash_pipeline_dead_letter_bytes"}


@pytest.mark.parametrize("kind", RECORDINGS)
def test_the_recordings_hold_every_name_of_the_contract(kind):
    shown = {one["name"] for recording in RECORDINGS[kind] for one in recording["shows"]} | {load(kind).up}

    assert {name for name in metrics.load().families if name.startswith(f"{kind}_")} - shown <= BY_HAND


@pytest.mark.parametrize(("kind", "recording"), ALL)
def test_a_recording_has_its_source(kind, recording):
    assert set(recording["source"]) == {"repository", "path", "commit"}
