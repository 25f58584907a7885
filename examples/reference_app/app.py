"""The shop's HTTP API. Run: `python -m reference_app.app` (settings.py names its environment variables)."""

import asyncio
import contextlib
import json
import logging
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated, Any

import uvicorn
from fastapi import APIRouter, Depends, FastAPI, Header, HTTPException, Request, WebSocket, WebSocketDisconnect
from fastapi.responses import StreamingResponse
from openai import AsyncOpenAI
from psycopg_pool import AsyncConnectionPool
from pydantic import BaseModel, Field
from redis.asyncio import Redis
from topmast_exporter.instrument.asgi import instrument
from topmast_exporter.instrument.llm.openai import instrument_openai
from topmast_exporter.instrument.psycopg import instrument_pool

from reference_app import __version__
from reference_app.agents import Agents, UnknownAgentError
from reference_app.assistant import ADVICE_MODEL, ASK_MODEL, Assistant, ModelUnavailableError
from reference_app.cache import Cache
from reference_app.chaos import Chaos
from reference_app.faults import Faults
from reference_app.logs import RequestLog, start_logging
from reference_app.settings import Settings
from reference_app.shapes import Seldom
from reference_app.store import OutOfStockError, Store

log = logging.getLogger("shop.app")

POOL_SIZE = 10
SORRY = "Our assistant is not available right now. Please ask again in a minute."
# A healthy shop loses one payment in so many: the gateway does not answer.
LOST_PAYMENTS = 1 / 150


@dataclass
class Shop:
    """What the endpoints work with; made at the start, closed at the end."""

    store: Store
    cache: Cache
    assistant: Assistant
    agents: Agents
    chaos: Chaos
    loses_payment: Seldom


class Basket(BaseModel):
    lines: dict[str, int] = Field(max_length=20)


class Question(BaseModel):
    topic: str = Field(max_length=80)
    text: str = Field(max_length=2000)
    context_tokens: int = Field(default=0, ge=0, le=200_000)
    max_tokens: int = Field(default=200, ge=1, le=4096)

    def prompt(self) -> str:
        return f"{self.text}\n[context: {self.context_tokens} tokens]"


def shop_of(request: Request) -> Shop:
    shop: Shop = request.app.state.shop
    return shop


ShopHere = Annotated[Shop, Depends(shop_of)]
Customer = Annotated[str, Header(alias="x-customer", max_length=40)]


async def admitted(shop: ShopHere, customer: Customer = "guest") -> str:
    """Return the customer, counted against the allowance of a minute."""
    await shop.chaos.delay()
    if not await shop.cache.admit(customer):
        raise HTTPException(429, "too many requests, wait a minute")
    if shop.chaos.fails():
        raise RuntimeError("inventory service is unreachable")
    return customer


Admitted = Annotated[str, Depends(admitted)]
catalogue = APIRouter(prefix="/api", tags=["catalogue"])
assistant = APIRouter(prefix="/api/assistant", tags=["assistant"])
agents = APIRouter(prefix="/api/agents", tags=["agents"])


@catalogue.get("/products")
async def list_products(shop: ShopHere, _: Admitted, category: str = "books", page: int = 0) -> list[dict[str, Any]]:
    return await shop.store.products(category, max(0, page))


@catalogue.get("/products/{sku}")
async def get_product(shop: ShopHere, _: Admitted, sku: str) -> dict[str, Any]:
    product = await shop.store.product(sku)
    if product is None:
        raise HTTPException(404, "no such product")
    return product


@catalogue.get("/search")
async def search(shop: ShopHere, _: Admitted, q: str) -> dict[str, Any]:
    """Products that match, and what the assistant's index knows about the words."""
    with contextlib.suppress(ModelUnavailableError):
        # Without its embedding the search still finds what holds the words.
        await shop.assistant.embedding(q)
    facts = await shop.assistant.facts(q)
    return {"products": await shop.store.search(q, slow=shop.chaos.slow_query()), "related": facts.splitlines()[:3]}


@catalogue.get("/cart")
async def get_cart(shop: ShopHere, customer: Admitted) -> dict[str, int]:
    async def empty() -> dict[str, int]:
        return {}

    cart: dict[str, int] = await shop.cache.remember("session", customer, empty)
    return cart


@catalogue.put("/cart")
async def put_cart(shop: ShopHere, customer: Admitted, basket: Basket) -> dict[str, int]:
    await shop.cache.set("session", customer, basket.lines)
    return basket.lines


@catalogue.post("/checkout", status_code=201)
async def checkout(shop: ShopHere, customer: Admitted, basket: Basket) -> dict[str, Any]:
    if shop.loses_payment.now():
        log.error("checkout failed: the payment gateway did not answer", extra={"ecs": {"user": {"id": customer}}})
        raise HTTPException(504, "the payment gateway did not answer")
    try:
        order, total = await shop.store.checkout(customer, list(basket.lines.items()))
    except OutOfStockError as error:
        raise HTTPException(409, f"{error} is sold out") from error
    log.info("order placed", extra={"ecs": {"user": {"id": customer}, "labels": {"order": order, "cents": total}}})
    return {"order": order, "total_cents": total}


