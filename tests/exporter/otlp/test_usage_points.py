"""Metrics of model calls: the real OpenTelemetry SDK against a real ingest, and Claude Code's telemetry by hand."""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics import Counter, Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import AggregationTemporality, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from topmast_exporter.otlp.growth import Growth
from topmast_exporter.otlp.points import points_of
from topmast_exporter.otlp.usage_points import WANTED, events_of

NOW_NS = time.time_ns()
DELTA, CUMULATIVE = 1, 2
CALL = {"gen_ai.operation.name": "chat", "gen_ai.system": "openai", "gen_ai.request.model": "gpt-4o-mini"}
BOTH = (AggregationTemporality.DELTA, AggregationTemporality.CUMULATIVE)


@pytest.fixture
def sdk() -> Iterator[Callable[..., Any]]:
    """`sdk(ingest, temporality)`: a meter of the real SDK that sends there, and what sends the numbers of now."""
    made: list[MeterProvider] = []

    def build(ingest: Any, temporality: AggregationTemporality, **resource: str) -> Any:
        exporter = OTLPMetricExporter(
            f"{ingest.url}/v1/metrics", preferred_temporality={Counter: temporality, Histogram: temporality}
        )
        reader = PeriodicExportingMetricReader(exporter, export_interval_millis=3_600_000)
        named = {"topmast.usage": "metrics", **{name.replace("_", "."): one for name, one in resource.items()}}
        provider = MeterProvider([reader], resource=Resource.create(named))
        made.append(provider)
        return provider.get_meter("tests"), provider.force_flush

    yield build
    for one in made:
        one.shutdown()


def sums(ingest: Any) -> dict[str, int]:
    """Return the ledger's tokens and requests in all."""
    rows = ingest.rows("input", "output", "cache_read", "reasoning")
    return {"requests": len(rows), **{name: sum(row[name] or 0 for row in rows) for name in ("input", "output")}}


@pytest.mark.parametrize("temporality", BOTH, ids=["delta", "cumulative"])
def test_the_real_sdks_histogram_of_tokens_is_counted_once_each(ingest: Any, sdk: Any, temporality: Any) -> None:
    meter, flush = sdk(ingest, temporality, service_name="shop")
    tokens = meter.create_histogram("gen_ai.client.token.usage")
    bounds = [0.01 * 2**power for power in range(14)]
    seconds = meter.create_histogram("gen_ai.client.operation.duration", explicit_bucket_boundaries_advisory=bounds)

    for taken in ((1_000, 100), (500, 50)), ((2_000, 7),):
        for given, got in taken:
            tokens.record(given, {**CALL, "gen_ai.token.type": "input"})
            tokens.record(got, {**CALL, "gen_ai.token.type": "output"})
            seconds.record(0.3, CALL)
        assert flush()
    assert flush()  # cumulative: the same numbers again

    assert sums(ingest) == {"requests": 3, "input": 3_500, "output": 157}
    told = ingest.rows("provider", "feature", "price_status")
    assert told == [{"provider": "openai", "feature": "shop", "price_status": "priced"}] * 3
    assert all(0.16 <= row["duration_seconds"] <= 0.5 for row in ingest.rows("duration_seconds"))


@pytest.mark.parametrize("temporality", BOTH, ids=["delta", "cumulative"])
def test_the_counters_of_the_new_names_are_counted(ingest: Any, sdk: Any, temporality: Any) -> None:
    meter, flush = sdk(ingest, temporality)
    told = {
        "input_tokens": 1_000,
        "output_tokens": 100,
        "cache_read.input_tokens": 640,
        "reasoning.output_tokens": 90,
    }
    for name, value in told.items():
        meter.create_counter(f"gen_ai.client.inference.usage.{name}").add(value, CALL)
    old = meter.create_histogram("gen_ai.client.token.usage")  # a library on its way sends both
    old.record(1_000, {**CALL, "gen_ai.token.type": "input"})

    flush()

    columns = ("input", "output", "cache_read", "reasoning")
    assert ingest.rows(*columns) == [dict(zip(columns, (1_000, 100, 640, 90), strict=True))]


