"""The page is a target: what Prometheus reads of it."""

from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient


def read(client: TestClient) -> dict[str, float]:
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    return {
        sample.name + "".join(sample.labels.values()): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def test_notifications_are_counted_from_0_by_channel(client: TestClient) -> None:
    before = read(client)
    client.post("/inbox/slack/slack-warning", json={"text": "x"})

    after = read(client)

    assert before["page_notifications_totalslack"] == 0
    assert after["page_notifications_totalslack"] == 1
    assert after["page_notifications_totalpagerduty"] == 0


def test_the_heartbeat_has_an_age_once_it_was_heard(client: TestClient) -> None:
    before = read(client)
    client.post("/inbox/webhook/heartbeat", json={"status": "firing", "alerts": []})

    assert "page_heartbeat_age_seconds" not in before
    assert read(client)["page_heartbeat_age_seconds"] >= 0
