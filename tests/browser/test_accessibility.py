"""Nothing on any page keeps somebody out: axe-core finds nothing serious, in dark and light, with menus open."""

from collections.abc import Callable

import axe
import pytest
from browser_stack import Shown, Stack
from playwright.sync_api import BrowserContext, Page, expect
from shown_panels import panels, write

pytestmark = pytest.mark.browser


def press(name: str) -> Callable[[Page], None]:
    return lambda page: page.get_by_role("button", name=name).first.click()


def heading(page: Page) -> None:
    expect(page.get_by_role("heading", level=1)).to_be_visible()


VIEWS = [
    pytest.param("/", panels, id="overview"),
    *(pytest.param(f"/d/{name}", panels, id=name) for name in ("llm-cost", "agents", "databases", "self", "alerts")),
    pytest.param("/?viewPanel=5", press("Menu of Latency P50, P95, P99"), id="a panel's menu"),
    pytest.param("/", press("Time range"), id="the time range"),
    pytest.param("/", press("Model: All"), id="a variable"),
    pytest.param("/alerts", heading, id="alerts"),
    pytest.param("/alerts/HostCpuHigh", press("Silence HostCpuHigh"), id="an alert"),
    pytest.param("/inbox", lambda page: expect(page.locator(".message").first).to_be_visible(), id="inbox"),
    pytest.param("/logs", lambda page: page.locator(".line button").first.click(), id="logs"),
    pytest.param("/runbooks", heading, id="runbooks"),
    pytest.param("/runbooks/RedisDown", heading, id="a runbook"),
]


@pytest.mark.parametrize(("path", "then"), VIEWS)
def test_nothing_serious_in_dark_in_light_and_on_a_phone(
    stack: Stack, shown: Shown, context: BrowserContext, path: str, then: Callable[[Page], object]
) -> None:
    axe.prepare(context)
    page = shown.open(stack.url + path)
    heading(page)
    then(page)

    page.emulate_media(reduced_motion="reduce")
    dark = axe.serious(page)
    page.emulate_media(color_scheme="light")
    light = axe.serious(page)
    page.set_viewport_size({"width": 390, "height": 844})
    phone = axe.serious(page)
    wide = page.evaluate("() => document.documentElement.scrollWidth - innerWidth")

    assert (dark, light, phone) == ([], [], [])
    assert wide <= 0, "it scrolls sideways on a phone"


def test_a_red_tile_can_be_read_in_the_systems_theme(stack: Stack, shown: Shown, context: BrowserContext) -> None:
    axe.prepare(context)
    steps = {"mode": "absolute", "steps": [{"color": "red", "value": None}]}
    options = {"colorMode": "background", "textMode": "value_and_name"}
    targets = [{"refId": "A", "expr": "vector(1)", "legendFormat": "critical", "instant": True}]
    tile = {"type": "stat", "title": "S", "targets": targets, "options": options}
    write(stack, "red", {**tile, "fieldConfig": {"defaults": {"thresholds": steps, "color": {"mode": "thresholds"}}}})
    page = shown.open(f"{stack.url}/d/red")
    panels(page)

    page.emulate_media(color_scheme="dark")
    dark = axe.serious(page)
    page.emulate_media(color_scheme="light")
    light = axe.serious(page)

    expect(page.locator(".stat[data-status=red]")).to_have_count(1)
    assert (dark, light) == ([], [])