def test_metrics_beside_spans_are_not_counted_and_that_is_said(ingest: Any) -> None:
    sent = metrics(point("gen_ai.client.token.usage", {**CALL, "gen_ai.token.type": "input"}, 10), resource={})

    status, _, answer = ingest.post("/v1/metrics", sent)

    assert status == 200
    assert "topmast.usage=metrics" in json.loads(answer)["partialSuccess"]["errorMessage"]
    assert "rejectedDataPoints" not in json.loads(answer)["partialSuccess"]
    assert ingest.rows("id") == []


def point(name: str, told: dict[str, str], value: float, **more: Any) -> dict[str, Any]:
    """Return a metric of one data point, a counter's; `temporality`, `start`, `at` as they are asked for."""
    listed = [{"key": key, "value": {"stringValue": one}} for key, one in told.items()]
    data = {
        "attributes": listed,
        "startTimeUnixNano": str(more.get("start", NOW_NS - 60 * 10**9)),
        "timeUnixNano": str(more.get("at", NOW_NS)),
        "asDouble": value,
    }
    temporality = more.get("temporality", DELTA)
    return {"name": name, "sum": {"aggregationTemporality": temporality, "isMonotonic": True, "dataPoints": [data]}}


def metrics(*listed: dict[str, Any], resource: dict[str, str] | None = None) -> bytes:
    told = {"topmast.usage": "metrics"} if resource is None else resource
    attributes = [{"key": name, "value": {"stringValue": one}} for name, one in told.items()]
    return json.dumps(
        {
            "resourceMetrics": [
                {"resource": {"attributes": attributes}, "scopeMetrics": [{"scope": {}, "metrics": list(listed)}]}
            ]
        }
    ).encode()


# as Claude Code 2 sends it, every 60 s, delta by default
SESSION = {"session.id": "7e5c", "user.email": "hunter2@example.com", "terminal.type": "iTerm.app"}
CLAUDE = {**SESSION, "model": "claude-sonnet-4-5-20250929[1m]"}
SPENT = {"input": 120, "output": 2_400, "cacheRead": 450_000, "cacheCreation": 12_000}
# $3, $15, $0.30 and $3.75 a million: each part as if it were of standard length
SPENT_PICO = 120 * 3_000_000 + 2_400 * 15_000_000 + 450_000 * 300_000 + 12_000 * 3_750_000


def claude_code(temporality: int = DELTA, times: int = 1, **when: Any) -> bytes:
    tokens = [
        point("claude_code.token.usage", {**CLAUDE, "type": kind}, value * times, temporality=temporality, **when)
        for kind, value in SPENT.items()
    ]
    cost = point("claude_code.cost.usage", CLAUDE, SPENT_PICO / 1e12 * times, temporality=temporality, **when)
    return metrics(*tokens, cost, resource={"service.name": "claude-code"})


def test_claude_codes_tokens_are_priced_and_compared_with_its_own_cost(ingest: Any) -> None:
    sent = claude_code()

    answers = [ingest.post("/v1/metrics", sent)[2] for _ in range(2)]

    assert answers == [b"{}", b"{}"]
    columns = ("provider", "model", "feature", "input", "output", "cache_read", "cache_write_5m")
    rows = ingest.rows(*columns, "caller_cost", "cost_input", "cost_output", "cost_cache_read", "cost_cache_write")
    assert {row[name] for row in rows for name in ("provider", "feature")} == {"anthropic", "claude-code"}
    assert {row["model"] for row in rows} == {"claude-sonnet-4-5-20250929"}
    assert [sum(row[name] for row in rows) for name in columns[3:]] == [462_120, 2_400, 450_000, 12_000]
    costs = sum(row[name] for row in rows for name in row if name.startswith("cost_"))
    assert costs == SPENT_PICO
    assert sum(row["caller_cost"] for row in rows) == pytest.approx(SPENT_PICO, abs=len(rows))
    assert not ingest.count("llm_cost_mismatch_total")
    ingest.stop()
    assert all(b"hunter2" not in file.read_bytes() for file in ingest.folder.iterdir())


