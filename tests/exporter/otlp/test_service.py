"""The answers of OTLP/HTTP: in the encoding that was asked in, and telling the sender whether to ask again."""

import gzip
import json
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from topmast_exporter.otlp import body
from topmast_exporter.otlp.body import METRICS, PROTOBUF, TRACES
from topmast_exporter.web import JSON, HttpError


@pytest.mark.parametrize(
    ("path", "message", "rejected", "told"),
    [
        pytest.param(
            TRACES, ExportTraceServiceResponse, 300, {"rejectedSpans": "300", "errorMessage": "why"}, id="a part"
        ),
        pytest.param(
            METRICS, ExportMetricsServiceResponse, 1, {"rejectedDataPoints": "1", "errorMessage": "why"}, id="one"
        ),
        pytest.param(TRACES, ExportTraceServiceResponse, 0, {"errorMessage": "why"}, id="a warning"),
    ],
)
def test_a_partial_success_says_the_same_in_both_encodings(path: str, message: Any, rejected: int, told: Any) -> None:
    packed = body.success(path, PROTOBUF, rejected, "why")

    assert MessageToDict(message.FromString(packed)) == {"partialSuccess": told}
    assert json.loads(body.success(path, JSON, rejected, "why")) == {"partialSuccess": told}


def test_a_long_message_is_cut_and_still_a_message() -> None:
    answer = ExportTraceServiceResponse.FromString(body.success(TRACES, PROTOBUF, 2**40, "é" * 10_000))

    assert (answer.partial_success.rejected_spans, len(answer.partial_success.error_message)) == (2**40, 500)


@pytest.mark.parametrize(
    ("sent", "kind", "status"),
    [
        pytest.param(b"{broken", JSON, 400, id="no JSON"),
        pytest.param(b"[" * 100_000, JSON, 400, id="nested too deeply"),
        pytest.param(b"[]", JSON, 400, id="no object"),
        pytest.param(b"\xff\xff\xff", PROTOBUF, 400, id="no protobuf"),
        pytest.param(gzip.compress(b" " * (4 * 2**20 + 1)), PROTOBUF, 413, id="too large"),
        pytest.param(b"{}", "text/plain", 415, id="another content type"),
        pytest.param(b'{"resourceSpans": [1, {"scopeSpans": 7}, {"resource": 3}]}', JSON, 200, id="odd shapes"),
        pytest.param(b"{}", JSON, 200, id="nothing"),
    ],
)
def test_a_bad_body_is_refused_with_a_status_message(ingest: Any, sent: bytes, kind: str, status: int) -> None:
    packed = {"content_encoding": "gzip"} if sent.startswith(b"\x1f\x8b") else {}
    got, headers, answer = ingest.post(TRACES, sent, kind, **packed)

    assert got == status
    assert headers["content-type"] == (JSON if kind == JSON else PROTOBUF)
    if status != 200 and kind == JSON:
        assert json.loads(answer)["message"]
    elif status != 200:
        assert answer[:1] == b"\x12"  # google.rpc.Status: message = 2


def test_without_the_extra_protobuf_is_refused_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_name: str) -> Any:
        raise ModuleNotFoundError("No module named 'opentelemetry'")

    body._protobuf.cache_clear()
    monkeypatch.setattr(body, "import_module", missing)

    with pytest.raises(HttpError, match=r"pip install 'topmast-exporter\[otlp\]', or send http/json") as refused:
        body.decode(TRACES, ExportTraceServiceRequest().SerializeToString(), PROTOBUF)

    assert refused.value.status == 415


def test_a_token_is_asked_for(start: Any) -> None:
    ingest = start(token="secret")

    assert ingest.post(TRACES, b"{}")[0] == 401
    assert ingest.post(TRACES, b"{}", authorization="Bearer secret")[0] == 200