@assistant.post("/ask")
async def ask(shop: ShopHere, _: Admitted, question: Question) -> dict[str, Any]:
    try:
        answer = await shop.assistant.ask(question.topic, question.text, question.context_tokens, question.max_tokens)
    except ModelUnavailableError:
        return {"text": SORRY, "source": "none"}
    return {"text": answer.text, "source": answer.source}


@assistant.post("/stream")
async def stream(shop: ShopHere, _: Admitted, question: Question) -> StreamingResponse:
    """Server-sent events: `data: {"text": …}` pieces, then `data: [DONE]`."""

    async def events() -> AsyncIterator[str]:
        try:
            async for piece in shop.assistant.stream("advice", ADVICE_MODEL, question.prompt(), question.max_tokens):
                yield f"data: {json.dumps({'text': piece})}\n\n"
        except ModelUnavailableError:
            yield f"data: {json.dumps({'text': SORRY})}\n\n"
        yield "data: [DONE]\n\n"

    return StreamingResponse(events(), media_type="text/event-stream")


@agents.post("/{name}/runs", status_code=202)
async def submit(shop: ShopHere, _: Admitted, name: str) -> dict[str, str]:
    try:
        run = shop.agents.submit(name)
    except UnknownAgentError as error:
        raise HTTPException(404, "no such agent") from error
    return {"id": run.id, "status": run.status}


@agents.get("/runs/{run_id}")
async def get_run(shop: ShopHere, _: Admitted, run_id: str) -> dict[str, str]:
    run = shop.agents.find(run_id)
    if run is None:
        raise HTTPException(404, "no such run")
    return {"id": run.id, "agent": run.agent, "status": run.status}


async def health() -> dict[str, str]:
    return {"status": "ok"}


async def chat(socket: WebSocket) -> None:
    """A conversation: `{"event": "chat:start", "text": …}` in; chat:chunk …, then chat:done or chat:error out."""
    shop: Shop = socket.app.state.shop
    await socket.accept()
    try:
        while True:
            asked = await socket.receive_json()
            if asked.get("event") != "chat:start":
                await socket.send_json({"event": "chat:error", "reason": "expected chat:start"})
                continue
            question = Question(topic="chat", **{key: asked[key] for key in asked if key != "event"})
            try:
                async for piece in shop.assistant.stream(
                    "support-chat", ASK_MODEL, question.prompt(), question.max_tokens
                ):
                    await socket.send_json({"event": "chat:chunk", "text": piece})
                await socket.send_json({"event": "chat:done"})
            except ModelUnavailableError:
                await socket.send_json({"event": "chat:error", "reason": SORRY})
    except WebSocketDisconnect:
        return
    except ValueError:
        await socket.close(1003, "not a question")


def create_app(settings: Settings) -> FastAPI:
    access = start_logging(settings.logs, settings.log_max_bytes, settings.log_files)

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        rng = random.Random(settings.seed)
        pool = instrument_pool(
            AsyncConnectionPool(
                settings.conninfo(), min_size=2, max_size=POOL_SIZE, open=False, timeout=10, name="shop"
            ),
            name="shop",
        )
        redis = Redis.from_url(settings.redis_url, socket_timeout=2, max_connections=50)
        clients = {
            provider: instrument_openai(
                AsyncOpenAI(base_url=settings.model_url, api_key="demo", max_retries=1, timeout=60), provider
            )
            for provider in ("openai", "anthropic")
        }
        async with pool, redis, contextlib.AsyncExitStack() as opened:
            for client in clients.values():
                await opened.enter_async_context(client)
            store, cache = Store(pool), Cache(redis)
            await store.prepare()
            helper = Assistant(clients, cache, store)
            chaos = Chaos(Faults(settings.faults), cache, helper, rng)
            runs = Agents(helper, store, rng)
            app.state.shop = Shop(store, cache, helper, runs, chaos, Seldom(LOST_PAYMENTS, rng))
            breaking = asyncio.create_task(chaos.run())
            log.info("the shop is open")
            yield
            breaking.cancel()
            await asyncio.gather(breaking, runs.close(), return_exceptions=True)
            log.info("the shop is closed")

    app = FastAPI(title="shop", lifespan=lifespan, docs_url=None, redoc_url=None)
    for router in (catalogue, assistant, agents):
        app.include_router(router)
    app.add_api_route("/health", health)
    app.add_api_websocket_route("/ws/chat", chat)
    app.add_middleware(RequestLog, access=access)
    # This line is all that Topmast needs: requests, sockets, exceptions and the event loop, at /metrics.
    instrument(app, version=__version__)
    return app


def main() -> None:
    settings = Settings.from_environment()
    uvicorn.run(
        create_app(settings),
        host=settings.host,
        port=settings.port,
        access_log=False,
        log_config=None,
        timeout_graceful_shutdown=3,
    )


if __name__ == "__main__":
    main()
