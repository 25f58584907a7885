"""The shop's agents: small jobs of several steps that run in the background, a few at a time."""

import asyncio
import logging
import random
import secrets
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from topmast_exporter.instrument.agent import AgentMetrics, Task

from reference_app.assistant import Assistant
from reference_app.shapes import CHAT, CODE, Seldom, TokenShape
from reference_app.store import Store

log = logging.getLogger("shop.agents")

# The containers that agents run their tools in, shared by all of them.
SANDBOXES = 4
RUNS_KEPT = 500
TIMEOUT_SECONDS = 90
# A healthy agent fails this often: its tool did.
TOOL_FAILURES = 1 / 120


class ToolError(Exception):
    """A tool that an agent called did not work."""


class UnknownAgentError(Exception):
    """There is no agent of that name."""


@dataclass(frozen=True)
class Agent:
    """What an agent does: think, use its tool in a sandbox, sum up."""

    at_once: int
    provider: str
    model: str
    shape: TokenShape
    thoughts: int


AGENTS: Mapping[str, Agent] = {
    "order-support": Agent(at_once=3, provider="openai", model="gpt-4.1-mini", shape=CHAT, thoughts=2),
    "catalogue-writer": Agent(at_once=3, provider="anthropic", model="claude-sonnet-4-5", shape=CODE, thoughts=3),
    "restock-planner": Agent(at_once=2, provider="openai", model="gpt-4.1", shape=CODE, thoughts=2),
}


@dataclass
class Run:
    """One run, as a caller sees it."""

    id: str
    agent: str
    status: str = "queued"


class Agents:
    """Accepts runs, keeps to each agent's limit, remembers the last runs."""

    def __init__(self, assistant: Assistant, store: Store, rng: random.Random) -> None:
        self._assistant = assistant
        self._store = store
        self._rng = rng
        # The queue, the runs and their ends are measured; so is the pool of sandboxes.
        self._metrics = AgentMetrics()
        for name, agent in AGENTS.items():
            self._metrics.limit(name, agent.at_once)
        self._sandbox_pool = self._metrics.pool("sandboxes", SANDBOXES)
        self._slots = {name: asyncio.Semaphore(agent.at_once) for name, agent in AGENTS.items()}
        self._sandboxes = asyncio.Semaphore(SANDBOXES)
        self._breaks = {name: Seldom(TOOL_FAILURES, rng) for name in AGENTS}
        self._tools: Mapping[str, Callable[[], Awaitable[None]]] = {
            "order-support": self._look_up,
            "catalogue-writer": self._look_up,
            "restock-planner": self._restock,
        }
        self._runs: OrderedDict[str, Run] = OrderedDict()
        self._tasks: set[asyncio.Task[None]] = set()

    def submit(self, name: str) -> Run:
        """Return the new run; it starts when the agent has a free slot. Raises UnknownAgentError."""
        if name not in AGENTS:
            raise UnknownAgentError(name)
        run = Run(secrets.token_hex(8), name)
        self._runs[run.id] = run
        while len(self._runs) > RUNS_KEPT:
            self._runs.popitem(last=False)
        task = asyncio.create_task(self._execute(run, self._metrics.created(name)))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return run

    def find(self, run_id: str) -> Run | None:
        return self._runs.get(run_id)

    async def close(self) -> None:
        """Cancel what still runs."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _execute(self, run: Run, task: Task) -> None:
        told = {"labels": {"agent": run.agent, "run": run.id}}
        try:
            async with self._slots[run.agent]:
                run.status = "running"
                with task.running():
                    async with asyncio.timeout(TIMEOUT_SECONDS):
                        await self._steps(run)
            run.status = "success"
            log.info("agent run finished", extra={"ecs": told})
        except TimeoutError:
            run.status = "timeout"
            log.error("agent run timed out", extra={"ecs": told})
        except asyncio.CancelledError:
            if run.status == "queued":
                task.dropped()
            run.status = "cancelled"
            raise
        except Exception as error:  # noqa: BLE001 - the guard of a run: whatever its steps raise, it has failed
            run.status = "failure"
            what = {"error": {"type": type(error).__name__, "message": str(error)[:200]}}
            log.error("agent run failed", extra={"ecs": told | what})

    async def _steps(self, run: Run) -> None:
        agent = AGENTS[run.agent]
        for _ in range(agent.thoughts):
            tokens_in, tokens_out = agent.shape.draw(self._rng)
            prompt = f"What next?\n[context: {tokens_in} tokens]"
            await self._assistant.complete(run.agent, agent.model, prompt, tokens_out, provider=agent.provider)
            async with self._sandboxes:
                with self._sandbox_pool.use():
                    await asyncio.sleep(self._rng.uniform(0.1, 0.5))
                    await self._tools[run.agent]()
        if self._breaks[run.agent].now():
            raise ToolError(f"{run.agent}: the sandbox returned 137")

    async def _look_up(self) -> None:
        await self._store.low_stock(10)

    async def _restock(self) -> None:
        for row in await self._store.low_stock(3):
            if row["stock"] < 400:
                await self._store.restock(row["sku"], 100)
