"""inputs/http.py: what is accepted is in the spool, what is refused is not, and the answer says which."""

import base64
import gzip
import hmac
import http.client
import json
import socket
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from topmast_shipper.errors import ConfigError
from topmast_shipper.inputs.http import INPUT, frames, records_of
from topmast_shipper.rooms import Setting

Make = Callable[..., Any]
LINES = b'{"level":"error","msg":"a","service":"shop"}\n{"msg":"b"}\nplain WARN text\n'


@pytest.fixture
def make(setting: Setting) -> Iterator[Make]:
    made = []

    def build(**options: Any) -> Any:
        made.append(INPUT.build({"listen": "127.0.0.1:0", **options}, setting))
        return made[-1]

    yield build
    for each in made:
        each.close()


def post(made: Any, body: Any, headers: dict[str, str] | None = None, **options: Any) -> tuple[int, dict[str, Any]]:
    connection = http.client.HTTPConnection(made.address, timeout=10)
    try:
        connection.request("POST", "/", body, headers or {}, **options)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        pytest.param(LINES, {}, id="NDJSON"),
        pytest.param(gzip.compress(LINES), {"content-encoding": "gzip"}, id="gzip"),
        pytest.param(
            gzip.compress(LINES[:45]) + gzip.compress(LINES[45:]), {"content-encoding": "gzip"}, id="two gzip"
        ),
        pytest.param(
            b'[{"level":"error","msg":"a","service":"shop"},{"msg":"b"},"plain WARN text"]', {}, id="a JSON array"
        ),
    ],
)
def test_records_arrive(make: Make, documents: Any, body: bytes, headers: dict[str, str]) -> None:
    made = make(service="drain")

    assert post(made, body, headers) == (200, {"accepted": 3})

    found = documents(made, 3)
    assert [each["message"].strip('"') for each in found] == ["a", "b", "plain WARN text"]
    assert [each["service"]["name"] for each in found] == ["shop", "drain", "drain"]
    assert [each["log"]["level"] for each in found] == ["error", "info", "warning"]


def test_chunks_arrive(make: Make, documents: Any) -> None:
    made = make()

    assert post(made, iter([b'{"msg":', b'"a"}\n']), encode_chunked=True) == (200, {"accepted": 1})

    assert documents(made, 1)[0]["message"] == "a"


def test_several_requests_of_one_connection(make: Make, documents: Any) -> None:
    made = make()
    connection = http.client.HTTPConnection(made.address, timeout=10)
    for number in range(3):
        connection.request("POST", "/", f"line {number}")
        assert connection.getresponse().read() == b'{"accepted": 1}'
    connection.close()

    assert [each["message"] for each in documents(made, 3)] == ["line 0", "line 1", "line 2"]


def test_a_token_is_asked_for(make: Make, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("s3cret\n")
    made = make(token_file="token")

    assert post(made, b"x")[0] == 401
    assert post(made, b"x", {"Authorization": "Bearer wrong"})[0] == 401
    assert post(made, b"x", {"Authorization": "Bearer s3cret"}) == (200, {"accepted": 1})


@pytest.mark.parametrize(("header", "algorithm", "before"), [
    ("x-vercel-signature", "sha1", ""), ("x-hub-signature-256", "sha256", "sha256="),
])  # fmt: skip
def test_a_signature_of_the_body_is_asked_for(
    make: Make, tmp_path: Path, header: str, algorithm: str, before: str
) -> None:
    (tmp_path / "secret").write_text("key")
    made = make(hmac_secret_file="secret", hmac_header=header, hmac_algorithm=algorithm)
    body = gzip.compress(b"x")
    signed = {header: before + hmac.new(b"key", body, algorithm).hexdigest(), "content-encoding": "gzip"}

    assert post(made, body, signed) == (200, {"accepted": 1})
    assert post(made, gzip.compress(b"y"), signed)[0] == 401
    assert post(made, body, {"content-encoding": "gzip"})[0] == 401


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        pytest.param(b"x" * 3000, {}, 413, id="too long"),
        pytest.param(gzip.compress(b"x" * 1_000_000), {"content-encoding": "gzip"}, 413, id="a bomb"),
        pytest.param(b"no gzip", {"content-encoding": "gzip"}, 400, id="no gzip"),
        pytest.param(gzip.compress(b"x")[:-4], {"content-encoding": "gzip"}, 400, id="torn gzip"),
        pytest.param(b"x", {"content-encoding": "br"}, 415, id="another encoding"),
        pytest.param(iter([b"x" * 1500, b"y" * 1500]), {}, 413, id="too long in chunks"),
    ],
)
def test_what_is_refused_is_not_taken(
    make: Make, documents: Any, body: Any, headers: dict[str, str], status: int
) -> None:
    made = make(max_body_bytes=2048)

    assert post(made, body, headers, encode_chunked=not isinstance(body, bytes))[0] == status
    assert post(made, b"the next one")[0] == 200
    assert [each["message"] for each in documents(made, 1)] == ["the next one"]


