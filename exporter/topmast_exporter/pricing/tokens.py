"""What a request used, normalised at the boundary: `input` is the whole prompt, and everything else is a part of it.

Two conventions coexist, and mixing them is the commonest error in cost tracking: OpenAI's `prompt_tokens` contain the
cached ones ("total"), Anthropic's `input_tokens` do not ("additive"). Reasoning is a part of the output in both.
"""

from collections.abc import Mapping
from typing import NamedTuple

TOTAL = "total"
ADDITIVE = "additive"

# A request of more tokens than this is an error of the sender: the largest context window is 10 M.
MAX_TOKENS = 10**8


class UsageError(ValueError):
    """The usage is refused. `reason` is one of a fixed list (it becomes a label value)."""

    REASONS = (
        "not_a_number",
        "negative_tokens",
        "too_many_tokens",
        "unknown_usage_key",
        "convention_missing",
        "unknown_convention",
        "cache_exceeds_input",
        "reasoning_exceeds_output",
        "audio_exceeds_tokens",
    )

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Tokens(NamedTuple):
    """The tokens of one request: cache_*, audio_in, image_in are in `input`; reasoning, audio_out in `output`.

    A tuple in the order of FIELDS: a ledger adds up columns of millions of them.
    """

    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0
    reasoning: int = 0
    audio_in: int = 0
    audio_out: int = 0
    image_in: int = 0


FIELDS = Tokens._fields
_KNOWN = frozenset(FIELDS)


def normalise(usage: Mapping[str, object], convention: str = "") -> Tokens:
    """Return the tokens of a `usage` as METRICS.md has it. Raises UsageError.

    Without a convention, usage with cache tokens is refused: it would mean one of two prices.
    """
    if not usage.keys() <= _KNOWN:
        raise UsageError("unknown_usage_key")
    counts = dict.fromkeys(FIELDS, 0)
    for name, value in usage.items():
        # nearly every count is a plain one
        counts[name] = value if type(value) is int and 0 <= value <= MAX_TOKENS else _count(value)
    cached = counts["cache_read"] + counts["cache_write_5m"] + counts["cache_write_1h"]
    if convention not in ("", TOTAL, ADDITIVE):
        raise UsageError("unknown_convention")
    if cached and not convention:
        raise UsageError("convention_missing")
    if convention == ADDITIVE:
        counts["input"] += cached
        if counts["input"] > MAX_TOKENS:
            raise UsageError("too_many_tokens")
    if cached > counts["input"]:
        raise UsageError("cache_exceeds_input")
    if counts["reasoning"] > counts["output"]:
        raise UsageError("reasoning_exceeds_output")
    if counts["audio_in"] + counts["image_in"] > counts["input"] or counts["audio_out"] > counts["output"]:
        raise UsageError("audio_exceeds_tokens")
    return Tokens(**counts)


def _count(value: object) -> int:
    if value is None:
        return 0
    # JSON of other languages writes 12.0; true is no count
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise UsageError("not_a_number")
    if value < 0:
        raise UsageError("negative_tokens")
    if not value <= MAX_TOKENS:  # NaN is not <= anything
        raise UsageError("not_a_number" if value != value else "too_many_tokens")
    if value != int(value):
        raise UsageError("not_a_number")
    return int(value)
