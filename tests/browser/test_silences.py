"""An alert is silenced with one confirmation, by mouse or by keys, and the silence is ended again."""

import re

import pytest
from browser_stack import Shown, Stack
from playwright.sync_api import expect

pytestmark = pytest.mark.browser


def test_an_alert_is_silenced_and_the_silence_ended(stack: Stack, shown: Shown) -> None:
    page = shown.open(f"{stack.url}/alerts/HostCpuHigh")

    page.get_by_role("button", name="Silence HostCpuHigh").click()
    dialog = page.get_by_role("dialog", name="Silence HostCpuHigh")
    dialog.get_by_label("4 hours").check()
    dialog.get_by_role("textbox", name="Why").fill("a <b>deploy</b>")
    dialog.get_by_role("button", name="Silence").click()

    silences = page.get_by_role("list", name="Silences").get_by_role("listitem")
    expect(silences).to_have_count(1)
    expect(silences).to_contain_text('alertname="HostCpuHigh"')
    expect(silences).to_contain_text("a <b>deploy</b>")
    page.goto(f"{stack.url}/alerts")
    expect(page.get_by_role("list", name="Silences")).to_contain_text("HostCpuHigh")
    page.get_by_role("button", name="End the silence of HostCpuHigh").click()
    expect(silences).to_have_count(0)
    assert shown.complaints == []


def test_a_silence_by_keys_alone(stack: Stack, shown: Shown) -> None:
    page = shown.open(f"{stack.url}/alerts/RedisDown")
    page.get_by_role("button", name="Silence RedisDown").focus()

    page.keyboard.press("Enter")
    page.get_by_role("dialog").get_by_role("textbox", name="Why").press("Enter")

    end = page.get_by_role("button", name="End the silence of RedisDown")
    expect(end).to_be_visible()
    end.press("Enter")
    expect(end).to_have_count(0)


def test_without_alertmanager_the_form_says_so_and_stays(lonely: Stack, shown: Shown) -> None:
    page = shown.open(f"{lonely.url}/alerts/RedisDown")

    page.get_by_role("button", name="Silence RedisDown").click()
    page.get_by_role("dialog").get_by_role("button", name="Silence").click()

    expect(page.get_by_role("dialog").get_by_role("alert")).to_have_text(re.compile("Alertmanager does not answer"))
    assert shown.complaints == []
