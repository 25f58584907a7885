"""Model calls as spans: the real OpenTelemetry SDK and OTLP/HTTP exporter, a real ingest; and vectors by hand."""

import gzip
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Tracer, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Status, StatusCode

NEW = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o-mini",
    "gen_ai.response.model": "gpt-4o-mini-2024-07-18",
    "gen_ai.usage.input_tokens": 1_000,
    "gen_ai.usage.output_tokens": 100,
}
OLD = {
    "gen_ai.system": "openai",
    "gen_ai.request.model": "gpt-4o-mini",
    "gen_ai.usage.prompt_tokens": 1_000,
    "gen_ai.usage.completion_tokens": 100,
}
# $0.15 and $0.60 a million
COST = 1_000 * 150_000 + 100 * 600_000
NOW_NS = time.time_ns()


def span(attributes: dict[str, Any], span_id: str = "00f067aa0ba902b7", **more: Any) -> dict[str, Any]:
    """Return a span as OTLP's JSON has it: 64-bit integers are text there."""

    def value(one: Any) -> dict[str, Any]:
        kinds = {bool: "boolValue", float: "doubleValue", str: "stringValue", int: "intValue"}
        return {kinds[type(one)]: str(one) if type(one) is int else one}

    return {
        "traceId": "4bf92f3577b34da6a3ce929d0e0e4736",
        "spanId": span_id,
        "name": "chat",
        "startTimeUnixNano": str(NOW_NS - 2_000_000_000),
        "endTimeUnixNano": str(NOW_NS - 500_000_000),
        "attributes": [{"key": name, "value": value(one)} for name, one in attributes.items()],
        **more,
    }


def body(*spans: dict[str, Any], resource: dict[str, str] | None = None) -> bytes:
    told = [{"key": name, "value": {"stringValue": one}} for name, one in (resource or {}).items()]
    return json.dumps(
        {"resourceSpans": [{"resource": {"attributes": told}, "scopeSpans": [{"spans": list(spans)}]}]}
    ).encode()


@pytest.fixture
def sdk(request: Any) -> Any:
    """`sdk(ingest)`: a tracer of the real SDK that sends there, and what sends all that waits."""
    made: list[TracerProvider] = []

    def build(
        ingest: Any, headers: dict[str, str] | None = None, **resource: str
    ) -> tuple[Tracer, Callable[[], Any]]:
        exporter = OTLPSpanExporter(f"{ingest.url}/v1/traces", headers=headers, compression=Compression.Gzip)
        provider = TracerProvider(
            resource=Resource.create({name.replace("_", "."): one for name, one in resource.items()})
        )
        provider.add_span_processor(BatchSpanProcessor(exporter))
        made.append(provider)
        return provider.get_tracer("tests"), provider.force_flush

    yield build
    for one in made:
        one.shutdown()


@pytest.mark.parametrize("attributes", [pytest.param(NEW, id="new names"), pytest.param(OLD, id="old names")])
def test_a_span_of_the_real_sdk_is_one_priced_request(ingest: Any, sdk: Any, attributes: dict[str, Any]) -> None:
    tracer, flush = sdk(ingest, service_name="shop")

    with tracer.start_as_current_span("chat", attributes=attributes):
        pass
    flush()

    columns = ("provider", "input", "output", "outcome", "price_status", "feature")
    assert ingest.rows(*columns) == [dict(zip(columns, ("openai", 1_000, 100, "ok", "priced", "shop"), strict=True))]
    assert ingest.rows("cost_input", "cost_output") == [{"cost_input": 150_000_000, "cost_output": 60_000_000}]
    assert ingest.count("exporter_ingest_events_total", source="otlp", result="accepted") == 1


