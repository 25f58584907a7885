"""What is sent on its way and does not arrive is told; nothing is sent while something is down."""

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from topmast import verification
from topmast.checkup import Checkup, to_lines
from topmast.running import MAX_VERIFY_BYTES, append
from topmast.verification import Place

UP = {"labels": {"job": "exporter", "instance": "a:1"}, "health": "up", "scrapeInterval": "1ms"}


class Engines:
    """A stand-in for Prometheus, the page, Alertmanager and the ingest: answers by path."""

    def __init__(self) -> None:
        self.answers: dict[str, Callable[[], Any]] = {}
        engines = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.rfile.read(int(self.headers.get("content-length", 0)))
                made = engines.answers.get(urlsplit(self.path).path)
                body = json.dumps(made() if made else {}).encode()
                self.send_response(200 if made else 404)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_POST = do_GET  # noqa: N815 - as above

            def log_message(self, format: str, *args: object) -> None:
                """Keep quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def place(self, written: list[str]) -> Place:
        urls = [self.url] * 5
        return Place(*urls, token=lambda: "", log=written.append, arrival_seconds=0, scrape_seconds=0.01)


@pytest.fixture
def engines() -> Iterator[Engines]:
    made = Engines()
    thread = threading.Thread(target=made.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    made.server.shutdown()
    made.server.server_close()
    thread.join()


def test_with_one_component_dead_nothing_is_sent(engines: Engines) -> None:
    written: list[str] = []
    dead = Checkup("shipper", ok=False, message="does not answer")

    found = list(verification.verify([dead], engines.place(written)))

    assert [each.name for each in found if each.message == "not tried: shipper first"] == [
        "targets",
        "a line logged",
        "a metric sent",
        "an alert fired",
    ]
    assert written == []


def test_targets_that_are_down_are_named(engines: Engines) -> None:
    down = {**UP, "health": "down", "lastError": "connection refused"}
    engines.answers["/api/v1/targets"] = lambda: {"data": {"activeTargets": [UP, down]}}

    found = verification.targets(engines.place([]))

    assert found == Checkup(
        "targets", ok=False, message="1 of 2 are not up: exporter a:1: connection refused",
        remedy="topmast targets check",
    )  # fmt: skip


def test_a_prometheus_that_scrapes_nobody_is_no_success(engines: Engines) -> None:
    engines.answers["/api/v1/targets"] = lambda: {"data": {"activeTargets": []}}

    assert not verification.targets(engines.place([])).ok


@pytest.mark.parametrize("found", [True, False])
def test_a_line_is_found_or_not(engines: Engines, found: bool) -> None:
    engines.answers["/api/logs"] = lambda: {"documents": [{}] if found else []}
    written: list[str] = []

    told = verification.logged(engines.place(written))

    assert told.ok is found
    assert json.loads(written[0])["service.name"] == "topmast"


def test_a_metric_is_read_when_prometheus_counts_one_more(engines: Engines) -> None:
    counts = iter(["4", "4", "5"])
    engines.answers["/api/v1/query"] = lambda: {"data": {"result": [{"value": [0, next(counts)]}]}}
    engines.answers["/api/v1/targets"] = lambda: {"data": {"activeTargets": [UP]}}
    engines.answers["/v1/usage"] = lambda: {"accepted": 0, "rejected": [{"index": 0}]}

    assert verification.sent(engines.place([])).ok


def test_an_exporter_that_takes_what_is_no_event_is_told(engines: Engines) -> None:
    engines.answers["/api/v1/query"] = lambda: {"data": {"result": []}}
    engines.answers["/v1/usage"] = lambda: {"accepted": 1, "rejected": []}

    assert "answered" in verification.sent(engines.place([])).message


def test_an_alert_that_does_not_come_out_is_told(engines: Engines) -> None:
    engines.answers["/api/v2/alerts"] = dict
    engines.answers["/api/inbox"] = lambda: {"notifications": []}

    assert "did not reach the inbox" in verification.fired(engines.place([])).message


def test_an_engine_that_refuses_is_named_with_its_address(engines: Engines) -> None:
    found = verification.fired(engines.place([]))

    assert found.message.startswith(f"{engines.url}/api/v2/alerts: HTTP 404")


def test_the_file_of_lines_is_bounded(tmp_path: Path) -> None:
    path = tmp_path / "verify" / "verify.log"
    for _ in range(3):
        append(path, "x" * (MAX_VERIFY_BYTES - 10))

    assert path.stat().st_size < 2 * MAX_VERIFY_BYTES


def test_remedies_stand_below_what_they_mend() -> None:
    lines = to_lines([Checkup("disk", ok=False, message="full", remedy="empty it")])

    assert [line.replace("\x1b[31m", "").replace("\x1b[0m", "") for line in lines] == [
        "  FAILS  disk  full",
        "               → empty it",
    ]
