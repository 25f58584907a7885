"""The page as a person meets it: every panel drawn, what is wrong said in its place, the console clean."""

import os
import re
from pathlib import Path
from typing import Any

import pytest
from browser_stack import Shown, Stack
from playwright.sync_api import expect
from shown_panels import OWN_STACK, TIMESERIES, panel, panels, write

pytestmark = pytest.mark.browser

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}


@pytest.mark.parametrize(
    ("context", "picture"),
    [
        pytest.param({}, "overview.png", id="desktop, dark"),
        pytest.param({"color_scheme": "light"}, "overview-light.png", id="desktop, light"),
        pytest.param({**PHONE, "color_scheme": "light"}, "overview-phone.png", id="phone"),
    ],
    indirect=["context"],
)
def test_all_17_panels_are_drawn_with_data(stack: Stack, shown: Shown, picture: str, tmp_path: Path) -> None:
    """The first picture is the README's: TOPMAST_PICTURES names the folder that it is kept in."""
    page = shown.open(stack.url)

    told = panels(page)

    assert [each["title"] for each in told if each["state"] != "ready"] == []
    assert len(told) == 17
    expect(page).to_have_title("Application overview · 17 panels, 17 with data · Topmast")
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth"), "it scrolls sideways"
    assert shown.complaints == []
    page.screenshot(path=Path(os.environ.get("TOPMAST_PICTURES", tmp_path)) / picture)


def test_the_four_answers_are_read_off_the_panels(stack: Stack, shown: Shown) -> None:
    page = shown.open(stack.url)

    panels(page)

    cards = page.locator(".glance-card")
    expect(cards).to_have_count(4)
    expect(cards.locator(".question")).to_have_text(["Is it up?", "Is it slow?", "What does it cost?", "What broke?"])
    expect(cards.nth(0)).to_contain_text(re.compile(r"all \d+ up"))
    expect(cards.nth(1)).to_contain_text("target 200 ms")
    expect(cards.nth(2)).to_contain_text("an hour")


def test_dragging_over_a_chart_zooms_and_back_returns(stack: Stack, shown: Shown) -> None:
    page = shown.open(stack.url)
    panels(page)
    area = panel(page, 3).locator(".u-over").bounding_box()
    assert area

    page.mouse.move(area["x"] + 100, area["y"] + 40)
    page.mouse.down()
    page.mouse.move(area["x"] + 250, area["y"] + 50, steps=4)
    page.mouse.up()

    expect(page).to_have_url(re.compile(r"\?from=\d{13}&to=\d{13}$"))
    page.go_back()
    expect(page).to_have_url(f"{stack.url}/")
    expect(page.get_by_role("button", name="Time range: Last hour")).to_be_visible()


def test_a_variable_narrows_its_panels_and_stays_in_the_address(stack: Stack, shown: Shown) -> None:
    page = shown.open(stack.url)
    panels(page)
    legend = panel(page, 14).locator(".legend li")
    every = legend.count()

    page.get_by_role("button", name="Model: All").click()
    page.get_by_role("dialog").locator("label").first.click()
    page.get_by_role("dialog").get_by_role("button", name="Show").click()

    expect(legend).to_have_count(1)
    assert every > 1
    assert "var-model=" in page.url
    page.reload()
    expect(legend).to_have_count(1)


def test_the_legend_isolates_and_brings_back(stack: Stack, shown: Shown) -> None:
    page = shown.open(stack.url)
    panels(page)
    buttons = panel(page, 3).locator(".legend button")

    buttons.nth(1).click()
    assert [each.get_attribute("aria-pressed") for each in buttons.all()].count("true") == 1
    buttons.nth(1).click()

    assert {each.get_attribute("aria-pressed") for each in buttons.all()} == {"true"}


def test_a_panel_alone_and_its_numbers(stack: Stack, shown: Shown) -> None:
    page = shown.open(f"{stack.url}/?viewPanel=5")

    expect(page.locator(".panel")).to_have_count(1)
    page.get_by_role("button", name="Menu of Latency P50, P95, P99").click()
    page.get_by_role("button", name="Numbers or picture").click()

    expect(page.get_by_role("columnheader")).to_have_text(["series", "last", "min", "mean", "max"])
    expect(page.get_by_role("rowheader", name="api P95")).to_be_visible()


