"""How long to wait before the next try: exponential, with jitter, bounded (SHIPPING.md section 5, sink down)."""

import random
from collections.abc import Callable


class Backoff:
    """Doubles from `initial_seconds` to `maximum_seconds`; each delay is somewhere in its upper half."""

    def __init__(
        self,
        initial_seconds: float = 0.5,
        maximum_seconds: float = 30.0,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._initial = initial_seconds
        self._maximum = maximum_seconds
        self._chance = chance
        self.failures = 0
        """In a row."""

    def next_delay(self, at_least: float | None = None) -> float:
        """Return the seconds to wait after one more failure; `at_least` is what the other side asked for."""
        delay = min(self._maximum, self._initial * 2.0 ** min(self.failures, 32))
        self.failures += 1
        return max(delay * (0.5 + self._chance() / 2), at_least or 0.0)

    def reset(self) -> None:
        self.failures = 0
