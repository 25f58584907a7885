"""`topmast backtest` asks the Prometheus at hand; here are its edges, and a Prometheus of canned answers."""

import json
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import parse_qs

import pytest

GROUP = {
    "interval": 15,
    "lastEvaluation": "2026-03-01T10:00:00Z",
    "rules": [{"name": "ShopQuiet", "query": "shop_orders > 3", "duration": 600}],
}


class PrometheusStandIn(BaseHTTPRequestHandler):
    """Answers every range with 0.95 in the second quarter of the span, and knows one rule."""

    def do_POST(self) -> None:
        data = parse_qs(self.rfile.read(int(self.headers["content-length"])).decode())
        start, end, step = (float(data[name][0]) for name in ("start", "end", "step"))
        quarter = (end - start) / 4
        values = []
        at = start + quarter
        while at < start + 2 * quarter:
            values.append([at, "0.95"])
            at += step
        limit = data["query"][0].rpartition("> ")[2]
        if "> 0.99" in data["query"][0]:
            values = []
        if data["query"][0] == "count(up)":
            values = [[start, "1"]]
        metric = {"instance": "a:9100", "limit": limit}
        if "ALERTS" in data["query"][0]:
            metric = {"alertname": "HostCpuHigh", "alertstate": "firing"}
        self._say({"status": "success", "data": {"result": [{"metric": metric, "values": values}] if values else []}})

    def do_GET(self) -> None:
        self._say({"status": "success", "data": {"groups": [GROUP]}})

    def _say(self, document: object) -> None:
        raw = json.dumps(document).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), PrometheusStandIn)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        pytest.param(("HostCpuHi",), 1, "did you mean HostCpuHigh", id="a slip"),
        pytest.param(("HostCpuHigh", "--since", "yesterday"), 78, "write it as 5m or 1h30m", id="no time"),
        pytest.param(("HostCpuHigh", "--since", "9y"), 78, "between 1m and 1y", id="too long"),
        pytest.param(("HostCpuHigh", "--threshold", "lots"), 78, "write 0.85 or 85%", id="no threshold"),
        pytest.param(("RedisDown", "--threshold", "2"), 1, "it has no threshold to change", id="a state"),
        pytest.param(("HostCpuHigh", "--wanted", "few"), 78, "write 2/week, 1/day", id="no rate"),
        pytest.param(("HostCpuHigh", "--timezone", "Mars/Base"), 78, "no such time zone", id="no zone"),
        pytest.param(("--threshold", "0.9"), 2, "name the alert", id="of which alert"),
        pytest.param(("none.yml",), 1, "none.yml: cannot be read", id="no file"),
    ],
)
def test_what_cannot_be_asked(topmast, url: str, arguments: tuple[str, ...], code: int, told: str) -> None:
    answer = topmast("backtest", "--url", url, *arguments)

    assert answer.code == code
    assert told in answer.err


def test_without_an_appliance_it_says_where_to_look(topmast) -> None:
    answer = topmast("backtest", "HostCpuHigh")

    assert answer.code == 3
    assert "--url" in answer.err


def test_an_alert_with_another_threshold_and_one_that_is_quiet(topmast, url: str, tmp_path: Path) -> None:
    page = tmp_path / "report.html"

    answer = topmast(
        *("backtest", "HostCpuHigh", "--url", url, "--since", "1d", "--threshold", "99%", "--wanted", "0/week"),
        *("--json", "--html", str(page)),
    )

    told = json.loads(answer.out)
    now, then = told["rules"]
    assert (answer.code, now["firings"], then["firings"]) == (0, 1, 0)
    assert now["episodes"][0]["fired"] - now["episodes"][0]["active"] == 600
    assert now["episodes"][0]["ended"] < time.time()
    assert told["notes"][0].startswith("changed: firings 0 instead of 1")
    assert "topmast alerts set HostCpuHigh --threshold" in told["notes"][1]
    assert "HostCpuHigh threshold 99%" in page.read_text()


def test_a_file_of_ones_own(topmast, url: str, tmp_path: Path) -> None:
    mine = tmp_path / "mine.yml"
    mine.write_text("groups: [{name: a, rules: [{alert: Mine, expr: shop_orders > 5, for: 1m}]}]\n")

    answer = topmast("backtest", str(mine), "--url", url, "--since", "6h")

    assert answer.code == 0
    assert answer.out.startswith("Mine\nfired once in 6h, ")


def test_what_did_fire_is_scored(topmast, url: str) -> None:
    answer = topmast("backtest", "--url", url, "--since", "1d", "--json")

    (alert,) = json.loads(answer.out)["alerts"]
    assert (alert["name"], alert["firings"], alert["noise"]) == ("HostCpuHigh", 1, 0.0)


@pytest.mark.parametrize(
    ("expression", "wait", "told"),
    [
        pytest.param("shop_orders > 0.99", "10m", "changed: firings 0 instead of 1", id="a higher threshold"),
        pytest.param("shop_orders > 5", "12h", "; no longer told: ", id="a longer wait"),
        pytest.param("shop_orders > 5", "10m", "unchanged: it would have fired just as it did", id="no difference"),
    ],
)
def test_a_changed_file_stands_beside_the_rule_that_is_loaded(
    topmast, url: str, tmp_path: Path, expression: str, wait: str, told: str
) -> None:
    mine = tmp_path / "mine.yml"
    mine.write_text(f"groups: [{{name: a, rules: [{{alert: ShopQuiet, expr: {expression}, for: {wait}}}]}}]\n")

    answer = topmast("backtest", str(mine), "--url", url, "--since", "1d", "--json")

    document = json.loads(answer.out)
    assert [(each["name"], each["for"]) for each in document["rules"]] == [
        ("ShopQuiet as it is loaded", "10m"),
        ("ShopQuiet of mine.yml", wait),
    ]
    assert told in document["notes"][0]


def test_the_noise_is_also_a_page(topmast, url: str, tmp_path: Path) -> None:
    page = tmp_path / "noise.html"

    answer = topmast("backtest", "--url", url, "--since", "1d", "--html", str(page))

    assert answer.code == 0
    assert "<h2>HostCpuHigh</h2><pre>noise 0\nfired once in 1d" in page.read_text()