def test_the_theme_is_kept(stack: Stack, shown: Shown) -> None:
    page = shown.open(stack.url)
    ground = "() => getComputedStyle(document.documentElement).backgroundColor"
    dark = page.evaluate(ground)

    page.keyboard.press("t")
    light = page.evaluate(ground)
    page.reload()

    assert dark != light
    assert page.evaluate(ground) == light


def test_keys_alone_are_enough(stack: Stack, shown: Shown) -> None:
    page = shown.open(stack.url)
    panels(page)

    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    menu = page.get_by_role("button", name="Menu of Error ratio")
    menu.focus()
    page.keyboard.press("Enter")
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("button", name="Numbers or picture")).to_be_focused()
    page.keyboard.press("Escape")

    expect(menu).to_be_focused()
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_a_hidden_tab_asks_for_nothing(stack: Stack, shown: Shown) -> None:
    page = shown.page
    page.clock.install()
    shown.open(f"{stack.url}/?refresh=5s")
    panels(page)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))

    hide = "(hidden) => { Object.defineProperty(document, 'hidden', {value: hidden, configurable: true}); "
    page.evaluate(hide + "document.dispatchEvent(new Event('visibilitychange')); }", True)
    page.clock.run_for(60_000)
    while_hidden = list(asked)
    page.evaluate(hide + "document.dispatchEvent(new Event('visibilitychange')); }", False)
    with page.expect_request(re.compile("/api/batch")):
        page.clock.run_for(6_000)

    assert while_hidden == []


@pytest.mark.parametrize(
    ("model", "state", "words"),
    [
        pytest.param({"type": "geomap", "title": "Map"}, "error", 'the panel type "geomap" is not one', id="type"),
        pytest.param({**TIMESERIES, "targets": [{"expr": "sum by (("}]}, "error", "parse error", id="query"),
        pytest.param({**TIMESERIES, "targets": []}, "error", "this panel has no query", id="no query"),
        pytest.param(
            {**TIMESERIES, "targets": [{"expr": "no_such_metric"}]}, "empty", "no data in this range", id="none"
        ),
        pytest.param(
            {**TIMESERIES, "datasource": {"type": "elasticsearch", "uid": "other"}, "targets": [{"query": "x"}]},
            "error",
            "needs Elasticsearch",
            id="Elasticsearch",
        ),
        pytest.param(
            {**TIMESERIES, "type": "table", "transformations": [{"id": "joinByField"}]},
            "error",
            'the transformation "joinByField" is not one',
            id="transformation",
        ),
    ],
)
def test_what_is_wrong_is_said_in_its_place_and_the_others_go_on(
    stack: Stack, shown: Shown, model: dict[str, Any], state: str, words: str
) -> None:
    write(stack, "broken", model, TIMESERIES)

    page = shown.open(f"{stack.url}/d/broken")

    assert [each["state"] for each in panels(page)] == [state, "ready"]
    expect(panel(page, 1)).to_contain_text(words)
    assert shown.complaints == []


def test_html_in_a_label_is_text(stack: Stack, shown: Shown) -> None:
    hostile = 'label_replace(up, "job", "<img src=x onerror=alert(1)><b>bold</b>", "", "")'
    models = [
        {
            "type": kind,
            "title": "<b>title</b>",
            "targets": [{"refId": "A", "expr": hostile, "legendFormat": "{{job}}"}],
        }
        for kind in ("timeseries", "stat", "bargauge", "gauge", "table")
    ]
    text = {"type": "text", "title": "T", "options": {"mode": "html", "content": "<script>alert(1)</script><b>x</b>"}}
    write(stack, "hostile", *models, text)

    page = shown.open(f"{stack.url}/d/hostile")

    assert {each["state"] for each in panels(page)} == {"ready"}
    assert page.locator("#main img, #main script, .panel-body b, .panel-head b").count() == 0
    expect(panel(page, 2)).to_contain_text("<b>bold</b>")
    assert shown.complaints == []


