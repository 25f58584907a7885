"""A panel is asked as the page asks it, and a value that cannot be right is told."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from http_stub import serving
from topmast import check, dashboardfile, panelquery
from topmast.dashboardfile import File
from topmast.errors import TopmastError
from topmast.panelquery import Prometheus, Reading, Window

WINDOW = Window(1000, 1300, 1.5)


def dashboard(folder: Path, unit: str, **more: Any) -> File:
    panel = {
        "id": 1,
        "type": "timeseries",
        "title": "Load",
        "fieldConfig": {"defaults": {"unit": unit, **more}},
        "targets": [
            {"refId": "A", "expr": 'rate(x{instance=~"$instance"}[$__rate_interval])'},
            {"refId": "B", "expr": "x @ end() < 0", "exemplar": True},
        ],
    }
    (folder / "mine.json").write_text(json.dumps({"panels": [panel]}))
    [file] = dashboardfile.read(check.read([folder], folder))
    return file


def answer(*values: str) -> bytes:
    matrix = [{"metric": {}, "values": [[1000 + number, value] for number, value in enumerate(values)]}]
    return json.dumps({"status": "success", "data": {"resultType": "matrix", "result": matrix}}).encode()


def test_variables_and_windows_are_put_in(tmp_path: Path) -> None:
    file = dashboard(tmp_path, "short")
    with serving() as stub:
        stub.answer = answer("1", "2")
        reading = panelquery.read(Prometheus(stub.url), file, file.panels[0], WINDOW, instance="a.b:1")

    [(_, path, body)] = stub.asked
    asked: Mapping[str, list[str]] = parse_qs(body.decode())
    assert reading == Reading(1, 2)
    assert path == "/api/v1/query_range"
    assert asked["query"] == ['rate(x{instance=~"a\\\\.b:1"}[6s])']
    assert (asked["start"], asked["end"], asked["step"]) == (["1000.000"], ["1300.000"], ["2.000"])


@pytest.mark.parametrize(
    ("unit", "more", "values", "expected"),
    [
        pytest.param("percentunit", {"max": 1}, ["0.5", "1"], (), id="a share"),
        pytest.param("percentunit", {"max": 1}, ["1.00035"], (), id="all, of scrapes that were a little late"),
        pytest.param(
            "percentunit", {"max": 1}, ["0.5", "1.2"], ("Load, A: 1.2 is no percentunit",), id="more than all"
        ),
        pytest.param("percentunit", {}, ["14.4"], (), id="a share that may be more than all"),
        pytest.param("s", {}, ["-1"], ("Load, A: -1 is no s",), id="a negative time"),
        pytest.param("bytes", {}, ["+Inf"], ("Load, A: inf",), id="infinite"),
        pytest.param("suffix:/s", {}, ["-3"], ("Load, A: -3 is no suffix:/s",), id="a negative rate"),
        pytest.param("s", {}, ["NaN", "1"], (), id="a quantile of nothing"),
    ],
)
def test_values_are_those_of_their_unit(
    tmp_path: Path, unit: str, more: dict[str, Any], values: list[str], expected: tuple[str, ...]
) -> None:
    file = dashboard(tmp_path, unit, **more)
    with serving() as stub:
        stub.answer = answer(*values)
        reading = panelquery.read(Prometheus(stub.url), file, file.panels[0], WINDOW)

    assert reading.wrong == expected


def test_a_series_of_nothing_but_nan_is_no_data(tmp_path: Path) -> None:
    file = dashboard(tmp_path, "s")
    with serving() as stub:
        stub.answer = answer("NaN", "NaN")
        reading = panelquery.read(Prometheus(stub.url), file, file.panels[0], WINDOW)

    assert not reading.has_data


def test_what_prometheus_refuses_is_told(tmp_path: Path) -> None:
    file = dashboard(tmp_path, "s")
    with serving() as stub:
        stub.status, stub.answer = 400, b'{"status": "error", "error": "parse error"}'
        reading = panelquery.read(Prometheus(stub.url), file, file.panels[0], WINDOW)

    assert reading.errors == (f"Load, A: {stub.url}: parse error",)


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        pytest.param(["15s"], 15, id="15s"),
        pytest.param(["1.5s", "1m"], 60, id="the longest"),
        pytest.param([], 15, id="-"),
    ],
)
def test_the_scrape_interval_is_prometheus_own(said: list[str], seconds: float) -> None:
    result = [{"metric": {"interval": each}, "value": [0, "1"]} for each in said]
    with serving() as stub:
        stub.answer = json.dumps({"status": "success", "data": {"resultType": "vector", "result": result}}).encode()
        found = Prometheus(stub.url).scrape_seconds()

    assert found == seconds


def test_nobody_there_is_said() -> None:
    with pytest.raises(TopmastError, match=r"127\.0\.0\.1:9"):
        Prometheus("http://127.0.0.1:9").instant("up", 0)