def test_a_full_spool_says_come_again_and_takes_nothing(make: Make, documents: Any) -> None:
    made = make(max_spool_bytes=1 << 20)
    whole = b"x" * 900_000

    assert post(made, whole)[0] == 200
    status, told = post(made, whole)

    assert (status, "waiting to be stored" in told["error"]) == (429, True)
    assert len(documents(made, 1)) == 1


def test_a_line_too_long_keeps_its_beginning_and_the_rest_is_counted(
    make: Make, documents: Any, lost: list[tuple[str, int]]
) -> None:
    made = make()

    assert post(made, b"x" * ((1 << 20) + 7))[0] == 200

    assert len(documents(made, 1)[0]["message"]) == 1 << 20
    assert lost == [("too_long", 7)]


def test_a_body_that_ends_in_the_middle_is_not_taken(make: Make, documents: Any) -> None:
    made = make()
    host, port = made.address.split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf")
        connection.shutdown(socket.SHUT_WR)
        assert b" 400 " in connection.recv(1000)

    assert post(made, b"whole")[0] == 200
    assert [each["message"] for each in documents(made, 1)] == ["whole"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"listen": "0.0.0.0:0"}, "beyond this machine only with tls_certificate and a token_file"),
        ({"token_file": "nowhere"}, "nowhere: No such file"),
    ],
)
def test_what_is_not_safe_is_refused(make: Make, options: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        make(**options)


def test_herokus_frames() -> None:
    first, second = b"<40>1 2026-11-22T21:16:00Z host app web.1 - a\n", b"<40>1 2026-11-22T21:16:00Z host app w - b"
    body = b"%d %s%d %s" % (len(first), first, len(second), second)

    assert list(frames(body)) == [first.strip(), second]
    assert list(records_of(body, "application/logplex-1")) == [first.strip(), second]
    assert list(frames(b"5 abcdebroken")) == [b"abcde", b"broken"]


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        pytest.param(b'{"msg":"signed in","password":"hunter2secret"}', "signed in", id="a name in JSON"),
        pytest.param(b"GET /?api_key=hunter2secret HTTP/1.1", "GET /", id="text"),
        pytest.param(b"token=hunter2secret \xff and on", "and on", id="bytes that are no UTF-8"),
    ],
)
def test_secrets_in_lines_of_others_do_not_arrive(make: Make, documents: Any, line: bytes, kept: str) -> None:
    made = make(redact=True)

    post(made, line)

    (found,) = documents(made, 1)
    written = json.dumps(found)
    assert kept in found["message"]
    assert "hunter2secret" not in written
    raw = found.get("labels", {}).get("raw_base64", "")
    assert b"hunter2secret" not in base64.b64decode(raw)


def test_patterns_of_ones_own_are_redacted_too(make: Make, documents: Any) -> None:
    made = make(redact=[r"CUST-\d+"])

    post(made, b"CUST-4711 has password=hunter2secret")

    assert documents(made, 1)[0]["message"] == "[redacted] has password=[redacted]"


def test_a_pattern_that_is_none_is_refused(make: Make) -> None:
    with pytest.raises(ConfigError, match="redact"):
        make(redact=["("])


def test_it_answers_over_tls(make: Make, documents: Any, tmp_path: Path) -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    certificate.private_key_pem.write_to_path(tmp_path / "key.pem")
    made = make(tls_certificate="cert.pem", tls_key="key.pem")
    context = ssl.create_default_context()
    authority.configure_trust(context)

    connection = http.client.HTTPSConnection(made.address, timeout=10, context=context)
    connection.request("POST", "/", b"over TLS")
    status = connection.getresponse().status
    connection.close()

    assert status == 200
    assert [each["message"] for each in documents(made, 1)] == ["over TLS"]
    with pytest.raises((OSError, http.client.HTTPException)):
        post(made, b"without")
