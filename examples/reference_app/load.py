"""The shop's customers: a seeded load of some 12 requests a second that swells and ebbs like a day.

Run: `python -m reference_app.load`. One day takes ten minutes (`LOAD_DAY_SECONDS`); arrivals are random, as
independent people's are, and at most MAX_OPEN requests are open at once, so that a slow shop is not run over.
"""

import asyncio
import contextlib
import json
import os
import random
import secrets
import signal
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from reference_app.catalogue import CATEGORIES, NOUNS, PRODUCTS, sku_of
from reference_app.shapes import AGENT_RUNS, CHAT, RAG, REQUESTS, Popularity, day_wave

MAX_OPEN = 40
CUSTOMERS = 60
ASPECTS = ("warranty", "size", "colour", "delivery", "care", "spare parts")
PHRASES = 8
CLIENTS = (
    "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 Version/18.5 Mobile Safari/604.1",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 Chrome/138.0.0.0 Safari/537.36",
    "shop-app/3.2 (Android 15)",
)


@dataclass(frozen=True)
class Plan:
    """What to ask of whom."""

    url: str = "http://127.0.0.1:18000"
    rate: float = 12.0
    """Requests a second, the mean over a day."""
    day_seconds: float = 600.0
    sockets: int = 20
    think_seconds: float = 20.0
    """How long a person in a chat reads before the next question, on average."""
    seed: int = 7
    ready: Path | None = None
    """Touched with every answer."""

    @classmethod
    def from_environment(cls, env: Mapping[str, str] = os.environ) -> "Plan":
        return cls(
            url=env.get("SHOP_URL", cls.url),
            rate=float(env.get("LOAD_RATE", cls.rate)),
            day_seconds=float(env.get("LOAD_DAY_SECONDS", cls.day_seconds)),
            sockets=int(env.get("LOAD_SOCKETS", cls.sockets)),
            seed=int(env.get("DEMO_SEED", cls.seed)),
            ready=Path(env["LOAD_READY_FILE"]) if env.get("LOAD_READY_FILE") else None,
        )