def test_many_series_are_cut_and_it_says_so(stack: Stack, shown: Shown) -> None:
    many = 'count by (job, le, route, operation, namespace, model, feature, cpu, mode) ({__name__=~".+"})'
    write(stack, "many", {**TIMESERIES, "targets": [{"refId": "A", "expr": many}]})

    page = shown.open(f"{stack.url}/d/many")

    assert [each["series"] for each in panels(page)] == [100]
    expect(panel(page, 1).locator(".panel-notes")).to_have_text(re.compile(r"showing 100 of \d+ series"))


def test_a_users_own_dashboard_is_in_the_list(stack: Stack, shown: Shown) -> None:
    write(stack, "mine", TIMESERIES)
    page = shown.open(stack.url)
    panels(page)

    page.get_by_role("button", name="Dashboard: Application overview").click()
    page.get_by_role("link", name=re.compile("^mine")).click()

    expect(page).to_have_url(re.compile("/d/mine$"))
    expect(page.get_by_role("heading", level=1)).to_have_text("mine")


def test_log_lines_are_a_panel_too(stack: Stack, shown: Shown) -> None:
    source = {"type": "elasticsearch", "uid": "logs"}
    write(
        stack, "loglines", {"type": "logs", "title": "L", "datasource": source, "targets": [{"query": "level:error"}]}
    )

    page = shown.open(f"{stack.url}/d/loglines")

    assert [(each["state"], each["points"]) for each in panels(page)] == [("ready", 10)]
    expect(panel(page, 1).locator(".line")).to_have_count(10)


def test_without_prometheus_every_panel_says_so_and_the_console_is_clean(lonely: Stack, shown: Shown) -> None:
    page = shown.open(lonely.url)

    told = panels(page)

    assert {each["state"] for each in told} == {"error"}
    expect(panel(page, 3)).to_contain_text("Prometheus does not answer at http://127.0.0.1:")
    expect(page).to_have_title("Application overview · 17 panels, 0 with data · Topmast")
    assert shown.complaints == []


def test_the_alerts_are_listed_and_each_has_a_page_with_its_runbook(stack: Stack, shown: Shown) -> None:
    page = shown.open(f"{stack.url}/alerts")

    page.get_by_role("searchbox", name="Find an alert").fill("HostCpuHigh")
    page.get_by_role("link", name=re.compile("HostCpuHigh")).click()

    expect(page).to_have_url(re.compile("/alerts/HostCpuHigh$"))
    expect(page.locator(".expression")).to_contain_text("instance:node_cpu_busy:ratio_rate5m")
    expect(page.locator(".plot canvas")).to_be_visible()
    expect(page.get_by_role("article", name="Runbook")).to_contain_text("HostCpuHigh")
    assert shown.complaints == []


def test_the_inbox_shows_what_was_sent_as_text(stack: Stack, shown: Shown) -> None:
    if stack.state is None:
        pytest.skip(OWN_STACK)
    page = shown.open(f"{stack.url}/inbox")

    message = page.locator(".message").first
    expect(message).to_contain_text("[FIRING:1] CRITICAL HostCpuSaturated")
    expect(message).to_contain_text("<img src=x onerror=alert(1)>")
    expect(message.get_by_role("link", name="HostCpuSaturated")).to_have_attribute("href", "/alerts/HostCpuSaturated")
    assert shown.complaints == []


def test_a_long_number_gets_smaller_instead_of_being_cut_off(stack: Stack, shown: Shown) -> None:
    targets = [
        {"refId": name, "expr": "vector(-123456.78)", "legendFormat": name, "instant": True} for name in "ABCDEFGH"
    ]
    defaults = {"unit": "none", "decimals": 2}
    write(stack, "long", {"type": "stat", "title": "S", "targets": targets, "fieldConfig": {"defaults": defaults}})

    page = shown.open(f"{stack.url}/d/long")
    panels(page)

    values = page.locator(".stat-value")
    expect(values).to_have_count(8)
    expect(values.first).to_have_text("-123 456.78")
    right = "(each) => each.getBoundingClientRect().right"
    assert values.evaluate_all(f"all => all.every(each => ({right})(each) <= ({right})(each.parentElement))")
