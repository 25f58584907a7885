"""Events of Claude Code, by the real OpenTelemetry SDK and by hand: alone, and beside metrics of the same."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.resources import Resource
from topmast_exporter.ledger import LedgerFullError
from topmast_exporter.otlp.sessions import EVENTS, HOLD_SECONDS, METRICS, Sessions

NOW = time.time_ns()
SECOND = 10**9
MODEL = "claude-sonnet-4-5-20250929"
WHO = {"session.id": "7e5c", "user.id": "0a1b", "user.email": "hunter2@example.com", "organization.id": "hunter2"}
REQUEST = {
    **WHO,
    "event.name": "api_request",
    "event.sequence": 3,
    "model": f"{MODEL}[1m]",
    "input_tokens": 120,
    "output_tokens": 800,
    "cache_read_tokens": 45_000,
    "cache_creation_tokens": 1_200,
    "cost_usd": 0.03036,
    "duration_ms": 5_250,
    "request_id": "req_011",
    "query_source": "main",
}
# $3, $15, $0.30 and $3.75 a million
PICO = 120 * 3_000_000 + 800 * 15_000_000 + 45_000 * 300_000 + 1_200 * 3_750_000
RESOURCE = {"service.name": "claude-code", "service.version": "2.1.0"}


def attributes(told: dict[str, Any]) -> list[dict[str, Any]]:
    kinds = {str: "stringValue", int: "intValue", float: "doubleValue", bool: "boolValue"}
    return [{"key": key, "value": {kinds[type(one)]: one}} for key, one in told.items()]


def record(told: dict[str, Any] = REQUEST, at: int = NOW, **more: Any) -> dict[str, Any]:
    body = {"stringValue": f"claude_code.{told.get('event.name', '')}"}
    return {"timeUnixNano": str(at), "body": body, "attributes": attributes(told), **more}


def logs(*records: dict[str, Any], resource: dict[str, str] | None = None) -> bytes:
    told = {"attributes": attributes(RESOURCE if resource is None else resource)}
    return json.dumps({"resourceLogs": [{"resource": told, "scopeLogs": [{"logRecords": list(records)}]}]}).encode()


def metrics(tokens: int, at: int = NOW, resource: dict[str, str] | None = None, **who: str) -> bytes:
    """Return what Claude Code says of its output tokens so far, cumulative since a minute before NOW."""
    point = {
        "attributes": attributes({**(who or WHO), "model": MODEL, "type": "output"}),
        "startTimeUnixNano": str(NOW - 60 * SECOND),
        "timeUnixNano": str(at),
        "asDouble": tokens,
    }
    total = {"aggregationTemporality": 2, "isMonotonic": True, "dataPoints": [point]}
    scope = {"metrics": [{"name": "claude_code.token.usage", "sum": total}]}
    told = {"attributes": attributes(RESOURCE if resource is None else resource)}
    return json.dumps({"resourceMetrics": [{"resource": told, "scopeMetrics": [scope]}]}).encode()


def post(ingest: Any, path: str, body: bytes) -> dict[str, Any]:
    """Return the partial success, {} when all is well."""
    status, _, answer = ingest.post(path, body)
    assert status == 200
    found: dict[str, Any] = json.loads(answer).get("partialSuccess", {})
    return found


def outputs(ingest: Any) -> list[int]:
    return sorted(row["output"] for row in ingest.rows("output"))


def test_a_request_of_the_real_sdk_is_one_priced_call(ingest: Any) -> None:
    provider = LoggerProvider(resource=Resource.create(RESOURCE))
    provider.add_log_record_processor(SimpleLogRecordProcessor(OTLPLogExporter(f"{ingest.url}/v1/logs")))

    provider.get_logger("com.anthropic.claude_code.events", "2.1.0").emit(
        LogRecord(
            timestamp=NOW,
            observed_timestamp=NOW,
            severity_number=SeverityNumber.INFO,
            body="claude_code.api_request",
            attributes=REQUEST,
        )
    )
    provider.shutdown()

    columns = ("provider", "model", "feature", "outcome", "input", "output", "cache_read", "cache_write_5m")
    expected = ("anthropic", MODEL, "claude-code", "ok", 46_320, 800, 45_000, 1_200)
    assert ingest.rows(*columns) == [dict(zip(columns, expected, strict=True))]
    (row,) = ingest.rows("duration_seconds", "caller_cost", "cost_input", "cost_output", "cost_cache_read", "at")
    assert (row["duration_seconds"], row["caller_cost"]) == (5.25, 30_360_000_000)
    assert row["at"] == pytest.approx(NOW / 1e9)
    (costs,) = ingest.rows("cost_input", "cost_output", "cost_cache_read", "cost_cache_write")
    assert sum(costs.values()) == PICO
    assert not ingest.count("llm_cost_mismatch_total")


def test_numbers_may_be_text_and_the_same_body_twice_changes_nothing(ingest: Any) -> None:
    words = {key: str(value) for key, value in REQUEST.items()}

    told = [post(ingest, "/v1/logs", logs(record(words))) for _ in range(2)]

    assert told == [{}, {}]
    assert ingest.rows("input", "output", "caller_cost") == [
        {"input": 46_320, "output": 800, "caller_cost": 30_360_000_000}
    ]
    assert ingest.count("exporter_ingest_events_total", source="otlp", result="duplicate") == 1


def test_two_requests_that_look_alike_are_two(ingest: Any) -> None:
    post(ingest, "/v1/logs", logs(record(), record({**REQUEST, "event.sequence": 4})))

    assert outputs(ingest) == [800, 800]


def test_prompts_persons_and_errors_are_never_stored(ingest: Any) -> None:
    prompt = {**WHO, "event.name": "user_prompt", "prompt": "hunter2 hunter2", "prompt_length": 15}
    failed = {**WHO, "event.name": "api_error", "model": MODEL, "error": "hunter2", "status_code": "500"}
    whole = record({**REQUEST, "prompt": "hunter2"}, body={"stringValue": "hunter2 wrote this"}, traceId="hunter2")

    post(ingest, "/v1/logs", logs(record(prompt), record(failed), whole))
    ingest.stop()

    assert len(ingest.rows("id")) == 2
    assert all(b"hunter2" not in file.read_bytes() for file in ingest.folder.iterdir())


@pytest.mark.parametrize(
    ("failure", "outcome"),
    [
        pytest.param({"status_code": "429", "error": "429 rate_limit_error"}, "rate_limited", id="limited"),
        pytest.param({"status_code": 500, "error": "overloaded"}, "error", id="another"),
        pytest.param({"status_code": "undefined", "error": "Request timed out."}, "timeout", id="timeout"),
        pytest.param({"error": "Request was aborted."}, "cancelled", id="aborted"),
    ],
)
def test_an_api_error_is_a_request_that_failed_and_cost_nothing(
    ingest: Any, failure: dict[str, Any], outcome: str
) -> None:
    told = {**WHO, "event.name": "api_error", "model": MODEL, "duration_ms": 90, "attempt": 11, **failure}

    post(ingest, "/v1/metrics", metrics(5))  # it is in no metric, and counts whoever tells the rest
    post(ingest, "/v1/logs", logs(record(told)))

    columns = ("outcome", "input", "attempt", "cost_input")
    assert dict(zip(columns, (outcome, None, 11, 0), strict=True)) in ingest.rows(*columns)
    assert ingest.count("llm_cost_usd_total", model=MODEL, component="input") == 0


def test_all_other_records_are_taken_and_dropped(ingest: Any) -> None:
    records = [
        record({**WHO, "event.name": name})
        for name in ("tool_result", "tool_decision", "user_prompt", "api_refusal", "of_a_later_version")
    ]
    records += [{"body": {"stringValue": "a line of some log"}}, {"attributes": 7}, {}]
    records.append(record(REQUEST, body={"stringValue": "other"}, eventName="gen_ai.client.inference"))
    elsewhere = {"service.name": "shop"}

    told = [
        post(ingest, "/v1/logs", logs(*records[:-1])),
        post(ingest, "/v1/logs", logs(records[-1], resource=elsewhere)),
    ]

    assert told == [{}, {}]
    assert ingest.rows("id") == []
    assert ingest.count("exporter_ingest_events_total", source="otlp", result="ignored") == 9


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        pytest.param({"input_tokens": -1}, "negative_tokens", id="negative"),
        pytest.param({"output_tokens": "many"}, "not_a_number", id="no number"),
        pytest.param({"cost_usd": "NaN"}, "bad_cost", id="no cost"),
        pytest.param({"duration_ms": 1e300}, "bad_duration", id="longer than a day"),
        pytest.param({"model": "m" * 10_240}, "name_too_long", id="a model name of 10 KB"),
    ],
)
def test_a_bad_event_is_refused_and_the_rest_is_taken(ingest: Any, change: dict[str, Any], reason: str) -> None:
    told = post(ingest, "/v1/logs", logs(record({**REQUEST, **change}), record()))

    assert told == {"rejectedLogRecords": "1", "errorMessage": f"refused: 1 {reason}"}
    assert outputs(ingest) == [800]


# --- both of them told: once ---------------------------------------------------------------------------------


def test_of_a_session_that_tells_both_the_events_count_when_they_come_first(start: Any) -> None:
    first = start()
    post(first, "/v1/logs", logs(record()))
    post(first, "/v1/metrics", metrics(800))
    first.stop()
    second = start()  # it is remembered
    post(second, "/v1/metrics", metrics(1_700, NOW + 60 * SECOND))
    post(second, "/v1/logs", logs(record({**REQUEST, "event.sequence": 9, "output_tokens": 900})))

    assert outputs(second) == [800, 900]


def test_of_a_session_that_tells_both_the_metrics_count_when_they_come_first(ingest: Any) -> None:
    post(ingest, "/v1/metrics", metrics(800))
    post(ingest, "/v1/logs", logs(record()))
    post(ingest, "/v1/metrics", metrics(1_700, NOW + 60 * SECOND))

    assert outputs(ingest) == [800, 900]


def test_another_session_is_counted_by_what_it_tells(ingest: Any) -> None:
    post(ingest, "/v1/logs", logs(record()))
    post(ingest, "/v1/metrics", metrics(70, **{**WHO, "session.id": "another"}))

    assert outputs(ingest) == [70, 800]


def test_metrics_that_name_no_session_are_those_of_the_installation(ingest: Any) -> None:
    post(ingest, "/v1/logs", logs(record()))
    post(ingest, "/v1/metrics", metrics(800, **{"user.id": WHO["user.id"]}))  # the same calls
    post(ingest, "/v1/metrics", metrics(70, **{"user.id": "somebody else"}))

    assert outputs(ingest) == [70, 800]


@pytest.mark.parametrize(
    ("usage", "counted"), [pytest.param("metrics", [70], id="metrics"), pytest.param("logs", [800], id="logs")]
)
def test_the_resource_may_say_which(ingest: Any, usage: str, counted: list[int]) -> None:
    told = {**RESOURCE, "topmast.usage": usage}
    post(ingest, "/v1/metrics", metrics(70, resource=told))
    post(ingest, "/v1/logs", logs(record(), resource=told))

    assert outputs(ingest) == counted


def test_events_that_the_ledger_refused_take_no_session(ingest: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> Any:
        raise LedgerFullError("20000 events wait")

    with monkeypatch.context() as full_for_now:
        full_for_now.setattr(ingest.ledger, "submit", full)
        status, headers, _ = ingest.post("/v1/logs", logs(record()))
    post(ingest, "/v1/metrics", metrics(800))  # the sender gave its events up

    assert (status, headers["retry-after"]) == (429, "1")
    assert outputs(ingest) == [800]


def test_a_session_whose_events_stopped_for_a_day_is_counted_by_its_metrics_and_only_what_grew(
    tmp_path: Path,
) -> None:
    now = [1_800_000_000.0]
    sessions = Sessions(tmp_path, lambda: now[0])
    keys = [("session",)]

    verdicts = [sessions.claim(keys, EVENTS)[0], sessions.claim(keys, METRICS)[0]]
    now[0] += HOLD_SECONDS + 1
    verdicts += [sessions.claim(keys, METRICS)[0], sessions.claim(keys, EVENTS)[0]]
    sessions.close()

    assert verdicts == [[True], [False], [True], [False]]


def test_cumulative_metrics_that_were_told_by_events_are_not_counted_when_they_take_over(ingest: Any) -> None:
    post(ingest, "/v1/logs", logs(record()))
    post(ingest, "/v1/metrics", metrics(800))
    with ingest.ingest._otlp._sessions._store.transaction() as database:
        database.execute("UPDATE sessions SET at = at - ?", (HOLD_SECONDS + 1,))  # a day passes
    post(ingest, "/v1/metrics", metrics(830, NOW + 60 * SECOND))

    assert outputs(ingest) == [30, 800]