def test_prompts_and_answers_are_never_stored(ingest: Any, sdk: Any) -> None:
    tracer, flush = sdk(ingest)
    planted = {
        name: f"hunter2 in {name}"
        for name in (
            "gen_ai.prompt",
            "gen_ai.completion",
            "gen_ai.prompt.0.content",
            "gen_ai.input.messages",
            "gen_ai.output.messages",
            "gen_ai.system_instructions",
            "gen_ai.tool.call.arguments",
            "ai.prompt.messages",
        )
    }

    with tracer.start_as_current_span("hunter2", attributes={**NEW, **planted}) as one:
        one.add_event("gen_ai.content.prompt", {"gen_ai.prompt": "hunter2"})
        one.record_exception(ValueError("hunter2"))
    flush()
    ingest.stop()

    assert len(ingest.rows("id")) == 1
    for file in ingest.folder.iterdir():
        assert b"hunter2" not in file.read_bytes(), file


def test_of_nested_layers_the_innermost_is_the_request(ingest: Any, sdk: Any) -> None:
    tracer, flush = sdk(ingest)
    agent = {"gen_ai.operation.name": "invoke_agent", **{key: NEW[key] for key in NEW if "operation" not in key}}

    with (
        tracer.start_as_current_span("invoke_agent", attributes=agent),
        tracer.start_as_current_span("ChatOpenAI.chat", attributes=OLD),
        tracer.start_as_current_span("http"),
    ):
        for number in range(2):  # the first was tried again
            with tracer.start_as_current_span("openai.chat", attributes={**NEW, "gen_ai.usage.input_tokens": number}):
                pass
    flush()

    assert sorted(row["input"] for row in ingest.rows("input")) == [0, 1]


def test_an_outer_layer_that_comes_in_a_later_batch_is_known(ingest: Any, sdk: Any) -> None:
    tracer, flush = sdk(ingest)

    with tracer.start_as_current_span("ChatOpenAI.chat", attributes=OLD), tracer.start_as_current_span("http"):
        with tracer.start_as_current_span("openai.chat", attributes=NEW):
            pass
        flush()
    flush()

    assert len(ingest.rows("id")) == 1


def test_the_same_batch_twice_changes_nothing_also_as_protobuf(ingest: Any) -> None:
    from google.protobuf.json_format import ParseDict
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    sent = body(span(NEW))
    # in protobuf, ids are bytes
    told = json.loads(sent)
    message = ParseDict(told, ExportTraceServiceRequest())
    one = message.resource_spans[0].scope_spans[0].spans[0]
    one.trace_id, one.span_id = bytes.fromhex(span(NEW)["traceId"]), bytes.fromhex(span(NEW)["spanId"])

    answers = [
        ingest.post("/v1/traces", sent),
        ingest.post("/v1/traces", gzip.compress(sent), content_encoding="gzip"),
        ingest.post("/v1/traces", message.SerializeToString(), "application/x-protobuf"),
    ]

    assert [(status, packed) for status, _, packed in answers] == [(200, b"{}"), (200, b"{}"), (200, b"")]
    assert len(ingest.rows("id")) == 1
    assert ingest.count("exporter_ingest_events_total", source="otlp", result="duplicate") == 2