class Customers:
    """Makes requests of every kind; the same seed makes the same ones in the same order."""

    def __init__(self, client: httpx.AsyncClient, plan: Plan) -> None:
        self._client = client
        self._plan = plan
        self._rng = random.Random(plan.seed)
        self._products = Popularity(PRODUCTS)
        self._customers = Popularity(CUSTOMERS, 0.6)
        self._topics = Popularity(len(NOUNS) * len(ASPECTS), 1.0)
        self._phrases = Popularity(PHRASES, 2.0)
        self.answered = 0
        self.failed = 0
        self._kinds: Mapping[str, Callable[[], Awaitable[httpx.Response]]] = {
            "list": self._list,
            "item": self._item,
            "search": self._search,
            "cart": self._cart,
            "checkout": self._checkout,
            "ask": self._ask,
            "stream": self._stream,
            "agent": self._agent,
            "missing": self._missing,
            "health": self._health,
        }

    async def run(self) -> None:
        """Send requests until cancelled."""
        began = time.monotonic()
        open_now: set[asyncio.Task[None]] = set()
        try:
            while True:
                wave = day_wave(time.monotonic() - began, self._plan.day_seconds)
                await asyncio.sleep(self._rng.expovariate(self._plan.rate * wave))
                if len(open_now) >= MAX_OPEN:
                    await asyncio.wait(open_now, return_when=asyncio.FIRST_COMPLETED)
                task = asyncio.create_task(self._one(REQUESTS.pick(self._rng)))
                open_now.add(task)
                task.add_done_callback(open_now.discard)
        finally:
            for task in open_now:
                task.cancel()
            await asyncio.gather(*open_now, return_exceptions=True)

    def question(self) -> dict[str, Any]:
        """Return a question about a popular topic in one of a few wordings."""
        number = self._topics.pick(self._rng)
        topic, aspect = NOUNS[number % len(NOUNS)], ASPECTS[number // len(NOUNS)]
        wording = self._phrases.pick(self._rng)
        tokens_in, tokens_out = CHAT.draw(self._rng)
        return {
            "topic": f"{topic} {aspect}",
            "text": f"What should I know about the {aspect} of the {topic}? ({wording})",
            "context_tokens": tokens_in,
            "max_tokens": tokens_out,
        }

    async def _one(self, kind: str) -> None:
        try:
            await self._kinds[kind]()
        except httpx.HTTPError:
            # The shop restarts, or a fault is on: a customer comes back later.
            self.failed += 1
            return
        self.answered += 1
        if self._plan.ready is not None:
            self._plan.ready.touch()

    def _headers(self) -> dict[str, str]:
        number = self._customers.pick(self._rng)
        return {
            "x-customer": f"c{number:03d}",
            # 203.0.113.0/24 is kept for documentation (RFC 5737).
            "x-forwarded-for": f"203.0.113.{number + 1}",
            "user-agent": CLIENTS[number % len(CLIENTS)],
            "traceparent": f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01",
        }

    async def _get(self, path: str, **query: Any) -> httpx.Response:
        return await self._client.get(path, params=query or None, headers=self._headers())

    async def _list(self) -> httpx.Response:
        page = self._rng.choices((0, 1, 2), (8, 2, 1))[0]
        return await self._get("/api/products", category=self._rng.choice(CATEGORIES), page=page)

    async def _item(self) -> httpx.Response:
        return await self._get(f"/api/products/{sku_of(self._products.pick(self._rng))}")

    async def _missing(self) -> httpx.Response:
        return await self._get(self._rng.choice(("/api/products/SKU-9999", "/wp-login.php", "/favicon.ico")))

    async def _health(self) -> httpx.Response:
        return await self._get("/health")

    async def _search(self) -> httpx.Response:
        return await self._get("/api/search", q=NOUNS[self._topics.pick(self._rng) % len(NOUNS)])

    async def _cart(self) -> httpx.Response:
        headers = self._headers()
        if self._rng.random() < 0.25:
            basket = {"lines": self._lines()}
            return await self._client.put("/api/cart", json=basket, headers=headers)
        return await self._client.get("/api/cart", headers=headers)

    async def _checkout(self) -> httpx.Response:
        return await self._client.post("/api/checkout", json={"lines": self._lines()}, headers=self._headers())

    def _lines(self) -> dict[str, int]:
        return {sku_of(self._products.pick(self._rng)): 1 for _ in range(self._rng.randint(1, 3))}

    async def _ask(self) -> httpx.Response:
        return await self._client.post("/api/assistant/ask", json=self.question(), headers=self._headers())

    async def _stream(self) -> httpx.Response:
        tokens_in, tokens_out = RAG.draw(self._rng)
        question = self.question() | {"context_tokens": tokens_in, "max_tokens": tokens_out}
        return await self._client.post("/api/assistant/stream", json=question, headers=self._headers())

    async def _agent(self) -> httpx.Response:
        headers = self._headers()
        answer = await self._client.post(f"/api/agents/{AGENT_RUNS.pick(self._rng)}/runs", headers=headers)
        if answer.status_code != 202:
            return answer
        await asyncio.sleep(2)
        return await self._client.get(f"/api/agents/runs/{answer.json()['id']}", headers=headers)


async def converse(plan: Plan, questions: Callable[[], dict[str, Any]], rng: random.Random) -> None:
    """Keep one chat open for ever: ask, read the answer, think; when the line breaks, call again."""
    url = plan.url.replace("http", "ws", 1) + "/ws/chat"
    while True:
        with contextlib.suppress(OSError, WebSocketException, TimeoutError, ValueError):
            async with connect(url, open_timeout=5, close_timeout=1) as socket:
                while True:
                    await asyncio.sleep(rng.expovariate(1 / plan.think_seconds))
                    await socket.send(json.dumps({"event": "chat:start", **_without_topic(questions())}))
                    event = ""
                    while event not in ("chat:done", "chat:error"):
                        event = json.loads(await asyncio.wait_for(socket.recv(), 60))["event"]
        await asyncio.sleep(rng.uniform(1, 3))


def _without_topic(question: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in question.items() if key != "topic"}


async def drive(plan: Plan) -> None:
    """Run the whole load until SIGTERM or SIGINT."""
    limits = httpx.Limits(max_connections=MAX_OPEN, max_keepalive_connections=10)
    async with httpx.AsyncClient(base_url=plan.url, timeout=30, limits=limits, trust_env=False) as client:
        customers = Customers(client, plan)
        rngs = [random.Random(f"{plan.seed}-{number}") for number in range(plan.sockets)]
        tasks = [
            asyncio.create_task(customers.run()),
            *(asyncio.create_task(converse(plan, customers.question, rng)) for rng in rngs),
        ]
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        stopping = asyncio.create_task(stop.wait())
        done, _ = await asyncio.wait([stopping, *tasks], return_when=asyncio.FIRST_COMPLETED)
        for task in (stopping, *tasks):
            task.cancel()
        await asyncio.gather(stopping, *tasks, return_exceptions=True)
        for task in done - {stopping}:
            task.result()  # a load that ended by itself is a mistake of ours: tell it


def main() -> None:
    asyncio.run(drive(Plan.from_environment()))


if __name__ == "__main__":
    main()
