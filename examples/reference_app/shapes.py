"""What the traffic looks like, as numbers: token counts, a day's wave, popularity. Pure and seeded.

The token shapes are the means of public traces of production LLM services: Azure's 2023 trace (code completion
2,048 tokens in and 28 out, chat 1,155 and 211, at most 14,050 and 1,000; Azure/AzurePublicDataset, CC-BY 4.0)
and retrieval-augmented chat with some 12,000 in, 340 out and 37 % of the input from the provider's prefix cache.
"""

import math
import random
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate


@dataclass(frozen=True)
class TokenShape:
    """Log-normal token counts with these means, cut at the largest seen."""

    input_mean: int
    output_mean: int
    input_max: int
    output_max: int
    spread: float
    """Sigma of the logarithm: 0.3 is even, 0.8 is bursty."""

    def draw(self, rng: random.Random) -> tuple[int, int]:
        """Return the input and output tokens of one call."""
        return (
            _log_normal(rng, self.input_mean, self.spread, self.input_max),
            _log_normal(rng, self.output_mean, self.spread, self.output_max),
        )


CODE = TokenShape(input_mean=2048, output_mean=28, input_max=7437, output_max=1000, spread=0.6)
CHAT = TokenShape(input_mean=1155, output_mean=211, input_max=14050, output_max=1000, spread=0.6)
RAG = TokenShape(input_mean=12000, output_mean=340, input_max=32000, output_max=1500, spread=0.3)

# The share of a long prompt that the provider had in its prefix cache.
PREFIX_CACHED = 0.37


def _log_normal(rng: random.Random, mean: int, sigma: float, most: int) -> int:
    # The mean of a log-normal is exp(mu + sigma²/2); solved for mu.
    drawn = rng.lognormvariate(math.log(mean) - sigma * sigma / 2, sigma)
    return max(1, min(round(drawn), most))


def day_wave(seconds: float, day_seconds: float) -> float:
    """Return the traffic against its mean, `seconds` after nine in the morning: up to 1.45, at night 0.55."""
    return 1 + 0.45 * math.sin(2 * math.pi * seconds / day_seconds)


class Popularity:
    """Picks 0 … size-1 by Zipf's law: few things are asked for often, most seldom."""

    def __init__(self, size: int, exponent: float = 1.1) -> None:
        self._bounds = list(accumulate((rank + 1) ** -exponent for rank in range(size)))

    def pick(self, rng: random.Random) -> int:
        return bisect_left(self._bounds, rng.random() * self._bounds[-1])


class Seldom:
    """Says yes about every `1/share` times, and never twice close together.

    A healthy service fails a little; with independent draws it would now and then fail three times within a
    minute, and an alert would be right to fire.
    """

    def __init__(self, share: float, rng: random.Random) -> None:
        self._every = 1 / share
        self._rng = rng
        self._left = self._gap()

    def now(self) -> bool:
        self._left -= 1
        if self._left > 0:
            return False
        self._left = self._gap()
        return True

    def _gap(self) -> int:
        return round(self._every * self._rng.uniform(0.6, 1.4))


@dataclass(frozen=True)
class Mix:
    """What is asked for, and how often (weights; any sum)."""

    weights: Sequence[tuple[str, float]]

    def pick(self, rng: random.Random) -> str:
        names = [name for name, _ in self.weights]
        return rng.choices(names, [weight for _, weight in self.weights])[0]


REQUESTS = Mix(
    (
        ("list", 26),
        ("item", 22),
        ("search", 14),
        ("cart", 12),
        ("checkout", 5),
        ("ask", 9),
        ("stream", 3),
        ("agent", 1.6),
        ("missing", 1),
        ("health", 4),
    )
)

AGENT_RUNS = Mix((("order-support", 3), ("catalogue-writer", 3), ("restock-planner", 2)))
