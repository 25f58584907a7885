"""HTTP requests that were pushed, in app_http_*: real senders against a real ingest, and vectors by hand."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.sdk.metrics import Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import AggregationTemporality, PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import ExplicitBucketHistogramAggregation, ExponentialBucketHistogramAggregation
from opentelemetry.sdk.resources import Resource
from requests import Response, Session
from topmast_exporter.instrument.http_metrics import DURATION_BOUNDS
from topmast_exporter.otlp import requests
from topmast_exporter.otlp.points import points_of
from topmast_exporter.otlp.request_points import WANTED
from topmast_exporter.registry import Registry
from topmast_exporter.standalone import UNLIMITED
from topmast_exporter.testing import value

SENDER = Path(__file__).with_name("shop_sender.py")
REQUESTS, DURATION = "app_http_requests_total", "app_http_request_duration_seconds"
ROUTE = {"http.request.method": "GET", "http.route": "/items/{item}", "http.response.status_code": 200}
SECOND = 10**9
NOW = time.time_ns()
DELTA, CUMULATIVE = 1, 2


def points(ingest: Any, result: str) -> float | None:
    found: float | None = ingest.count("exporter_ingest_events_total", source="requests", result=result)
    return found


@pytest.mark.parametrize("names", ["", "http", "http/dup"])
@pytest.mark.parametrize("temporality", ["cumulative", "delta"])
@pytest.mark.parametrize("histogram", ["explicit_bucket_histogram", "base2_exponential_bucket_histogram"])
def test_fastapi_under_the_real_instrumentation(ingest: Any, names: str, temporality: str, histogram: str) -> None:
    environment = {
        **os.environ,
        "OTEL_SEMCONV_STABILITY_OPT_IN": names,
        "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": temporality,
        "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION": histogram,
    }

    done = subprocess.run(
        [sys.executable, SENDER, ingest.url], env=environment, capture_output=True, text=True, timeout=120
    )

    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    sent, per_second = (told["http.server.request.duration"], 1) if names else (told["http.server.duration"], 1_000)
    assert sent["count"] == 10
    assert ingest.count(REQUESTS) == ingest.count(f"{DURATION}_count") == 10
    assert ingest.count(f"{DURATION}_sum") == pytest.approx(sent["sum"] / per_second, rel=1e-12)
    assert ingest.count(REQUESTS, method="GET", route="/items/{item}", route_class="api", status="200") == 6
    assert ingest.count(REQUESTS, route="/items/{item}", status="404") == 1
    assert ingest.count(REQUESTS, route="/broken", status="500") == 1
    assert ingest.count(REQUESTS, method="GET", route="__unmatched__", status="404") == 1
    assert ingest.count(REQUESTS, method="_other") == 1
    assert not ingest.count("exporter_ingest_events_total", source="requests", result="rejected")


class Recorder(Session):
    """Sends as JSON what the SDK meant to send as protobuf, when asked, and keeps every body."""

    def __init__(self, as_json: bool) -> None:
        super().__init__()
        self.as_json = as_json
        self.sent: list[tuple[bytes, str]] = []

    def request(self, *where: Any, **options: Any) -> Response:
        data, kind = options.pop("data"), "application/x-protobuf"
        if self.as_json:
            data = json.dumps(MessageToDict(ExportMetricsServiceRequest.FromString(data))).encode()
            kind = "application/json"
        self.sent.append((data, kind))
        return super().request(*where, **{**options, "data": data, "headers": {"content-type": kind}})


@pytest.mark.parametrize("as_json", [False, True], ids=["protobuf", "json"])
@pytest.mark.parametrize("temporality", [AggregationTemporality.DELTA, AggregationTemporality.CUMULATIVE])
@pytest.mark.parametrize(
    "aggregation",
    [ExplicitBucketHistogramAggregation(DURATION_BOUNDS), ExponentialBucketHistogramAggregation()],
    ids=["explicit", "exponential"],
)
def test_sums_are_what_was_sent_and_a_batch_that_comes_again_changes_nothing(
    ingest: Any, as_json: bool, temporality: AggregationTemporality, aggregation: Any
) -> None:
    recorder = Recorder(as_json)
    exporter = OTLPMetricExporter(
        f"{ingest.url}/v1/metrics",
        session=recorder,
        preferred_temporality={Histogram: temporality},
        preferred_aggregation={Histogram: aggregation},
    )
    reader = PeriodicExportingMetricReader(exporter, export_interval_millis=3_600_000)
    provider = MeterProvider([reader], resource=Resource.create({"service.name": "shop"}))
    histogram = provider.get_meter("tests").create_histogram("http.server.request.duration", unit="s")
    taken = [0.0, 0.0042, 0.05, 0.1, 0.17, 0.2, 0.3, 1.7, 4.99, 42.0]

    for batch in (taken[:4], taken[4:8], taken[8:]):
        for seconds in batch:
            histogram.record(seconds, ROUTE)
        assert provider.force_flush()
    provider.shutdown()
    shown = exposed(ingest)
    again = [ingest.post("/v1/metrics", data, kind)[0] for data, kind in recorder.sent]

    assert set(again) == {200}
    assert exposed(ingest) == shown
    assert ingest.count(REQUESTS, status="200") == ingest.count(f"{DURATION}_count") == 10
    assert ingest.count(f"{DURATION}_sum") == pytest.approx(sum(taken), abs=1e-12)
    if isinstance(aggregation, ExplicitBucketHistogramAggregation):
        expected = {str(bound): sum(value <= bound for value in taken) for bound in (0.05, 0.1, 0.2, 5.0)}
        assert {le: ingest.count(f"{DURATION}_bucket", le=le) for le in expected} == expected
        assert ingest.count("exporter_ingest_rebucketed_total") == 0


def exposed(ingest: Any) -> list[Any]:
    """Return all samples of app_http_*."""
    return [
        (sample.name, sorted(sample.labels.items()), sample.value)
        for metric in ingest.registry.collect()
        for sample in metric.samples
        if sample.name.startswith("app_http_")
    ]


def histogram(count: int, total: float = 0.0, **more: Any) -> dict[str, Any]:
    """Return a metric of one data point, all of its requests within `bounds`' first."""
    told = {**ROUTE, **more.get("told", {})}
    kinds = {str: "stringValue", int: "intValue"}
    data = {
        "attributes": [{"key": key, "value": {kinds[type(one)]: one}} for key, one in told.items()],
        "startTimeUnixNano": str(more.get("start", NOW - 60 * SECOND)),
        "timeUnixNano": str(more.get("at", NOW)),
        "count": str(count),
        "sum": total,
        "explicitBounds": more.get("bounds", [0.1, 0.25]),
        "bucketCounts": [str(one) for one in more.get("buckets", (count, 0, 0))],
        **more.get("point", {}),
    }
    temporality = more.get("temporality", CUMULATIVE)
    return {
        "name": more.get("name", "http.server.request.duration"),
        "unit": more.get("unit", "s"),
        "histogram": {"aggregationTemporality": temporality, "dataPoints": [data]},
    }


