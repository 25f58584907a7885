"""The shop on a real Valkey and a real PostgreSQL: it serves, it is measured, it logs, and it breaks when told to."""

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from one_worker import shared
from running import free_offset
from topmast import demo, probe
from topmast.engine import Engine, Setup
from topmast.engines import demo_app, demo_model, demo_postgres, demo_redis
from topmast.layout import Layout
from websockets.sync.client import ClientConnection, connect

pytestmark = pytest.mark.live

HOME = Path(__file__).parents[2]


@dataclass
class Shop:
    """The running shop, and the usage events it sent."""

    layout: Layout
    client: httpx.Client
    events: list[dict[str, Any]] = field(default_factory=list)

    def metrics(self) -> str:
        return self.client.get("/metrics").text

    def logged(self) -> list[dict[str, Any]]:
        text = (demo.log_folder(self.layout) / "app.log").read_text()
        return [json.loads(line) for line in text.splitlines()]


@shared("shop", "module")
def shop(tmp_path_factory: pytest.TempPathFactory, eventually: Callable[..., None]) -> Iterator[Shop]:
    layout = Layout(HOME, tmp_path_factory.mktemp("state"), free_offset())
    setup = Setup(layout, demo.demo_settings(layout), demo=True, real_clocks=False, say=print)
    with ExitStack() as stack:
        stack.callback(_remove, demo.outside(layout))
        events = stack.enter_context(_Ingest(layout.port("ingest"))).events
        for module in (demo_redis, demo_postgres, demo_model, demo_app):
            stack.enter_context(_Running(module.ENGINE, setup, eventually))
        # The server closes a connection after a request that raised: each request has one of its own.
        limits = httpx.Limits(max_keepalive_connections=0)
        client = stack.enter_context(
            httpx.Client(base_url=layout.url("demo-app"), timeout=30, limits=limits, trust_env=False)
        )
        yield Shop(layout, client, events)


class _Running:
    """One component, from its start until the end of the block."""

    def __init__(self, engine: Engine, setup: Setup, eventually: Callable[..., None]) -> None:
        self._component = engine.component(setup)
        self._log = (setup.layout.state / f"{engine.name}.log").open("wb")
        self._eventually = eventually

    def __enter__(self) -> None:
        each = self._component
        env = {**os.environ, **each.env}
        self._process = subprocess.Popen(
            each.argv, env=env, cwd=each.cwd or None, stdout=self._log, stderr=subprocess.STDOUT
        )
        self._eventually(lambda: probe.answers(each.ready), f"{each.name} ready")

    def __exit__(self, *_: object) -> None:
        self._process.send_signal(signal.Signals[self._component.stop_signal])
        self._process.wait(20)
        self._log.close()


class _Ingest:
    """Takes usage events as the exporter does."""

    def __init__(self, port: int) -> None:
        self.events: list[dict[str, Any]] = []
        events = self.events

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                events.extend(json.loads(line) for line in body.splitlines())
                self.send_response(202)
                self.end_headers()
                self.wfile.write(b'{"rejected": []}')

            def log_message(self, *_: object) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)

    def __enter__(self) -> "_Ingest":
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def _remove(folder: Path) -> None:
    subprocess.run(["rm", "-rf", str(folder)], check=True)


def chat(shop: Shop) -> ClientConnection:
    return connect(shop.layout.url("demo-app").replace("http", "ws") + "/ws/chat")


def converse(socket: ClientConnection) -> list[str]:
    """Ask one question; return the events of its answer."""
    socket.send(json.dumps({"event": "chat:start", "text": "hello", "max_tokens": 20}))
    events = [json.loads(socket.recv(10))["event"]]
    while events[-1] == "chat:chunk":
        events.append(json.loads(socket.recv(10))["event"])
    return events


@pytest.fixture(scope="module")
def used(shop: Shop, eventually: Callable[..., None]) -> None:
    """The shop after one of everything."""
    for path in ("/api/products", "/api/cart", "/api/cart", "/api/search?q=lamp"):
        shop.client.get(path)
    for text in ("Is it light?", "Is it light?", "How much does it weigh?"):
        shop.client.post("/api/assistant/ask", json=question(text) | {"topic": "lamp weight"})
    shop.client.post("/api/assistant/stream", json=question())
    with chat(shop) as socket:
        converse(socket)
    run = shop.client.post("/api/agents/restock-planner/runs").json()["id"]
    eventually(lambda: "success" in shop.client.get(f"/api/agents/runs/{run}").text, "the run's end")


def question(text: str = "How large is the tent?") -> dict[str, Any]:
    return {"topic": "tent size", "text": text, "context_tokens": 5000, "max_tokens": 20}


def test_products_are_listed_found_and_bought(shop: Shop) -> None:
    listed = shop.client.get("/api/products", params={"category": "books"}).json()
    found = shop.client.get("/api/search", params={"q": "kettle"}).json()
    bought = shop.client.post("/api/checkout", json={"lines": {listed[0]["sku"]: 2}})

    assert len(listed) == 20
    assert found["products"]
    assert bought.status_code == 201
    assert bought.json()["total_cents"] == 2 * listed[0]["price_cents"]
    assert shop.client.get(f"/api/products/{listed[0]['sku']}").json()["stock"] == listed[0]["stock"] - 2


def test_what_is_sold_out_is_refused_and_nothing_is_taken(shop: Shop) -> None:
    before = shop.client.get("/api/products/SKU-0100").json()["stock"]

    refused = shop.client.post("/api/checkout", json={"lines": {"SKU-0100": 1, "SKU-0101": 100_000}})

    assert refused.status_code == 409
    assert shop.client.get("/api/products/SKU-0100").json()["stock"] == before


