"""The answers of OTLP/HTTP: in the encoding that was asked in, and telling the sender whether to ask again."""

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


def test_without_the_extra_protobuf_is_refused_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_name: str) -> Any:
        raise ModuleNotFoundError("No module named 'opentelemetry'")

    body._protobuf.cache_clear()
    monkeypatch.setattr(body, "import_module", missing)

    with pytest.raises(HttpError, match=r"pip install 'topmast-exporter\[otlp\]', or send http/json") as refused:
        body.decode(TRACES, ExportTraceServiceRequest().SerializeToString(), PROTOBUF)

    assert refused.value.status == 415
