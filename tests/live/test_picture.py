"""The running demo in a browser: 17 panels with data, and the picture that stands in the README."""

import os
from pathlib import Path

import pytest
from running import Appliance

pytestmark = pytest.mark.browser


def test_the_page_draws_17_panels_of_the_running_demo(demo: Appliance, tmp_path: Path) -> None:
    from playwright.sync_api import sync_playwright

    # TOPMAST_PICTURES=docs/pictures renews the README's picture; a test run leaves the tree as it is.
    pictures = Path(os.environ.get("TOPMAST_PICTURES", tmp_path))
    with sync_playwright() as play:
        browser = play.chromium.launch(
            executable_path=os.environ["TOPMAST_CHROMIUM"],
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"],
        )
        tab = browser.new_page(viewport={"width": 1600, "height": 1000}, color_scheme="dark")
        complaints: list[str] = []
        tab.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        tab.on("pageerror", lambda error: complaints.append(str(error)))
        tab.goto(f"http://localhost:{demo.port(3001)}/?from=now-5m")
        tab.wait_for_function(
            "document.querySelectorAll('[data-panel-id][data-state=ready]').length === 17", timeout=90_000
        )
        titles = tab.locator("[data-panel-id]").count()
        tab.screenshot(path=pictures / "overview.png", full_page=True)
        browser.close()

    assert titles == 17
    assert complaints == []
    assert (pictures / "overview.png").stat().st_size > 50_000
