"""parsers/grok.py under real Oniguruma: lines that fit, lines that do not, lines that mean harm."""

from typing import Any

import pytest
from topmast_shipper import rooms

NGINX = '203.0.113.7 - ann [22/Nov/2026:21:16:00 +0000] "GET /api/cart?id=7 HTTP/1.1" 200 512 "https://a/" "curl/8"'


def parse(pattern: str, line: str) -> dict[str, Any]:
    return rooms.parser({"grok": {"pattern": pattern}}, "test")(line)


def test_an_nginx_line_as_a_whole() -> None:
    assert parse("NGINX_ACCESS", NGINX) == {
        "message": NGINX,
        "@timestamp": "22/Nov/2026:21:16:00 +0000",
        "source.address": "203.0.113.7",
        "user.name": "ann",
        "http.request.method": "GET",
        "url.original": "/api/cart?id=7",
        "url.path": "/api/cart",
        "url.query": "id=7",
        "http.version": "1.1",
        "http.response.status_code": 200,
        "http.response.body.bytes": 512,
        "http.request.referrer": "https://a/",
        "user_agent.original": "curl/8",
    }


@pytest.mark.parametrize(
    ("line", "field", "value"),
    [
        pytest.param(NGINX + " 0.012", "nginx.access.request_time", 0.012, id="request time"),
        pytest.param(NGINX.replace("512", "-"), "http.response.body.bytes", None, id="no bytes"),
        pytest.param(NGINX.replace("203.0.113.7", "2001:db8::1"), "source.address", "2001:db8::1", id="IPv6"),
        pytest.param(NGINX.replace("203.0.113.7", "-"), "source.address", None, id="no client"),
        pytest.param(NGINX.replace("ann", "-"), "user.name", None, id="no user"),
        pytest.param(NGINX.replace("GET /api/cart?id=7 HTTP/1.1", r"\x16\x03"), "nginx.access.garbled", r"\x16\x03",
                     id="garbled request"),
        pytest.param(NGINX.replace("curl/8", r"a \x22b\x22"), "user_agent.original", r"a \x22b\x22", id="quotes"),
        pytest.param(NGINX.replace("?id=7", "?a=%22b%22&c"), "url.query", "a=%22b%22&c", id="query"),
        pytest.param(NGINX.rsplit(' "', 2)[0], "http.response.status_code", 200, id="common, not combined"),
    ],
)  # fmt: skip
def test_variations_of_nginx(line: str, field: str, value: Any) -> None:
    found = parse("NGINX_ACCESS", line)

    assert "error.type" not in found
    assert found.get(field) == value


@pytest.mark.parametrize(
    ("line", "fields"),
    [
        pytest.param(
            'INFO:     127.0.0.1:52344 - "GET /items?x=1 HTTP/1.1" 404 Not Found',
            {
                "http.request.method": "GET",
                "url.path": "/items",
                "http.response.status_code": 404,
                "source.port": 52344,
            },
            id="uvicorn access",
        ),
        pytest.param("ERROR:    Exception in ASGI application", {"log.level": "ERROR"}, id="uvicorn message"),
        pytest.param(
            "2026-11-22 21:16:00,123 - app.orders - WARNING - slow: 7",
            {"log.level": "WARNING", "log.logger": "app.orders", "message": "slow: 7"},
            id="dashed",
        ),
        pytest.param(
            "2026-11-22T21:16:00Z [info] app.main: started",
            {"log.level": "info", "log.logger": "app.main", "message": "started"},
            id="spaced",
        ),
        pytest.param(
            "CRITICAL:root:no\nmore", {"log.level": "CRITICAL", "message": "no\nmore"}, id="basicConfig, two lines"
        ),
    ],
)
def test_fastapi(line: str, fields: dict[str, Any]) -> None:
    found = parse("FASTAPI", line)

    assert "error.type" not in found
    assert found | fields == found


HOSTILE = [
    pytest.param("", id="empty"),
    pytest.param("a" * 30_000, id="long"),
    pytest.param('127.0.0.1 - - [' + "[" * 5000, id="brackets"),
    pytest.param('127.0.0.1 - - [22/Nov/2026:21:16:00 +0000] "' + "\\" * 9999, id="backslashes"),
    pytest.param('127.0.0.1 - - [22/Nov/2026:21:16:00 +0000] "GET /' + "a?" * 9999, id="question marks"),
    pytest.param(NGINX + "\n" + NGINX, id="two lines"),
    pytest.param("INFO:     " * 2000, id="levels"),
    pytest.param("\x00\x1b[31m", id="control characters"),
    pytest.param("1" * 9999 + ":" * 9999, id="a host without end"),
]  # fmt: skip


@pytest.mark.parametrize("line", HOSTILE)
def test_a_line_that_does_not_fit_goes_on_raw_with_the_reason(line: str) -> None:
    assert parse("NGINX_ACCESS", line) == {
        "message": line,
        "error.type": "grok_mismatch",
        "error.message": "does not fit NGINX_ACCESS",
    }


@pytest.mark.parametrize("line", HOSTILE)
@pytest.mark.parametrize("pattern", ["NGINX_ACCESS", "FASTAPI", "UVICORN_ACCESS", "PYTHON_SPACED"])
def test_no_line_makes_a_pattern_raise(pattern: str, line: str) -> None:
    assert "message" in parse(pattern, line)


def test_a_line_that_is_too_long_is_not_tried() -> None:
    found = parse("NGINX_ACCESS", "a" * 40_000)

    assert found["error.message"] == "longer than 32768 characters"
