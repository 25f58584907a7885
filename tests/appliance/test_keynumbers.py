"""The terminal's numbers come through the overview's own panels; what is not there has no value."""

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs

import pytest
from topmast import keynumbers
from topmast.keynumbers import KEYS, Alert, Key, Number, color_of, interpolated, number, read
from topmast.layout import find_home

THRESHOLDS = {"thresholds": {"steps": [{"color": "green", "value": None}, {"color": "red", "value": 0.1}]}}
PANEL: dict[str, Any] = {
    "targets": [{"refId": "A", "legendFormat": "{{job}}"}],
    "fieldConfig": {"defaults": {"unit": "percentunit", **THRESHOLDS}, "overrides": []},
}


def overview() -> dict[int, dict[str, Any]]:
    path = find_home() / "monitoring" / "grafana" / "dashboards" / keynumbers.OVERVIEW
    return {panel["id"]: panel for panel in json.loads(path.read_text())["panels"] if panel["type"] != "row"}


def test_every_key_is_a_panel_of_the_overview_and_names_series_of_it() -> None:
    panels = overview()

    def named(key: Key) -> bool:
        legends = " | ".join(target.get("legendFormat", "") for target in panels[key.panel]["targets"])
        words = key.series.strip("^$").split(" ")
        return not key.series or "{{" in legends or all(word in legends for word in words)

    assert [key.name for key in KEYS if key.panel not in panels or not named(key)] == []


def test_series_become_one_and_the_threshold_gives_the_colour() -> None:
    series: dict[str, list[float | None]] = {"a": [0.01, 0.02, None], "b": [None, 0.3, 0.2]}

    assert number(Key("x", 1, join=max), PANEL, series, recent=2) == Number(
        "x", "percentunit", "red", 0.2, (0.01, 0.3, 0.2)
    )


def test_what_is_long_gone_has_no_value() -> None:
    told = number(Key("x", 1), PANEL, {"a": [0.3, None, None]}, recent=2)

    assert (told.value, told.color, told.history) == (None, "text", (0.3, None, None))


def test_without_any_series_there_is_nothing() -> None:
    assert number(Key("x", 1, "^nothing"), PANEL, {"a": [1.0]}, recent=2).history == ()


@pytest.mark.parametrize(("value", "color"), [(None, "text"), (-1.0, "green"), (0.1, "red")])
def test_the_first_step_holds_from_below(value: float | None, color: str) -> None:
    assert color_of(THRESHOLDS, value) == color


def test_variables_are_everything_and_groups_of_a_replacement_stay() -> None:
    query = (
        'label_replace(rate(x{e=~"$environment", f=~"${feature:regex}"}[$__rate_interval]), "c", "${1}xx", "s", "")'
    )

    assert interpolated(query) == 'label_replace(rate(x{e=~".*", f=~".*"}[1m]), "c", "${1}xx", "s", "")'


class Prometheus(BaseHTTPRequestHandler):
    """Answers every range query with the last three points of one series, and one alert besides the Watchdog."""

    def do_POST(self) -> None:
        form = parse_qs(self.rfile.read(int(self.headers["content-length"])).decode())
        end, step = float(form["end"][0]), float(form["step"][0])
        values = [[end - step * back, str(value)] for back, value in ((2, 1), (1, "NaN"), (0, 1))]
        self.reply({"result": [{"metric": {"job": "app", "route_class": "api"}, "values": values}]})

    def do_GET(self) -> None:
        since = "2026-05-01T12:00:00Z"
        alerts = [
            {"state": "firing", "activeAt": since, "labels": {"alertname": name, "severity": "critical"},
             "annotations": {"summary": "it is down"}}
            for name in ("Watchdog", "RedisDown")
        ]  # fmt: skip
        self.reply({"alerts": [*alerts, {"state": "pending", "labels": {"alertname": "X"}}]})

    def reply(self, data: object) -> None:
        body = json.dumps({"status": "success", "data": data}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Keep quiet."""


def test_a_reading_has_services_numbers_and_what_fires() -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Prometheus)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        found = read(f"http://127.0.0.1:{server.server_port}", find_home() / "monitoring", 1_800_000_000, 900, 60)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

    assert found.services == {"app": True}
    assert found.alerts == (Alert("RedisDown", "critical", "it is down", "2026-05-01T12:00:00Z"),)
    latency = next(each for each in found.numbers if each.name == "latency P95")
    assert (latency.value, latency.unit, latency.history[-3:]) == (1.0, "s", (1.0, None, 1.0))
    assert found.error == ""


def test_a_prometheus_that_is_gone_is_said_to_be() -> None:
    found = read("http://127.0.0.1:9", find_home() / "monitoring", 1_800_000_000, 900, 60)

    assert found.error == "Prometheus does not answer at http://127.0.0.1:9; `topmast status` tells more"
