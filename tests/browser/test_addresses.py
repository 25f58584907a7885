"""An address holds the whole state, and a foreign name for this machine opens nothing."""

import re
from urllib.parse import urlsplit

import pytest
from browser_stack import Shown, Stack, program
from playwright.sync_api import Browser, expect
from shown_panels import panel, panels

pytestmark = pytest.mark.browser


def test_an_address_shows_another_person_the_same(stack: Stack, shown: Shown) -> None:
    page = shown.open(f"{stack.url}/?from=now-15m&to=now&refresh=30s&var-model=gpt-4o&viewPanel=14")

    assert [(each["title"], each["series"]) for each in panels(page)] == [("Spend per hour by model", 1)]
    expect(page.get_by_role("button", name="Time range: Last 15 minutes")).to_be_visible()
    expect(page.get_by_role("button", name="Model: gpt-4o")).to_be_visible()
    expect(page.get_by_role("button", name=re.compile("30s"))).to_be_visible()
    expect(panel(page, 14).locator(".legend")).to_contain_text("gpt-4o")
    page.get_by_role("link", name="All panels").click()
    expect(page).to_have_url(f"{stack.url}/?from=now-15m&to=now&refresh=30s&var-model=gpt-4o")
    assert len(panels(page)) == 17
    assert shown.complaints == []


def test_a_mistyped_address_says_so_and_leads_back(stack: Stack, shown: Shown) -> None:
    page = shown.open(f"{stack.url}/dashboards")

    expect(page.get_by_text("There is nothing at this address.")).to_be_visible()
    page.get_by_role("link", name="The overview").click()
    expect(page).to_have_url(f"{stack.url}/")
    assert len(panels(page)) == 17


def test_time_is_moved_by_keys(stack: Stack, shown: Shown) -> None:
    page = shown.open(f"{stack.url}/d/alerts?from=1795000000000&to=1795003600000")
    panels(page)

    page.keyboard.press("ArrowLeft")
    expect(page).to_have_url(re.compile("from=1794998200000&to=1795001800000"))
    page.keyboard.press("z")
    expect(page).to_have_url(re.compile("from=1794996400000&to=1795003600000"))


def test_a_foreign_name_that_leads_here_is_refused(browser: Browser, lonely: Stack) -> None:
    """DNS rebinding: the name of another site resolves to 127.0.0.1 once its page is open."""
    executable = program("TOPMAST_CHROMIUM", "chromium", "chromium-browser", "google-chrome")
    rebound = "--host-resolver-rules=MAP evil.example 127.0.0.1"
    port = urlsplit(lonely.url).port
    launched = browser.browser_type.launch(executable_path=executable, args=["--no-sandbox", rebound])
    try:
        page = launched.new_page()
        answer = page.goto(f"http://evil.example:{port}/")
        asked = page.evaluate("async () => (await fetch('/api/dashboards')).status")
    finally:
        launched.close()

    assert answer is not None
    assert (answer.status, asked) == (421, 421)
