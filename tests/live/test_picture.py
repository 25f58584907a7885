"""The running demo in a browser: 17 panels with data, and the picture that stands in the README."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from running import Appliance

pytestmark = pytest.mark.browser


def test_the_page_draws_17_panels_of_the_running_demo(demo: Appliance, tmp_path: Path) -> None:
    # TOPMAST_PICTURES=docs/pictures renews the README's picture, of a demo with some minutes behind it; a test run
    # leaves the tree as it is.
    picture = Path(os.environ.get("TOPMAST_PICTURES", tmp_path)) / "overview.png"
    minutes = 4 if "TOPMAST_PICTURES" in os.environ else 0

    # In a thread of its own: another test's Playwright may keep an event loop in this one.
    with ThreadPoolExecutor(1) as thread:
        panels, complaints = thread.submit(draw, f"http://localhost:{demo.port(3001)}/", picture, minutes).result()

    assert panels == 17
    assert complaints == []
    assert picture.stat().st_size > 50_000


def draw(page: str, picture: Path, minutes: int) -> tuple[int, list[str]]:
    """Return how many panels there are once 17 have data, and what the console complained about."""
    from playwright.sync_api import sync_playwright

    complaints: list[str] = []
    with sync_playwright() as play:
        browser = play.chromium.launch(
            executable_path=os.environ["TOPMAST_CHROMIUM"],
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"],
        )
        tab = browser.new_page(viewport={"width": 1600, "height": 1000}, color_scheme="dark")
        tab.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        tab.on("pageerror", lambda error: complaints.append(str(error)))
        tab.goto(page)
        tab.locator("[data-panel-id][data-state=ready]").nth(16).wait_for(state="attached", timeout=90_000)
        tab.wait_for_timeout(minutes * 60_000)
        panels = tab.locator("[data-panel-id]").count()
        tab.screenshot(path=picture, full_page=True)
        browser.close()
    return panels, complaints
