"""A real Chromium, and a page to open: a running appliance (TOPMAST_BROWSER_URL), else a stack of the tests' own."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser_stack import (
    Shown,
    Stack,
    alertmanager,
    fill_store,
    page_server,
    program,
    prometheus_argv,
    started,
    write_inbox,
    write_logs,
)
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, expect, sync_playwright
from running import free_offset
from topmast.layout import Layout, find_home

MILLISECONDS = 20_000
"""How long a tab and what is expected of it are waited for: on a busy machine, too."""


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    expect.set_options(timeout=MILLISECONDS)
    executable = program("TOPMAST_CHROMIUM", "chromium", "chromium-browser", "google-chrome")
    with sync_playwright() as playwright:
        # As root, and in most containers, Chromium's own sandbox cannot start.
        launched = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox", "--disable-gpu"])
        yield launched
        launched.close()


@pytest.fixture
def context(browser: Browser, request: pytest.FixtureRequest) -> Iterator[BrowserContext]:
    """A fresh profile. Parametrize indirectly with the arguments of `new_context`."""
    wanted = {"viewport": {"width": 1440, "height": 900}, "color_scheme": "dark", **getattr(request, "param", {})}
    made = browser.new_context(**wanted)
    yield made
    made.close()


@pytest.fixture
def shown(context: BrowserContext) -> Shown:
    page = context.new_page()
    page.set_default_timeout(MILLISECONDS)
    tab = Shown(page)

    def heard(message: ConsoleMessage) -> None:
        # Chromium drops what is on its way when the machine's network changes (a Docker network that is made):
        # that is no complaint about the page, which asks again.
        if message.type in ("error", "warning") and "ERR_NETWORK_CHANGED" not in message.text:
            tab.complaints.append(message.text)

    page.on("console", heard)
    page.on("pageerror", lambda error: tab.complaints.append(str(error)))
    return tab


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    running = os.environ.get("TOPMAST_BROWSER_URL")
    if running:
        yield Stack(running.rstrip("/"), None)
        return
    promtool = program("TOPMAST_PROMTOOL", "promtool")
    beside = Path(promtool).with_name("prometheus")
    prometheus = str(beside) if beside.is_file() else program("TOPMAST_PROMETHEUS", "prometheus")
    layout = Layout(find_home(), tmp_path_factory.mktemp("state"), free_offset())
    engine = prometheus_argv(prometheus, layout)
    fill_store(promtool, engine, layout)
    write_logs(layout)
    write_inbox(layout)
    with (
        started(engine, layout, "prometheus"),
        alertmanager(Path(promtool), layout),
        started(page_server(layout), layout, "page"),
    ):
        yield Stack(f"http://localhost:{layout.port('page')}", layout.state)


@pytest.fixture(scope="session")
def lonely(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The page without any neighbour."""
    layout = Layout(find_home(), tmp_path_factory.mktemp("lonely"), free_offset())
    with started(page_server(layout), layout, "page"):
        yield Stack(f"http://localhost:{layout.port('page')}", layout.state)
