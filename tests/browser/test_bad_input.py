"""What the page is given at its worst: floods, engines that go away, single requests on a chart."""

import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from browser_stack import Shown, Stack, page_server, started
from playwright.sync_api import expect
from running import free_offset
from shown_panels import TIMESERIES, answering, matrix, panel, panels
from topmast.layout import Layout, find_home

pytestmark = pytest.mark.browser

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.fixture
def own(tmp_path: Path) -> Iterator[tuple[Layout, Stack]]:
    """A page of its own, without neighbours, and with one dashboard of two panels."""
    layout = Layout(find_home(), tmp_path / "state", free_offset())
    (layout.state / "dashboards").mkdir(parents=True)
    panels = [
        {"id": n, "gridPos": {"x": 0, "y": n * 8, "w": 12, "h": 8}, **model}
        for n, model in enumerate((TIMESERIES, {**TIMESERIES, "title": "B"}), 1)
    ]
    model = {"title": "Two", "uid": "two", "refresh": "5s", "panels": panels}
    (layout.state / "dashboards" / "two.json").write_text(json.dumps(model))
    with started(page_server(layout), layout, "page"):
        yield layout, Stack(f"http://localhost:{layout.port('page')}", layout.state)


def test_ten_thousand_series_are_bounded_with_a_word(own: tuple[Layout, Stack], shown: Shown) -> None:
    answering(shown.page, lambda path, form: matrix(form, 10_000 if path.endswith("query_range") else 1))

    page = shown.open(f"{own[1].url}/d/two?refresh=off")

    assert [(each["state"], each["series"]) for each in panels(page)] == [("ready", 100), ("ready", 100)]
    expect(panel(page, 1).locator(".panel-notes")).to_have_text("showing 100 of 10000 series")
    assert shown.complaints == []


@contextmanager
def prometheus(port: int) -> Iterator[None]:
    """Be a Prometheus for a while: every range query has one series."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            text = self.rfile.read(int(self.headers["content-length"])).decode()
            form = {key: values[0] for key, values in parse_qs(text).items()}
            self.reply(matrix(form))

        def do_GET(self) -> None:
            self.reply({"status": "success", "data": {"result": [], "groups": []}})

        def reply(self, told: dict[str, Any]) -> None:
            body = json.dumps(told).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Keep quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_a_prometheus_that_goes_and_comes_back(own: tuple[Layout, Stack], shown: Shown) -> None:
    layout, stack = own
    with prometheus(layout.port("prometheus")):
        page = shown.open(f"{stack.url}/d/two?refresh=off")
        assert [each["state"] for each in panels(page)] == ["ready", "ready"]

    page.keyboard.press("r")
    expect(panel(page, 1)).to_contain_text("Prometheus does not answer at http://127.0.0.1:")
    with prometheus(layout.port("prometheus")):
        page.keyboard.press("r")
        expect(panel(page, 1).locator(".plot canvas")).to_be_visible()
        expect(panel(page, 1)).not_to_contain_text("does not answer")

    assert shown.complaints == []


def test_a_single_request_leads_to_the_logs_of_its_trace(stack: Stack, shown: Shown) -> None:
    now = time.time()
    exemplar = {"labels": {"trace_id": TRACE}, "value": "0.5", "timestamp": now - 60}
    found = {"status": "success", "data": [{"seriesLabels": {"route_class": "api"}, "exemplars": [exemplar]}]}
    answering(shown.page, lambda path, form: found if path.endswith("exemplars") else matrix(form, 3, "route_class"))
    page = shown.open(f"{stack.url}/?viewPanel=5&refresh=off&from=now-5m")
    panels(page)

    page.get_by_role("button", name="Menu of Latency P50, P95, P99").click()
    page.get_by_role("button", name="Numbers or picture").click()

    table = page.get_by_role("table", name="Single requests, slowest first")
    expect(table).to_contain_text(TRACE)
    expect(table).to_contain_text("500 ms")
    table.get_by_role("link", name="Logs of this trace").click()
    expect(page).to_have_url(re.compile(f"/logs\\?q=trace.id%3A{TRACE}"))
    assert shown.complaints == []


def test_a_single_request_is_pointed_at_on_the_chart(stack: Stack, shown: Shown) -> None:
    middle = time.time() - 150
    exemplar = {"labels": {"trace_id": TRACE}, "value": "1.2", "timestamp": middle}
    found = {"status": "success", "data": [{"seriesLabels": {"route_class": "api"}, "exemplars": [exemplar]}]}
    answering(shown.page, lambda path, form: found if path.endswith("exemplars") else matrix(form, 3, "route_class"))
    page = shown.open(f"{stack.url}/?viewPanel=5&refresh=off&from=now-5m")
    panels(page)
    area = page.locator(".u-over").bounding_box()
    assert area

    menu = page.get_by_role("dialog", name="A single request")
    for row in range(4, round(area["height"]), 6):
        page.mouse.click(area["x"] + area["width"] / 2, area["y"] + row)
        if menu.count():
            break

    expect(menu).to_contain_text("1.2 s")
    expect(menu.get_by_role("link", name="Logs of this trace")).to_be_visible()
