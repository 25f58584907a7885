"""Panels as the page shows them, and dashboards dropped into the user's folder."""

import json
from typing import Any

import pytest
from browser_stack import Stack
from playwright.sync_api import Page
from running import wait_for

OWN_STACK = "needs the tests' own stack, not TOPMAST_BROWSER_URL"
TIMESERIES = {"type": "timeseries", "title": "A", "targets": [{"refId": "A", "expr": "up"}]}


def panels(page: Page) -> list[dict[str, Any]]:
    """Return what the page says about its panels, once none of them is loading."""

    def settled() -> list[dict[str, Any]] | None:
        told: list[dict[str, Any]] | None = page.evaluate("() => window.topmastPanels ?? null")
        return told if told and all(each["state"] != "loading" for each in told) else None

    found: list[dict[str, Any]] = wait_for("every panel is drawn or says why not", settled, 30)
    return found


def panel(page: Page, number: int) -> Any:
    return page.locator(f"[data-panel-id='{number}']")


def write(stack: Stack, name: str, *models: dict[str, Any]) -> None:
    """Drop a dashboard into the user's folder: panels beside each other, ids from 1."""
    if stack.state is None:
        pytest.skip(OWN_STACK)
    laid = [{"id": n, "gridPos": {"x": 0, "y": n * 6, "w": 12, "h": 6}, **model} for n, model in enumerate(models, 1)]
    folder = stack.state / "dashboards"
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps({"title": name, "uid": name, "panels": laid}))