def test_cumulative_numbers_are_counted_once_through_restarts_of_either_side(start: Any) -> None:
    began = NOW_NS - 600 * 10**9

    def send(ingest: Any, times: int, seconds: int, start: int = began) -> None:
        status, _, _ = ingest.post(
            "/v1/metrics", claude_code(CUMULATIVE, times, start=start, at=began + seconds * 10**9)
        )
        assert status == 200

    first = start()
    send(first, 1, 60)
    send(first, 3, 120)
    send(first, 3, 120)  # sent again
    send(first, 2, 60)  # came late
    first.stop()
    second = start()  # the exporter was restarted
    send(second, 3, 180)  # nothing happened
    send(second, 4, 240)
    send(second, 1, 400, began + 300 * 10**9)  # so was Claude Code

    assert sum(row["output"] for row in second.rows("output")) == 5 * 2_400
    assert sum(row["cache_read"] for row in second.rows("cache_read")) == 5 * 450_000


def test_what_the_ledger_did_not_take_is_kept_for_the_next_body(tmp_path: Any) -> None:
    growth = Growth(tmp_path)
    told = list(points_of(json.loads(claude_code(CUMULATIVE)), WANTED))
    growth.take(told, events_of)  # type: ignore[arg-type]  # none of them is refused
    waiting = growth.waiting()
    growth.close()  # killed before the ledger had it

    again = Growth(tmp_path)
    repeated = again.take(told, events_of)  # type: ignore[arg-type]  # none of them is refused

    assert (len(waiting), again.waiting(), repeated) == (5, waiting, len(told))
    again.settle([one["id"] for one in waiting])
    assert again.waiting() == []
    again.close()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        pytest.param({"asDouble": -5}, "negative_tokens", id="negative"),
        pytest.param({"asDouble": 1e300}, "not_a_number", id="beyond counting"),
        pytest.param({"asDouble": "NaN"}, "not_a_number", id="NaN"),
        pytest.param({"timeUnixNano": "0"}, "no_time", id="no time"),
        pytest.param({"timeUnixNano": 10**400}, "no_time", id="a time beyond all"),
        pytest.param({"bucketCounts": ["1", "-1"], "explicitBounds": [1]}, "bad_buckets", id="buckets"),
        pytest.param({"startTimeUnixNano": "1000000000000000000"}, "too_old", id="too old"),
    ],
)
def test_a_bad_point_is_refused_and_the_rest_is_taken(ingest: Any, change: dict[str, Any], reason: str) -> None:
    bad, good = (point("claude_code.token.usage", {**CLAUDE, "type": "output"}, 5) for _ in range(2))
    bad["sum"]["dataPoints"][0].update(change)
    good["sum"]["dataPoints"][0]["attributes"].append({"key": "x", "value": {"boolValue": True}})

    status, _, answer = ingest.post("/v1/metrics", metrics(bad, good))

    told = json.loads(answer)["partialSuccess"]
    assert (status, told) == (200, {"rejectedDataPoints": "1", "errorMessage": f"refused: 1 {reason}"})
    assert ingest.rows("output") == [{"output": 5}]


def test_10_to_the_8_tokens_of_a_minute_are_a_thousand_calls_and_no_token_less(ingest: Any) -> None:
    ingest.post("/v1/metrics", metrics(point("claude_code.token.usage", {**CLAUDE, "type": "input"}, 10**8 + 7)))

    assert sums(ingest) == {"requests": 1_000, "input": 10**8 + 7, "output": 0}
