from contextlib import suppress

import pytest
from fastapi import APIRouter, FastAPI, WebSocket
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect
from topmast_exporter.instrument.asgi import instrument
from topmast_exporter.instrument.websocket import event_of
from topmast_exporter.registry import Registry
from topmast_exporter.testing import samples, value

ROUTE = "/chat/rooms/{room}"


def chat(registry: Registry) -> FastAPI:
    app, router = FastAPI(), APIRouter(prefix="/rooms")

    @router.websocket("/{room}")
    async def talk(socket: WebSocket, room: str) -> None:
        if room == "closed":
            await socket.close()
            return
        await socket.accept()
        said = await socket.receive_json()
        if said["event"] == "boom":
            raise RuntimeError("half-way")
        await socket.send_text('{"event": "chat:chunk", "text": "a"}')
        await socket.send_bytes(b"binary")
        with suppress(WebSocketDisconnect):
            await socket.receive_json()

    app.include_router(router, prefix="/chat")
    return instrument(app, registry)


def test_connections_and_messages_are_counted() -> None:
    registry = Registry()

    with TestClient(chat(registry)).websocket_connect("/chat/rooms/7") as socket:
        socket.send_json({"event": "chat:start", "text": "hello"})
        socket.receive_text()
        socket.receive_bytes()
        open_now = value(registry, "app_websocket_connections", route=ROUTE, transport="websocket")

    assert open_now == 1
    assert value(registry, "app_websocket_connections") == 0
    assert [
        (labels["direction"], labels["event"], count)
        for labels, count in samples(registry, "app_websocket_messages_total")
    ] == [
        ("in", "chat:start", 1),
        ("out", "chat:chunk", 1),
        ("out", "message", 1),
    ]
    assert {labels["route"] for labels, _ in samples(registry, "app_websocket_messages_total")} == {ROUTE}


def test_a_connection_that_breaks_is_open_no_longer() -> None:
    registry = Registry()

    with (
        pytest.raises(RuntimeError, match="half-way"),
        TestClient(chat(registry)).websocket_connect("/chat/rooms/7") as socket,
    ):
        socket.send_json({"event": "boom"})
        socket.receive_text()

    assert value(registry, "app_websocket_connections") == 0


def test_a_refused_connection_was_never_open() -> None:
    registry = Registry()

    with pytest.raises(WebSocketDisconnect), TestClient(chat(registry)).websocket_connect("/chat/rooms/closed"):
        pass

    assert samples(registry, "app_websocket_connections") == []


@pytest.mark.parametrize(
    ("message", "event"),
    [
        pytest.param({"text": '{"event":"chat:done"}'}, "chat:done", id="event"),
        pytest.param({"text": ' { "type" : "response.completed", "x": 1}'}, "response.completed", id="type"),
        pytest.param({"text": '{"text":"my \\"event\\": \\"x\\"","event":"chat:start"}'}, "message", id="not first"),
        pytest.param({"text": '{"event":"a secret, with words"}'}, "message", id="not a name"),
        pytest.param({"text": '{"event":"' + "x" * 65 + '"}'}, "message", id="too long"),
        pytest.param({"text": "hello"}, "message", id="plain text"),
        pytest.param({"text": None, "bytes": b"x"}, "message", id="binary"),
    ],
)
def test_an_event_has_the_name_that_its_first_member_says(message: dict[str, object], event: str) -> None:
    assert event_of(message) == event
