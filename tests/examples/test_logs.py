"""The demo's logs are what shippers expect: ECS JSON a line, nginx's combined format, rotated by size."""

import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from reference_app.logs import RequestLog, start_logging

COMBINED = re.compile(r'^(\S+) - - \[([^\]]+)\] "(\S+) (\S+) HTTP/1\.1" (\d{3}) (\d+) "([^"]*)" "([^"]*)"$')


@pytest.fixture
def access(tmp_path: Path) -> Iterator[logging.Handler]:
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    handler = start_logging(tmp_path, max_bytes=20_000, files=2)
    yield handler
    for opened in (handler, *root.handlers):
        opened.close()
    root.handlers, _ = before, root.setLevel(level)


async def answer(scope: Any, receive: Any, send: Any) -> None:
    logging.getLogger("shop.test").info("looking")
    if scope["path"] == "/broken":
        raise RuntimeError("no stock")
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})


async def request(access: logging.Handler, path: str, query: bytes = b"", **headers: str) -> list[Any]:
    scope = {
        "type": "http",
        "method": "GET",
        "path": path,
        "query_string": query,
        "http_version": "1.1",
        "client": ("127.0.0.1", 5000),
        "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()],
    }
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.disconnect"}

    await RequestLog(answer, access)(scope, receive, send)
    return sent


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "app.log").read_text().splitlines()]


@pytest.mark.asyncio
async def test_every_line_of_a_request_carries_its_ids(tmp_path: Path, access: logging.Handler) -> None:
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"

    await request(access, "/api/x", x_request_id="r-1", traceparent=f"00-{trace}-00f067aa0ba902b7-01")

    logged = lines(tmp_path)
    assert [line["message"] for line in logged] == ["looking", "GET /api/x answered 200"]
    assert {line["trace"]["id"] for line in logged} == {trace}
    assert {line["http"]["request"]["id"] for line in logged} == {"r-1"}
    assert logged[1]["log"] == {"level": "info", "logger": "shop.http"}
    assert logged[1]["service"]["name"] == "shop"
    assert logged[1]["http"]["response"] == {"status_code": 200, "body": {"bytes": 5}}


@pytest.mark.asyncio
async def test_a_failed_request_is_logged_with_its_stack(tmp_path: Path, access: logging.Handler) -> None:
    with pytest.raises(RuntimeError):
        await request(access, "/broken")

    failed = lines(tmp_path)[-1]
    assert failed["log"]["level"] == "error"
    assert failed["error"]["type"] == "RuntimeError"
    assert "no stock" in failed["error"]["stack_trace"]
    assert failed["http"]["response"]["status_code"] == 500


@pytest.mark.asyncio
async def test_the_access_line_is_nginx_s_combined_format(tmp_path: Path, access: logging.Handler) -> None:
    await request(access, "/api/x", b"q=1", x_forwarded_for="203.0.113.9", user_agent='Mozilla/5.0 "quoted"')

    line = (tmp_path / "access.log").read_text().splitlines()[-1]
    matched = COMBINED.match(line)
    assert matched is not None
    assert matched[1] == "203.0.113.9"
    assert matched.group(3, 4, 5, 6) == ("GET", "/api/x?q=1", "200", "5")
    assert matched[8] == r"Mozilla/5.0 \x22quoted\x22"


@pytest.mark.asyncio
async def test_a_request_id_that_is_no_id_is_replaced(tmp_path: Path, access: logging.Handler) -> None:
    sent = await request(access, "/api/x", x_request_id='"; drop')

    (header,) = [value for name, value in sent[0]["headers"] if name == b"x-request-id"]
    assert re.fullmatch(rb"[0-9a-f]{16}", header)
    assert lines(tmp_path)[-1]["http"]["request"]["id"] == header.decode()


def test_logs_rotate_by_size(tmp_path: Path, access: logging.Handler) -> None:
    for number in range(400):
        logging.getLogger("shop.test").info("line %d", number)

    written = sorted(path.name for path in tmp_path.glob("app.log*"))
    assert written == ["app.log", "app.log.1", "app.log.2"]
    assert all(path.stat().st_size <= 20_000 for path in tmp_path.glob("app.log*"))