def send(ingest: Any, *metrics: dict[str, Any], **resource: str) -> dict[str, Any]:
    """Return the partial success, {} when all is well."""
    told = {"service.name": "shop", **{name.replace("_", "."): one for name, one in resource.items()}}
    attributes = [{"key": name, "value": {"stringValue": one}} for name, one in told.items()]
    sent = {
        "resourceMetrics": [{"resource": {"attributes": attributes}, "scopeMetrics": [{"metrics": list(metrics)}]}]
    }
    status, _, answer = ingest.post("/v1/metrics", json.dumps(sent).encode())
    assert status == 200
    found: dict[str, Any] = json.loads(answer).get("partialSuccess", {})
    return found


def test_counters_neither_fall_nor_jump_through_restarts_of_either_side(start: Any) -> None:
    first = start()
    send(first, histogram(10, 1.0))
    send(first, histogram(25, 2.5, at=NOW + SECOND))
    first.stop()
    second = start()  # the exporter was restarted

    assert (second.count(REQUESTS, status="200"), second.count(f"{DURATION}_sum")) == (25, 2.5)
    send(second, histogram(25, 2.5, at=NOW + SECOND))  # sent again, for there was no answer
    send(second, histogram(27, 2.7, at=NOW + 2 * SECOND))
    assert second.count(REQUESTS, status="200") == 27
    send(second, histogram(4, 0.5, start=NOW + 3 * SECOND, at=NOW + 4 * SECOND))  # so was the application
    assert (second.count(REQUESTS, status="200"), second.count(f"{DURATION}_count")) == (31, 31)
    assert second.count(f"{DURATION}_sum") == 3.2