def test_an_answer_is_paid_for_once(shop: Shop) -> None:
    answers = [
        shop.client.post("/api/assistant/ask", json=question(text)).json()
        for text in ("How large is it?", "How large is it?", "What size is it?")
    ]

    assert [answer["source"] for answer in answers] == ["model", "llm_response", "semantic"]
    assert len({answer["text"] for answer in answers}) == 1


def test_a_stream_arrives_in_pieces(shop: Shop) -> None:
    with shop.client.stream("POST", "/api/assistant/stream", json=question()) as answer:
        lines = [line for line in answer.iter_lines() if line]

    assert answer.headers["content-type"].startswith("text/event-stream")
    assert len(lines) > 5
    assert lines[-1] == "data: [DONE]"


def test_a_chat_is_started_chunked_and_done(shop: Shop) -> None:
    with chat(shop) as socket:
        events = converse(socket)
        socket.send(json.dumps({"event": "chat:nonsense"}))
        refused = json.loads(socket.recv(10))

    assert set(events[:-1]) == {"chat:chunk"}
    assert events[-1] == "chat:done"
    assert refused["event"] == "chat:error"


def test_an_agent_runs_in_the_background(shop: Shop, eventually: Callable[..., None]) -> None:
    run = shop.client.post("/api/agents/restock-planner/runs").json()

    def status() -> str:
        return str(shop.client.get(f"/api/agents/runs/{run['id']}").json()["status"])

    assert run["status"] == "queued"
    eventually(lambda: status() == "success", "the run's end")
    assert shop.client.post("/api/agents/nobody/runs").status_code == 404


@pytest.mark.parametrize(
    "sample",
    [
        'app_http_requests_total{method="GET",route="/api/products",route_class="api",status="200"}',
        'app_http_request_duration_seconds_count{method="POST",route="/api/assistant/stream",route_class="stream"}',
        'app_http_requests_total{method="POST",route="/api/assistant/ask",route_class="llm",status="200"}',
        'app_websocket_messages_total{route="/ws/chat",direction="out",event="chat:done"}',
        "app_event_loop_lag_seconds",
        'agent_executions_total{agent="restock-planner",status="success"}',
        'agent_tasks_max{agent="order-support"}',
        'agent_pool_max{pool="sandboxes"}',
        'cache_requests_total{namespace="llm_response",operation="get",result="hit"}',
        'cache_requests_total{namespace="embedding",operation="get",result="miss"}',
        'cache_requests_total{namespace="semantic",operation="get",result="hit"}',
        'cache_requests_total{namespace="rag",operation="get",result="miss"}',
        'cache_requests_total{namespace="rate_limit",operation="get",result="hit"}',
        'cache_saved_usd_total{namespace="llm_response",provider="openai",model="gpt-4o-mini"}',
        'db_query_duration_seconds_count{database="shop",operation="select"}',
        'db_pool_connections_max{pool="shop"}',
    ],
)
def test_it_is_measured(shop: Shop, used: None, sample: str) -> None:
    samples = dict(line.rsplit(" ", 1) for line in shop.metrics().splitlines() if not line.startswith("#"))

    assert sample in samples
    assert float(samples[sample]) > 0 or sample.startswith("app_event_loop")


def test_no_model_metric_is_served_by_the_app(shop: Shop) -> None:
    assert not [line for line in shop.metrics().splitlines() if line.startswith("llm_")]


def test_every_model_call_is_told_to_the_exporter(shop: Shop, eventually: Callable[..., None]) -> None:
    shop.client.post("/api/assistant/stream", json=question("Which one?"))

    def told() -> list[dict[str, Any]]:
        return [event for event in shop.events if event["feature"] == "advice" and event.get("usage")]

    eventually(lambda: bool(told()), "the usage event")
    event = told()[-1]
    assert (event["provider"], event["model"], event["outcome"]) == ("openai", "gpt-4.1-mini", "ok")
    assert event["usage"]["input"] > 5000
    assert event["usage"]["output"] == 20
    assert event["usage"]["cache_read"] == 1792
    assert event["time_to_first_token_seconds"] > 0


def test_a_request_leaves_its_lines_in_both_logs(shop: Shop, eventually: Callable[..., None]) -> None:
    shop.client.get("/api/products/SKU-0007", headers={"x-request-id": "needle-7"})

    def lines() -> list[dict[str, Any]]:
        return [line for line in shop.logged() if line.get("http", {}).get("request", {}).get("id") == "needle-7"]

    eventually(lambda: bool(lines()), "the line")
    assert lines()[-1]["message"] == "GET /api/products/SKU-0007 answered 200"
    assert "GET /api/products/SKU-0007 HTTP/1.1" in (demo.log_folder(shop.layout) / "access.log").read_text()


def test_an_injected_fault_breaks_requests_until_it_is_cleared(shop: Shop, eventually: Callable[..., None]) -> None:
    demo.start_fault(shop.layout, "errors", 60)

    eventually(lambda: shop.client.get("/api/cart").status_code == 500, "a failed request")
    demo.clear_faults(shop.layout)
    eventually(lambda: {shop.client.get("/api/cart").status_code for _ in range(30)} == {200}, "its end")
    assert 'status="500"' in shop.metrics()
    assert [line for line in shop.logged() if line["log"]["level"] == "error" and "error" in line]


def test_without_its_models_the_shop_still_answers(shop: Shop, eventually: Callable[..., None]) -> None:
    demo.start_fault(shop.layout, "llm-outage", 60)

    def source() -> str:
        asked = {"topic": f"new {time.time_ns()}", "text": f"new {time.time_ns()}"}
        return str(shop.client.post("/api/assistant/ask", json=asked).json()["source"])

    eventually(lambda: source() == "none", "the apology")
    demo.clear_faults(shop.layout)
    eventually(lambda: source() == "model", "an answer")
