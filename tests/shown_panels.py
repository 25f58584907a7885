"""Panels as the page shows them, dashboards dropped into the user's folder, answers written by hand."""

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

import pytest
from browser_stack import Stack
from playwright.sync_api import Page, Route
from running import wait_for

Reply = Callable[[str, dict[str, str]], dict[str, Any]]
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


def write(stack: Stack, name: str, *models: dict[str, Any], **more: Any) -> None:
    """Drop a dashboard into the user's folder: panels beside each other, ids from 1; `more` are keys of its own."""
    if stack.state is None:
        pytest.skip(OWN_STACK)
    laid = [{"id": n, "gridPos": {"x": 0, "y": n * 6, "w": 12, "h": 6}, **model} for n, model in enumerate(models, 1)]
    folder = stack.state / "dashboards"
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps({"title": name, "uid": name, "panels": laid, **more}))


def matrix(form: dict[str, str], series: int = 1, name: str = "s") -> dict[str, Any]:
    """Return a range answer of so many flat series, with the last twenty of the times that were asked for."""
    start, end, step = (float(form[key]) for key in ("start", "end", "step"))
    # A flood is told in few points, so that it is the number of series that floods.
    times = [start + step * at for at in range(round((end - start) / step) + 1)][-3 if series > 99 else -20 :]
    result = [{"metric": {name: str(at)}, "values": [[each, str(at)] for each in times]} for at in range(series)]
    return {"status": "success", "data": {"resultType": "matrix", "result": result}}


def answering(page: Page, reply: Reply) -> None:
    """Let the page's queries be answered here, as its server would."""

    def answer(route: Route) -> None:
        lines = []
        for number, asked in enumerate(json.loads(route.request.post_data or "[]")):
            form = {key: values[0] for key, values in parse_qs(asked["form"]).items()}
            lines.append(json.dumps({"id": number, "status": 200, "body": reply(asked["path"], form)}))
        route.fulfill(body="\n".join(lines) + "\n", content_type="application/x-ndjson")

    page.route("**/api/batch", answer)