KILLED = """
import json, os, signal, sys
from pathlib import Path
from topmast_exporter.otlp.points import points_of
from topmast_exporter.otlp.request_points import WANTED
from topmast_exporter.otlp.requests import Requests
from topmast_exporter.registry import Registry

requests = Requests(Path(sys.argv[1]), Registry())
for line in sys.stdin:
    took = requests.take(list(points_of(json.loads(line), WANTED)))
    print(took.results["accepted"], flush=True)  # as the sender is answered
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_was_counted_is_there_after_a_kill(start: Any, tmp_path: Path) -> None:
    bodies = [
        {"resourceMetrics": [{"scopeMetrics": [{"metrics": [histogram(count, count / 10, at=NOW + count)]}]}]}
        for count in (3, 8)
    ]
    lines = "".join(f"{json.dumps(one)}\n" for one in bodies)

    done = subprocess.run([sys.executable, "-c", KILLED, tmp_path], input=lines, capture_output=True, text=True)
    ingest = start()

    assert (done.returncode, done.stdout) == (-9, "1\n1\n")
    assert (ingest.count(REQUESTS, status="200"), ingest.count(f"{DURATION}_sum")) == (8, 0.8)
    for body in bodies:  # there was no answer to the last one
        ingest.post("/v1/metrics", json.dumps(body).encode())
    assert ingest.count(REQUESTS, status="200") == 8


def test_what_came_late_or_out_of_order_is_refused_and_counted(ingest: Any) -> None:
    send(ingest, histogram(10, at=NOW + SECOND))

    told = [
        send(ingest, histogram(8)),
        send(ingest, histogram(12, at=NOW - 2 * 3_600 * SECOND)),
        send(ingest, histogram(3, temporality=DELTA, at=NOW - 2 * 3_600 * SECOND)),
        send(ingest, histogram(99, at=NOW + 2 * 3_600 * SECOND)),
        send(ingest, histogram(9, at=NOW + 2 * SECOND)),  # it cannot fall without a new start
    ]

    reasons = ["out_of_order", "too_old", "too_old", "in_the_future", "fell"]
    assert told == [{"rejectedDataPoints": "1", "errorMessage": f"refused: 1 {reason}"} for reason in reasons]
    assert ingest.count(REQUESTS, status="200") == 10
    assert (points(ingest, "late"), points(ingest, "rejected")) == (3, 2)


def test_a_past_before_we_listened_is_a_baseline_and_no_jump(ingest: Any) -> None:
    began = NOW - 24 * 3_600 * SECOND

    told = send(ingest, histogram(1_000_000, start=began))
    send(ingest, histogram(1_000_007, start=began, at=NOW + SECOND))

    assert told == {"errorMessage": "1 streams began before they were listened to: they count from here on"}
    assert ingest.count(REQUESTS, status="200") == 7
    assert points(ingest, "baseline") == 1


def test_a_stream_that_says_not_since_when_counts_from_its_first_point_and_through_resets(ingest: Any) -> None:
    for second, count in enumerate((10, 15, 4, 6)):
        send(ingest, histogram(count, start=0, at=NOW + second * SECOND))

    assert ingest.count(REQUESTS, status="200") == 5 + 4 + 2


def test_streams_are_bounded_and_one_that_was_forgotten_does_not_count_twice(
    ingest: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests, "MAX_STREAMS", 3)
    monkeypatch.setattr(requests, "PRUNE_EVERY", 2)
    began = [NOW + number * SECOND for number in range(6)]
    for number, start in enumerate(began):
        send(ingest, histogram(10, start=start, at=start + SECOND // 2), service_instance_id=str(number))

    assert ingest.count(REQUESTS, status="200") == 60
    for count in (12, 13):
        send(ingest, histogram(count, start=NOW, at=NOW + count * SECOND), service_instance_id="0")
    assert ingest.count(REQUESTS, status="200") == 61
    assert points(ingest, "baseline") == 1


def test_deltas_are_bounded_too(ingest: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "MAX_DELTAS", 1)
    send(ingest, histogram(1, temporality=DELTA))
    told = {"resourceMetrics": [{"scopeMetrics": [{"metrics": [histogram(2, temporality=DELTA)]}]}]}

    status, headers, _ = ingest.post("/v1/metrics", json.dumps(told).encode())

    assert (status, headers["retry-after"]) == (429, "60")
    assert ingest.count(REQUESTS, status="200") == 1


def test_bounds_that_are_not_ours_are_told(ingest: Any) -> None:
    send(ingest, histogram(10, 3.0, buckets=(4, 5, 1)))

    below = {le: ingest.count(f"{DURATION}_bucket", le=le) for le in ("0.05", "0.1", "0.2", "0.5", "30.0", "+Inf")}
    assert below == {"0.05": 0, "0.1": 4, "0.2": 4, "0.5": 9, "30.0": 9, "+Inf": 10}
    assert ingest.count("exporter_ingest_rebucketed_total") == 10  # 4 up to 0.1, 5 up to 0.25, 1 beyond


def test_routes_and_methods_that_a_stranger_makes_up_are_bounded_and_stay_so(start: Any) -> None:
    first = start()
    for part in range(3):
        send(
            first,
            *(
                histogram(1, told={"http.route": f"/{part}/{number}", "http.request.method": f"M{number}"})
                for number in range(1_000)
            ),
        )
    sets = len(first.registry.family(REQUESTS).series())
    shown = sorted(exposed(first), key=str)
    first.stop()
    second = start()

    assert sets <= 2_010
    assert first.count(REQUESTS) == 3_000
    assert first.count(REQUESTS, route="_other", status="200") > 0
    assert first.count("exporter_label_overflow_total", family=REQUESTS) > 0
    assert sorted(exposed(second), key=str) == shown


def test_the_exporters_own_registry_limits_nothing_and_they_are_bounded_all_the_same() -> None:
    registry = Registry(UNLIMITED)
    told = [histogram(1, told={"http.route": f"/{number}"}) for number in range(5_000)]
    body = {"resourceMetrics": [{"scopeMetrics": [{"metrics": told}]}]}

    one = requests.Requests(None, registry)
    one.take(list(points_of(body, WANTED)))  # type: ignore[arg-type]  # none of them is refused
    one.close()

    assert value(registry, REQUESTS) == 5_000
    assert [len(registry.family(name) or ()) <= 2_010 for name in (REQUESTS, DURATION)] == [True, True]


def test_the_old_name_that_comes_after_the_new_one_is_the_same_requests(ingest: Any) -> None:
    send(ingest, histogram(5))
    send(ingest, histogram(5, 0.0, name="http.server.duration", unit="ms", bounds=[100, 250]))

    assert ingest.count(REQUESTS) == 5


def test_a_service_that_is_scraped_as_well_says_so(ingest: Any) -> None:
    assert send(ingest, histogram(5), topmast_requests="off") == {}

    assert ingest.count(REQUESTS) is None
    assert ingest.count("exporter_ingest_events_total", source="otlp", result="ignored") == 1


def test_a_known_route_starts_at_0_for_each_known_status(ingest: Any) -> None:
    send(ingest, histogram(5))

    assert [ingest.count(REQUESTS, status=one) for one in ("200", "404", "422", "500")] == [5, 0, 0, 0]


@pytest.mark.parametrize(
    ("point", "reason"),
    [
        pytest.param({"count": "-1"}, "negative_tokens", id="negative"),
        pytest.param({"sum": "NaN"}, "not_a_number", id="NaN"),
        pytest.param({"bucketCounts": ["1"], "explicitBounds": [0.1]}, "bad_buckets", id="too few buckets"),
        pytest.param({"bucketCounts": ["1", "1"], "explicitBounds": [0.1]}, "bad_buckets", id="another count"),
        pytest.param({"timeUnixNano": "0"}, "no_time", id="no time"),
    ],
)
def test_a_bad_point_is_refused_and_the_rest_is_taken(ingest: Any, point: dict[str, Any], reason: str) -> None:
    told = send(ingest, histogram(5, point=point), histogram(7, told={"http.route": "/b"}))

    assert told == {"rejectedDataPoints": "1", "errorMessage": f"refused: 1 {reason}"}
    assert ingest.count(REQUESTS) == 7


def test_a_point_without_a_value_is_the_end_of_a_stream_and_nothing_else(ingest: Any) -> None:
    assert send(ingest, histogram(0, point={"flags": 1})) == {}
    assert ingest.count(REQUESTS) is None
