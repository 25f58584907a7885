"""Every pipeline on sample lines: what each event becomes (tests/monitoring/logstash/goldens.yml)."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from topmast.logstash.conditions import DroppedError
from topmast.logstash.filters import UnsupportedError
from topmast.logstash.pipelines import Pipelines

ROOT = Path(__file__).resolve().parents[3]
MONITORING = ROOT / "monitoring/logstash"
CASES = yaml.safe_load((ROOT / "tests/monitoring/logstash/goldens.yml").read_text())


@pytest.fixture(scope="module")
def pipelines() -> Pipelines:
    return Pipelines(MONITORING)


@pytest.mark.parametrize("case", [pytest.param(each, id=each["case"]) for each in CASES])
def test_golden_events(pipelines: Pipelines, case: dict[str, Any]) -> None:
    (stored,) = pipelines.run(case["enters"], case["event"])

    assert (list(stored.route), stored.place, stored.id) == (case["route"], case["place"], case["id"])
    assert stored.document == case["document"]


def test_every_pipeline_has_a_golden_event() -> None:
    met = {name for case in CASES for name in case["route"]}

    assert met == {each["pipeline.id"] for each in yaml.safe_load((MONITORING / "pipelines.yml").read_text())}


def test_a_line_sent_again_is_the_same_document(pipelines: Pipelines) -> None:
    line = {"@timestamp": "2026-11-22T21:16:00.000Z", "message": "hello", "log": {"offset": 7}}

    first, again, other = (
        pipelines.run("intake", each)[0].id for each in (line, line, {**line, "log": {"offset": 8}})
    )

    assert first == again != other


def test_what_elasticsearch_indexes_has_a_template_and_a_writer() -> None:
    template = yaml.safe_load((MONITORING.parent / "elasticsearch/templates/topmast-logs.json").read_text())
    role = yaml.safe_load((MONITORING.parent / "elasticsearch/roles/logstash_writer.json").read_text())
    streams = {case["place"].replace("-default", "-*") for case in CASES if case["place"].startswith("logs-")}

    assert set(template["index_patterns"]) == set(role["indices"][0]["names"]) == streams


def house(tmp_path: Path, filters: str) -> Pipelines:
    (tmp_path / "pipeline").mkdir()
    (tmp_path / "pipelines.yml").write_text("[{pipeline.id: one, path.config: /x/one.conf}]")
    output = 'output { file { path => "/out" } }'
    (tmp_path / "pipeline/one.conf").write_text(f"filter {{ {filters} }} {output}")
    return Pipelines(tmp_path)


def test_a_comparison_with_what_is_not_there_loses_the_event(tmp_path: Path) -> None:
    one = house(tmp_path, 'if [n] > 3 { mutate { add_tag => ["big"] } }')

    assert one.run("one", {"n": 4})[0].document["tags"] == ["big"]
    with pytest.raises(DroppedError):
        one.run("one", {})


@pytest.mark.parametrize(
    ("filters", "becomes"),
    [
        pytest.param('mutate { copy => {"a" => "b"} rename => {"a" => "c"} }', {"c": "1"}, id="rename comes first"),
        pytest.param('mutate { add_field => {"a" => "2"} }', {"a": ["1", "2"]}, id="a second value makes a list"),
        pytest.param(
            'grok { match => {"a" => "\\A%{T_UINT:a}\\z"} }', {"a": ["1", "1"]}, id="grok adds unless it overwrites"
        ),
        pytest.param('mutate { replace => {"b" => "%{a}%{none}"} }', {"a": "1", "b": "1%{none}"}, id="no such field"),
        pytest.param('json { source => "a" target => "j" }', {"a": "1", "j": 1}, id="a number is JSON"),
        pytest.param(
            'date { match => ["a", "ISO8601"] timezone => "UTC" }',
            {"a": "1", "tags": ["_dateparsefailure"]},
            id="a number is no date",
        ),
        pytest.param(
            'if [a] in ["1", "2"] and !([b] or "x" == "y") { mutate { strip => ["a"] } }', {"a": "1"}, id="in"
        ),
    ],
)
def test_logstash_s_own_semantics(tmp_path: Path, filters: str, becomes: dict[str, Any]) -> None:
    (stored,) = house(tmp_path, filters).run("one", {"a": "1"})

    assert stored.document == {"@version": "1", **becomes}


@pytest.mark.parametrize(
    ("filters", "says"),
    [
        pytest.param("ruby { code => 'x' }", "the filter ruby", id="filter"),
        pytest.param("mutate { capitalize => ['a'] }", "mutate: the option capitalize", id="option"),
        pytest.param('grok { match => {"a" => "x"} }', "grok without anchors", id="unanchored"),
    ],
)
def test_what_is_not_carried_out_is_refused(tmp_path: Path, filters: str, says: str) -> None:
    with pytest.raises(UnsupportedError, match=says):
        house(tmp_path, filters).run("one", {"a": "1"})
