"""A real Socket.IO server behind uvicorn, and real clients."""

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import pytest
import socketio
import uvicorn
from topmast_exporter.instrument.socketio import SocketIO, instrument_socketio
from topmast_exporter.registry import Registry
from topmast_exporter.testing import samples, value


@contextlib.asynccontextmanager
async def serving(server: socketio.AsyncServer) -> AsyncIterator[str]:
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(socketio.ASGIApp(server), log_level="error", lifespan="off", ws="websockets-sansio")
    run = uvicorn.Server(config)
    task = asyncio.create_task(run.serve(sockets=[listener]))
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        run.should_exit = True
        await task


async def until(condition: Callable[[], bool], what: str) -> None:
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0.01)  # the step of a polled condition
    pytest.fail(f"not within 10 s: {what}")


def chat() -> socketio.AsyncServer:
    server = socketio.AsyncServer(async_mode="asgi")

    @server.on("chat:start", namespace="/chat")
    async def start(sid: str, question: str) -> str:
        await server.emit("chat:chunk", {"text": question}, namespace="/chat", room=sid)
        await server.emit("chat:done", namespace="/chat")  # to everybody
        await server.send(b"bytes", namespace="/chat", room=sid)
        return "accepted"

    @server.on("*", namespace="/chat")
    async def anything(event: str, sid: str, *_: Any) -> None: ...

    @server.on("connect", namespace="/closed")
    async def refuse(sid: str, environ: Any) -> bool:
        return False

    return server


def in_a_chat(registry: Registry, use: Callable[[str], Awaitable[None]], **options: Any) -> None:
    async def run() -> None:
        async with serving(instrument_socketio(chat(), registry, **options)) as url:
            await use(url)

    asyncio.run(run())


def messages(registry: Registry) -> dict[tuple[str, str, str], float]:
    return {
        (labels["route"], labels["direction"], labels["event"]): count
        for labels, count in samples(registry, "app_websocket_messages_total")
        if count
    }


def test_clients_are_counted_by_transport() -> None:
    registry = Registry()
    seen: list[Any] = []

    def open_now() -> dict[str, float]:
        found = samples(registry, "app_websocket_connections")
        return {labels["transport"]: count for labels, count in found if labels["route"] == "/chat"}

    async def use(url: str) -> None:
        async with httpx.AsyncClient(base_url=url) as polling, socketio.AsyncSimpleClient() as upgraded:
            # By hand: python-socketio's own client leaves a poll only when it times out, after 45 s.
            opened = await polling.get("/socket.io/?EIO=4&transport=polling")
            session = f"/socket.io/?EIO=4&transport=polling&sid={json.loads(opened.text[1:])['sid']}"
            await polling.post(session, content="40/chat,")
            await upgraded.connect(url, namespace="/chat")
            await until(lambda: open_now().get("websocket") == 1, "the upgrade")
            seen.append(open_now())
            await polling.post(session, content="41/chat,")
        await until(lambda: sum(open_now().values()) == 0, "both are gone")

    in_a_chat(registry, use)

    assert seen == [{"polling": 1, "websocket": 1}]
    assert value(registry, "exporter_internal_errors_total") is None


def test_events_are_counted_by_direction_for_each_recipient() -> None:
    registry = Registry()

    async def use(url: str) -> None:
        async with socketio.AsyncSimpleClient() as asking, socketio.AsyncSimpleClient() as watching:
            await asking.connect(url, namespace="/chat")
            await watching.connect(url, namespace="/chat")
            await asking.call("chat:start", "why")
            await watching.receive(timeout=5)

    in_a_chat(registry, use)

    assert messages(registry) == {
        ("/chat", "in", "chat:start"): 1,
        ("/chat", "out", "chat:chunk"): 1,
        ("/chat", "out", "chat:done"): 2,
        ("/chat", "out", "message"): 1,
    }


def test_events_that_nobody_expects_are_other() -> None:
    registry = Registry()

    async def use(url: str) -> None:
        async with socketio.AsyncSimpleClient() as client:
            await client.connect(url, namespace="/chat")
            for number in range(5):
                await client.emit(f"attack-{number}")
            await client.emit("cursor:moved")
            await client.call("chat:start", "why")

    in_a_chat(registry, use, events=["cursor:moved"])

    assert {key: count for key, count in messages(registry).items() if key[1] == "in"} == {
        ("/chat", "in", "_other"): 5,
        ("/chat", "in", "cursor:moved"): 1,
        ("/chat", "in", "chat:start"): 1,
    }


def test_a_client_that_was_refused_is_not_open() -> None:
    registry = Registry()

    async def use(url: str) -> None:
        client = socketio.AsyncSimpleClient()
        with pytest.raises(socketio.exceptions.ConnectionError):
            await client.connect(url, namespace="/closed")
        await client.disconnect()

    in_a_chat(registry, use)

    assert value(registry, "app_websocket_connections", route="/closed") in (None, 0)


class Sync(socketio.Namespace):
    """A class-based namespace of a synchronous server."""

    def on_ping(self, sid: str) -> None:
        self.emit("pong", room=sid)


def test_a_synchronous_server_is_measured_alike() -> None:
    registry = Registry()
    server = instrument_socketio(socketio.Server(async_mode="threading", async_handlers=False), registry)
    server.register_namespace(Sync("/sync"))

    sid = server.manager.connect("engine-1", "/sync")
    server._trigger_event("ping", "/sync", sid)
    server._trigger_event("made-up", "/sync", sid)
    open_now = value(registry, "app_websocket_connections", route="/sync", transport="polling")
    server.manager.disconnect(sid, "/sync")

    assert messages(registry) == {
        ("/sync", "in", "ping"): 1,
        ("/sync", "in", "_other"): 1,
        ("/sync", "out", "pong"): 1,
    }
    assert open_now == 1


def test_what_breaks_in_here_never_reaches_the_application() -> None:
    registry = Registry()
    server = socketio.Server(async_mode="threading")
    SocketIO(server, registry, frozenset())
    server.handlers = None

    assert server.manager.connect("engine-1", "/") is not None
    assert value(registry, "exporter_internal_errors_total", site="socketio") == 1
