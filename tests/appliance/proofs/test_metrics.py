"""`prove metrics` says of each selector how it is proved, and hides nothing that is not."""

import pytest
from topmast import expositions, selectors
from topmast.proofs.metrics import judge, needs, of_each, summary

RECORDED = [expositions.read("redis_exporter-1.45.0", "# TYPE redis_up gauge\nredis_up 1\n")]
RECORDS = {
    "instance:a:ratio": selectors.of("redis_up / redis_up"),
    "instance:b:ratio": selectors.of("container_x / redis_up"),
    "instance:c:ratio": selectors.of("container_x / app_nothing"),
}
ALERTS = [{"alertname": "Watchdog", "severity": "none"}, {"alertname": "A", "severity": "critical"}]


@pytest.mark.parametrize(
    ("expression", "how"),
    [
        pytest.param("app_seen", "live", id="live"),
        pytest.param("redis_up", "recorded", id="recorded"),
        pytest.param("container_x", "needs cadvisor", id="of an engine that is not here"),
        pytest.param('up{job="logstash"}', "needs logstash", id="the engine's own target"),
        pytest.param("up", "missing", id="every target"),
        pytest.param("app_nothing", "missing", id="nobody has it"),
        pytest.param('redis_up{job="mysql"}', "missing", id="recorded, but not so"),
        pytest.param("instance:a:ratio", "recorded", id="a record of what is recorded"),
        pytest.param("instance:b:ratio", "needs cadvisor", id="a record is as good as the worst it reads"),
        pytest.param("instance:c:ratio", "missing", id="and missing with it"),
        pytest.param('ALERTS{alertname!="Watchdog", severity="critical"}', "by an alert", id="an alert that waits"),
        pytest.param('ALERTS{severity="page"}', "missing", id="an alert that there is not"),
    ],
)
def test_judge(expression: str, how: str) -> None:
    found = selectors.of(expression)

    verdicts = judge(found, RECORDS, ALERTS, lambda each: each.name == "app_seen", RECORDED)

    assert [each.how for each in verdicts] == [how]


def test_what_is_not_proved_is_counted_and_named() -> None:
    found = selectors.of("app_seen + redis_up + container_x + elasticsearch_y + app_nothing")
    verdicts = judge(found, {}, [], lambda each: each.name == "app_seen", RECORDED)

    measures = {each.name: each for each in summary(verdicts, "a demo")}

    assert {name: each.value for name, each in measures.items()} == {
        "metrics.selectors": 5,
        "metrics.live": 1,
        "metrics.recorded": 1,
        "metrics.of_alerts": 0,
        "metrics.needs_an_engine": 2,
        "metrics.missing": 1,
    }
    assert "cadvisor 1, elasticsearch 1" in measures["metrics.needs_an_engine"].note
    assert (measures["metrics.missing"].holds, measures["metrics.missing"].note) == (False, "app_nothing")


def test_a_version_that_lacks_something_is_named() -> None:
    (found,) = of_each(RECORDED, selectors.of("redis_up + redis_memory_used_bytes + pg_up"))

    assert (found.name, found.value, found.holds) == ("metrics.of.redis_exporter-1.45.0", 1, False)
    assert found.note == "answers 1 of 2; redis_memory_used_bytes"


def test_an_engine_is_needed_by_name_only() -> None:
    (selector,) = selectors.of('app_dependency_configured{dependency="cadvisor"}')

    assert needs(selector) == "cadvisor"
