"""The bodies of OTLP/HTTP: requests as JSON or protobuf, answers in the encoding that was asked in.

Whatever it came as, a request is the mapping of OTLP's JSON encoding: camel case, 64-bit integers perhaps as text,
ids in hexadecimal. Protobuf needs the extra `otlp`; answers and refusals are small enough to be written by hand.
"""

import base64
import json
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from typing import Any

from topmast_exporter.web import JSON, HttpError

PROTOBUF = "application/x-protobuf"
TRACES, METRICS, LOGS = "/v1/traces", "/v1/metrics", "/v1/logs"

# path -> (the module and message of opentelemetry-proto, partialSuccess's count of what was rejected)
_SIGNALS = {
    TRACES: ("trace", "ExportTraceServiceRequest", "rejectedSpans"),
    METRICS: ("metrics", "ExportMetricsServiceRequest", "rejectedDataPoints"),
    LOGS: ("logs", "ExportLogsServiceRequest", "rejectedLogRecords"),
}
PATHS = tuple(_SIGNALS)

MAX_MESSAGE = 500
_IDS = ("traceId", "spanId", "parentSpanId")


def content_type_of(header: str) -> str:
    """Return JSON or PROTOBUF. Raises HttpError for another content type."""
    kind = header.partition(";")[0].strip().lower()
    if kind in (JSON, PROTOBUF):
        return kind
    raise HttpError(415, f"content-type is {JSON} or {PROTOBUF}, not {kind[:40]!r}")


def decode(path: str, body: bytes, content_type: str) -> Mapping[str, Any]:
    """Return the request. Raises HttpError when it is none, or is protobuf and the extra is not installed."""
    return _of_json(body) if content_type == JSON else _of_protobuf(path, body)


def _of_json(body: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise HttpError(400, "the body is not JSON") from error
    if not isinstance(found, dict):
        raise HttpError(400, "the body is not a JSON object")
    return found


def _of_protobuf(path: str, body: bytes) -> Mapping[str, Any]:
    signal, name, _ = _SIGNALS[path]
    try:
        message_of, to_dict, decode_error = _protobuf(signal, name)
    except ImportError as error:
        raise HttpError(
            415, "protobuf is not installed here: pip install 'topmast-exporter[otlp]', or send http/json"
        ) from error
    message = message_of()
    try:
        message.ParseFromString(body)
    except decode_error as error:
        raise HttpError(400, f"the body is no {name}") from error
    found: dict[str, Any] = to_dict(message, use_integers_for_enums=True)
    for resource in found.get("resourceSpans", ()):
        for scope in resource.get("scopeSpans", ()):
            for span in scope.get("spans", ()):
                for key in _IDS:
                    if key in span:  # bytes are base64 in protobuf's JSON, hexadecimal in OTLP's
                        span[key] = base64.b64decode(span[key]).hex()
    return found


@cache
def _protobuf(signal: str, name: str) -> tuple[Any, Any, Any]:
    service = import_module(f"opentelemetry.proto.collector.{signal}.v1.{signal}_service_pb2")
    to_dict = import_module("google.protobuf.json_format").MessageToDict
    return getattr(service, name), to_dict, import_module("google.protobuf.message").DecodeError


def success(path: str, content_type: str, rejected: int, message: str) -> bytes:
    """Return the answer of 200: empty when there is nothing to say. `rejected` 0 with a message is a warning."""
    message = message[:MAX_MESSAGE]
    if content_type == JSON:
        if not rejected and not message:
            return b"{}"
        partial = {**({_SIGNALS[path][2]: str(rejected)} if rejected else {}), "errorMessage": message}
        return json.dumps({"partialSuccess": partial}).encode()
    if not rejected and not message:
        return b""
    # Export…ServiceResponse: partial_success = 1; in it the count (int64) = 1 and error_message = 2
    return _bytes(1, (b"\x08" + _varint(rejected) if rejected else b"") + _bytes(2, message.encode()))


def refusal(content_type: str, message: str) -> bytes:
    """Return a google.rpc.Status, the body of every OTLP error."""
    message = message[:MAX_MESSAGE]
    # Status: message = 2
    return json.dumps({"message": message}).encode() if content_type == JSON else _bytes(2, message.encode())


def _bytes(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def _varint(number: int) -> bytes:
    parts = bytearray()
    while number > 0x7F:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes((*parts, number))
