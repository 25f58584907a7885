"""Each link of a message works when it is clicked: runbook, dashboard and logs at that time, query, silence."""

import json
import re
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from browser_stack import Shown, Stack
from playwright.sync_api import expect
from shown_panels import answering, matrix
from topmast import promtool as tools
from topmast import routing
from topmast.suites import required

pytestmark = pytest.mark.browser

SOURCE = Path(__file__).resolve().parents[2] / "monitoring" / "alertmanager"
EXPRESSION = 'avg by (instance) (rate(node_cpu_seconds_total{mode!="idle"}[5m])) > 0.85'


@pytest.fixture
def links(stack: Stack, tmp_path: Path) -> dict[str, str]:
    """Return the links of a Slack message about an alert that fires since ten minutes, by their words."""
    amtool = tools.find_amtool(SOURCE.parents[1] / ".topmast")
    if amtool is None:
        reason = "no amtool: not on PATH, not unpacked; run `topmast up` once, or set TOPMAST_AMTOOL"
        (pytest.fail if "browser" in required() else pytest.skip)(reason)
    # Prometheus' strutil.TableLinkForExpression
    graph = f"http://prometheus:9090/graph?g0.expr={quote(EXPRESSION, safe='')}&g0.tab=1"
    alert = {
        "status": "firing",
        "labels": {"alertname": "HostCpuHigh", "instance": "a:9100"},
        "annotations": {"description": "CPU of a:9100 is 90% busy."},
        "startsAt": datetime.fromtimestamp(int(time.time()) - 600, UTC).isoformat(),
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": graph,
    }
    data = tmp_path / "data.json"
    data.write_text(
        json.dumps(
            {
                "receiver": "slack-warning",
                "status": "firing",
                "externalURL": "http://alertmanager:9093",
                "groupLabels": {"alertname": "HostCpuHigh", "category": "cpu"},
                "commonLabels": {"severity": "warning", "category": "cpu"},
                "commonAnnotations": {
                    "dashboard_url": "/alerts/HostCpuHigh",
                    "runbook_url": "/runbooks/HostCpuHigh",
                },
                "alerts": [alert],
            }
        )
    )
    routing.render_alertmanager(
        SOURCE, tmp_path, inbox=stack.url, smtp="127.0.0.1:1", notify={}, speed=1, public_url=f"{stack.url}/"
    )
    answer = tools.run(
        amtool,
        [
            "template",
            "render",
            f"--template.glob={tmp_path}/templates/*.tmpl",
            "--template.type=text",
            f"--template.data={data}",
            '--template.text={{ template "topmast.slack.text" . }}',
        ],
    )
    assert answer.code == 0, answer.output
    return {words: href for href, words in re.findall(r"<([^|>]+)\|([^>]+)>", answer.output)}


def milliseconds(href: str, name: str) -> float:
    return float(parse_qs(urlsplit(href).query)[name][0])


def test_every_link_leads_to_the_page_and_to_nobody_else(stack: Stack, links: dict[str, str]) -> None:
    assert sorted(links) == ["Dashboard", "Logs", "Runbook", "Silence", "query"]
    assert {href for href in links.values() if not href.startswith(f"{stack.url}/")} == set()


def test_the_runbook(shown: Shown, links: dict[str, str]) -> None:
    page = shown.open(links["Runbook"])

    expect(page.get_by_role("heading", name="Meaning")).to_be_visible()
    expect(page.get_by_role("heading", name="HostCpuHigh").first).to_be_visible()


def test_the_dashboard_at_the_right_time(shown: Shown, links: dict[str, str]) -> None:
    page = shown.open(links["Dashboard"])

    expect(page.get_by_role("heading", name="HostCpuHigh").first).to_be_visible()
    began = time.time() - 600
    assert milliseconds(links["Dashboard"], "from") / 1000 == pytest.approx(began - 1800, abs=60)
    expect(page.get_by_role("button", name=re.compile("^Time range: .*–"))).to_be_visible()


def test_the_logs_of_that_minute(shown: Shown, links: dict[str, str]) -> None:
    page = shown.open(links["Logs"])

    expect(page.get_by_role("button", name=re.compile("^Time range: .*–"))).to_be_visible()
    began = time.time() - 600
    assert milliseconds(links["Logs"], "from") / 1000 < began < milliseconds(links["Logs"], "to") / 1000


def test_the_query_is_asked_as_the_rule_has_it(shown: Shown, links: dict[str, str]) -> None:
    asked: list[str] = []

    def reply(_: str, form: dict[str, str]) -> dict[str, Any]:
        asked.append(form["query"])
        return matrix(form)

    answering(shown.page, reply)
    page = shown.open(links["query"])

    expect(page.get_by_role("textbox", name="Expression")).to_have_value(EXPRESSION)
    expect(page.locator(".legend button").first).to_be_visible()
    assert EXPRESSION in asked
    page.get_by_role("textbox", name="Expression").fill("up")
    page.get_by_role("button", name="Show").click()
    expect(page).to_have_url(re.compile(r"g0\.expr=up"))
    assert shown.complaints == []


def test_a_query_that_is_none_says_so(stack: Stack, shown: Shown) -> None:
    page = shown.open(f"{stack.url}/query?g0.expr=sum+by+((")

    expect(page.get_by_role("alert")).to_contain_text("parse error")


def test_the_silence_is_filled_in_and_one_click_away(shown: Shown, links: dict[str, str]) -> None:
    page = shown.open(links["Silence"])

    dialog = page.get_by_role("dialog", name="Silence HostCpuHigh")
    expect(dialog).to_contain_text("Everything of HostCpuHigh")
    dialog.get_by_role("button", name="Silence").click()
    end = page.get_by_role("button", name="End the silence of HostCpuHigh")
    expect(end).to_be_visible()
    end.click()
    expect(end).to_have_count(0)
