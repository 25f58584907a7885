"""The faults that the app itself carries out, as background tasks: they break what is real, not what is shown."""

import asyncio
import contextlib
import logging
import os
import random
import subprocess
import sys
from collections.abc import Awaitable, Callable

from reference_app.assistant import Assistant, ModelUnavailableError
from reference_app.cache import Cache
from reference_app.catalogue import NOUNS
from reference_app.faults import Faults

log = logging.getLogger("shop.chaos")

# The share of API requests that fail, and how much longer all of them take.
ERROR_SHARE = 0.2
LATENCY_SECONDS = (0.35, 0.9)
# The share of searches that run without their index.
SLOW_QUERY_SHARE = 0.5
BALLAST_BYTES = 256_000_000
LEAK_BYTES = 16_000_000
CACHE_FILL_MEGABYTES = 3
# A prompt loop: the most expensive model, its whole history sent again each time.
SPIKE_MODEL = "claude-opus-4-1"
SPIKE_CONTEXT_TOKENS = 180_000
SPIKE_CALLS = 2
# Burns one core until its time is over or its parent is gone, at low priority: the machine stays usable.
_BURN = """
import os, sys, time
os.nice(19)
parent, end = os.getppid(), time.monotonic() + float(sys.argv[1])
while time.monotonic() < end and os.getppid() == parent:
    sum(range(100_000))
"""


class Chaos:
    """Runs what each fault does, once a second while it is on."""

    def __init__(self, faults: Faults, cache: Cache, assistant: Assistant, rng: random.Random) -> None:
        self._faults = faults
        self._cache = cache
        self._assistant = assistant
        self._rng = rng
        self._ballast: list[bytes] = []
        self._burners: list[subprocess.Popen[bytes]] = []
        self._acts: dict[str, Callable[[], Awaitable[None]]] = {
            "cache-flush": self._cache.flush,
            "log-errors": self._log_errors,
            "cost-spike": self._spend,
            "memory": self._hoard,
            "cpu": self._burn,
        }

    async def run(self) -> None:
        """Carry out the faults until cancelled."""
        try:
            while True:
                await self.act()
                await asyncio.sleep(1)
        finally:
            self._stop_burning()

    async def act(self) -> None:
        """Do a second's worth of every fault that is on, and undo what is over."""
        for name, act in self._acts.items():
            if self._faults.active(name):
                await self._guarded(name, act)
        if not self._faults.active("memory"):
            self._ballast = []
        if not self._faults.active("cpu"):
            self._stop_burning()

    @property
    def held_bytes(self) -> int:
        """What `memory` has taken so far."""
        return len(self._ballast) * LEAK_BYTES

    async def delay(self) -> None:
        """Make this request late while `latency` is on."""
        if self._faults.active("latency"):
            await asyncio.sleep(self._rng.uniform(*LATENCY_SECONDS))

    def fails(self) -> bool:
        """Return whether this request fails while `errors` is on."""
        return self._faults.active("errors") and self._rng.random() < ERROR_SHARE

    def slow_query(self) -> bool:
        return self._faults.active("slow-query") and self._rng.random() < SLOW_QUERY_SHARE

    async def _guarded(self, name: str, act: Callable[[], Awaitable[None]]) -> None:
        try:
            await act()
        except Exception:  # the guard of the loop: one fault that cannot act must not end the others
            log.warning("the fault %s could not act", name, exc_info=True)

    async def _log_errors(self) -> None:
        for _ in range(4):
            try:
                raise RuntimeError(f"payment gateway answered {self._rng.choice((502, 503, 504))}")
            except RuntimeError:
                log.exception("checkout could not be completed")
        # Each of these words stands for a place in the code: a kind of error that was never seen before.
        place = " ".join(self._rng.choices(NOUNS, k=4))
        log.error("checkout failed in step %s", place)

    async def _spend(self) -> None:
        prompt = f"Continue.\n[context: {SPIKE_CONTEXT_TOKENS} tokens]"
        calls = (
            self._assistant.complete("catalogue-writer", SPIKE_MODEL, prompt, 20, provider="anthropic")
            for _ in range(SPIKE_CALLS)
        )
        with contextlib.suppress(ModelUnavailableError):
            await asyncio.gather(*calls)

    async def _hoard(self) -> None:
        if self.held_bytes < BALLAST_BYTES:
            # Not zeros: memory that was never written is not really taken.
            self._ballast.append(b"x" * LEAK_BYTES)
        await self._cache.fill(CACHE_FILL_MEGABYTES)

    async def _burn(self) -> None:
        if not self._burners:
            seconds = self._faults.all_active().get("cpu", 0.0)
            self._burners = [
                subprocess.Popen([sys.executable, "-c", _BURN, str(seconds)]) for _ in range(os.cpu_count() or 1)
            ]

    def _stop_burning(self) -> None:
        for burner in self._burners:
            burner.terminate()
        for burner in self._burners:
            burner.wait()
        self._burners = []
