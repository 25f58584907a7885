"""The log search: what is found is marked and narrowed, a tail lives, what is wrong in a search is pointed at."""

import re

import pytest
from browser_stack import Shown, Stack, line
from playwright.sync_api import expect
from shown_panels import OWN_STACK
from topmast.layout import Layout, find_home
from topmast_shipper.sinks.sqlite import Config, SqliteSink

pytestmark = pytest.mark.browser


def test_logs_are_searched_narrowed_and_marked(stack: Stack, shown: Shown) -> None:
    if stack.state is None:
        pytest.skip(OWN_STACK)
    page = shown.open(f"{stack.url}/logs")
    box = page.get_by_role("searchbox", name="Search the logs")
    expect(box).to_be_visible()

    page.keyboard.press("/")
    expect(box).to_be_focused()
    page.keyboard.type("checkout")
    page.keyboard.press("Enter")

    lines = page.locator(".line")
    expect(lines).to_have_count(10)
    expect(lines.first.locator("mark")).to_have_text("checkout")
    expect(lines.first).to_contain_text("<b>checkout</b> failed for order 0")
    page.get_by_role("button", name=re.compile("^nginx")).click()
    expect(page).to_have_url(re.compile("service.name"))
    expect(lines).to_have_count(10)
    assert shown.complaints == []


def test_a_broken_search_says_where(stack: Stack, shown: Shown) -> None:
    page = shown.open(f"{stack.url}/logs?q=level:error+%22never")

    expect(page.get_by_role("alert")).to_contain_text("this quotation mark is never closed")
    expect(page.get_by_role("alert").locator("pre")).to_have_text('level:error "never\n            ^')
    assert shown.complaints == []


def test_a_tail_shows_what_is_logged_while_one_looks(stack: Stack, shown: Shown) -> None:
    if stack.state is None:
        pytest.skip(OWN_STACK)
    page = shown.open(f"{stack.url}/logs?q=finished")
    tail = page.get_by_role("button", name="Live tail")
    newest = page.locator(".line").first
    expect(newest).to_contain_text("request 1 finished")

    tail.click()
    expect(page.get_by_role("button", name="Tailing")).to_have_attribute("aria-pressed", "true")
    sink = SqliteSink(Config(Layout(find_home(), stack.state).log_store))
    sink.send([line(-1)])
    sink.close()

    expect(newest).to_contain_text("request -1 finished")
    page.get_by_role("button", name="Earlier").click()
    expect(tail).to_have_attribute("aria-pressed", "false")
    assert shown.complaints == []