CACHED = {"gen_ai.usage.input_tokens": 13_307, "gen_ai.usage.output_tokens": 5}
ANTHROPIC = {"gen_ai.system": "anthropic", "gen_ai.request.model": "claude-sonnet-4-5"}


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        pytest.param(
            {
                **ANTHROPIC,
                **CACHED,
                "gen_ai.usage.cache_read.input_tokens": 1_000,
                "gen_ai.usage.cache_creation.input_tokens": 12_304,
            },
            {"input": 13_307, "cache_read": 1_000, "cache_write_5m": 12_304},
            id="cached input is part of the input",
        ),
        pytest.param(
            {
                **ANTHROPIC,
                **CACHED,
                "gen_ai.usage.input_tokens": 3,
                "gen_ai.usage.cache_read_input_tokens": 1_000,
                "gen_ai.usage.cache_creation_input_tokens": 12_304,
            },
            {"input": 13_307, "cache_read": 1_000, "cache_write_5m": 12_304},
            id="more cached than input: the provider's own numbers",
        ),
        pytest.param(
            {**NEW, "gen_ai.usage.reasoning.output_tokens": 90}, {"output": 100, "reasoning": 90}, id="reasoning"
        ),
        pytest.param(
            {**NEW, "gen_ai.system": "x", "gen_ai.provider.name": "az.ai.openai"},
            {"provider": "azure"},
            id="a name of OpenTelemetry's",
        ),
        pytest.param(
            {**NEW, "gen_ai.provider.name": "openai.responses"}, {"provider": "openai"}, id="the AI SDK's name"
        ),
        pytest.param({**NEW, "openai.response.service_tier": "flex"}, {"tier": "flex"}, id="service tier"),
        pytest.param(
            {**NEW, "topmast.feature": "search", "topmast.key_alias": "prod", "topmast.user_group": "beta"},
            {"feature": "search", "key_alias": "prod", "user_group": "beta"},
            id="whose call it was",
        ),
        pytest.param(
            {**NEW, "ai.response.msToFirstChunk": 250.0},
            {"stream": True, "time_to_first_token_seconds": 0.25},
            id="a stream",
        ),
        pytest.param(
            {"gen_ai.request.model": "gpt-4o"}, {"input": None, "price_reason": "usage_missing"}, id="no usage"
        ),
    ],
)
def test_what_libraries_write_is_understood(
    ingest: Any, attributes: dict[str, Any], expected: dict[str, Any]
) -> None:
    status, _, _ = ingest.post("/v1/traces", body(span(attributes)))

    assert status == 200
    assert ingest.rows(*expected) == [expected]
    assert ingest.rows("duration_seconds") == [{"duration_seconds": 1.5}]


@pytest.mark.parametrize(
    ("kind", "outcome"),
    [
        pytest.param("RateLimitError 429", "rate_limited", id="limited"),
        pytest.param("APITimeoutError", "timeout", id="timeout"),
        pytest.param("CancelledError", "cancelled", id="cancelled"),
        pytest.param("ValueError", "error", id="another"),
    ],
)
def test_a_failure_has_its_outcome(ingest: Any, sdk: Any, kind: str, outcome: str) -> None:
    tracer, flush = sdk(ingest)

    with tracer.start_as_current_span(
        "chat", attributes={"gen_ai.request.model": "gpt-4o", "error.type": kind}
    ) as one:
        one.set_status(Status(StatusCode.ERROR, "hunter2"))
    flush()

    assert ingest.rows("outcome") == [{"outcome": outcome}]


@pytest.mark.parametrize(
    ("attributes", "resource"),
    [
        pytest.param({"http.request.method": "GET"}, {}, id="no model call"),
        pytest.param({**NEW, "gen_ai.operation.name": "execute_tool"}, {}, id="a tool"),
        pytest.param(NEW, {"topmast.usage": "metrics"}, id="a service whose metrics are counted"),
    ],
)
def test_other_spans_are_taken_and_dropped(ingest: Any, attributes: dict[str, Any], resource: dict[str, str]) -> None:
    status, _, answer = ingest.post("/v1/traces", body(span(attributes), resource=resource))

    assert (status, answer, ingest.rows("id")) == (200, b"{}", [])
    assert ingest.count("exporter_ingest_events_total", source="otlp", result="ignored") == 1


def test_a_part_that_is_refused_is_told_and_the_rest_is_taken(ingest: Any) -> None:
    negative = {**NEW, "gen_ai.usage.input_tokens": -1}
    old = {"startTimeUnixNano": "1000000000000000000"}
    sent = body(span(NEW), span(negative, "a" * 16), span(NEW, "b" * 16, **old), span(NEW, "c" * 16, traceId=None))

    status, _, answer = ingest.post("/v1/traces", sent)

    told = {"rejectedSpans": "3", "errorMessage": "refused: 1 negative_tokens, 1 too_old, 1 id_missing"}
    assert (status, json.loads(answer)["partialSuccess"]["rejectedSpans"]) == (200, "3")
    assert set(json.loads(answer)["partialSuccess"]["errorMessage"].removeprefix("refused: ").split(", ")) == set(
        told["errorMessage"].removeprefix("refused: ").split(", ")
    )
    assert len(ingest.rows("id")) == 1
