"""The labels of a pushed request: the same limits as those that the application's own middleware has."""

import pytest
from topmast_exporter.otlp.buckets import PointError
from topmast_exporter.otlp.points import Point
from topmast_exporter.otlp.request_points import Labels, buckets_of, divisor_of, labels_of, without_twins

NEW = {"http.request.method": "GET", "http.route": "/items/{item}", "http.response.status_code": 200}


def point(told=None, **changes):
    given = {
        "metric": "http.server.request.duration",
        "resource": {},
        "told": NEW if told is None else told,
        "identity": "i",
        "group": "g",
        "cumulative": True,
        "start": 1,
        "at": 2,
        "total": 1.0,
        "count": 1,
        "origin": "o",
        **changes,
    }
    return Point(**given)


@pytest.mark.parametrize(
    ("told", "labels"),
    [
        pytest.param(NEW, ("GET", "/items/{item}", "api", "200"), id="new names"),
        pytest.param(
            {"http.method": "POST", "http.route": "/ask", "http.status_code": "503"},
            ("POST", "/ask", "api", "503"),
            id="old names, a number as text",
        ),
        pytest.param(
            {**NEW, "http.request.method": "_OTHER"}, ("_other", "/items/{item}", "api", "200"), id="method"
        ),
        pytest.param({**NEW, "http.request.method": "BREW"}, ("_other", "/items/{item}", "api", "200"), id="tea"),
        pytest.param({"http.request.method": "GET"}, ("GET", "__unmatched__", "api", "_other"), id="no route"),
        pytest.param(
            {"http.request.method": "GET", "http.target": "/items/7?key=secret", "http.status_code": 200},
            ("GET", "__unmatched__", "api", "200"),
            id="an address is no route",
        ),
        pytest.param(
            {"http.request.method": "GET", "http.route": "/x", "error.type": "ValueError"},
            ("GET", "/x", "api", "500"),
            id="an exception that nobody answered",
        ),
        pytest.param(
            {**NEW, "http.response.status_code": 99}, ("GET", "/items/{item}", "api", "_other"), id="no status"
        ),
        pytest.param({**NEW, "http.route": "/healthz"}, ("GET", "/healthz", "health", "200"), id="health"),
        pytest.param(
            {**NEW, "topmast.route_class": "llm"}, ("GET", "/items/{item}", "llm", "200"), id="its class is told"
        ),
        pytest.param(
            {**NEW, "topmast.route_class": "gold"}, ("GET", "/items/{item}", "api", "200"), id="no class of ours"
        ),
    ],
)
def test_labels(told, labels):
    assert labels_of(point(told)) == Labels(*labels)


def test_fastapis_old_metric_names_its_route_as_the_target():
    told = {"http.method": "GET", "http.target": "/items/{item}", "http.status_code": 200}

    assert labels_of(point(told, scope="opentelemetry.instrumentation.fastapi")).route == "/items/{item}"


def test_a_function_says_the_class_of_all_its_requests():
    assert labels_of(point(resource={"topmast.route_class": "llm"})).route_class == "llm"


@pytest.mark.parametrize(
    ("metric", "unit", "divisor"),
    [
        pytest.param("http.server.request.duration", "s", 1, id="seconds"),
        pytest.param("http.server.request.duration", "", 1, id="the new name, no unit"),
        pytest.param("http.server.duration", "", 1_000, id="the old name, no unit"),
        pytest.param("http.server.duration", "s", 1, id="the old name in seconds"),
    ],
)
def test_the_unit_is_the_metrics_own(metric, unit, divisor):
    assert divisor_of(point(metric=metric, unit=unit)) == divisor


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        pytest.param({"buckets": (1, 1), "bounds": (0.1,)}, "bad_buckets", id="more in the buckets than counted"),
        pytest.param({"summed": False}, "no_sum", id="no sum"),
    ],
)
def test_numbers_that_contradict_each_other_are_refused(changes, reason):
    with pytest.raises(PointError, match=reason):
        buckets_of(point(**changes))


def test_another_unit_is_refused():
    with pytest.raises(PointError, match="not_seconds"):
        divisor_of(point(unit="By"))


def test_of_both_names_the_new_one_is_counted():
    new, old = point(), point(metric="http.server.duration")
    elsewhere = point(metric="http.server.duration", origin="another")

    assert without_twins([old, new, elsewhere], frozenset()) == [new, elsewhere]
    assert without_twins([old], frozenset({"o"})) == []
