"""Numbers and lines for a terminal: a value with its unit, a course as blocks, text without escape sequences."""

import math
from collections.abc import Sequence

BLOCKS = "▁▂▃▄▅▆▇█"
# Where the terminal's encoding has no blocks.
PLAIN_BLOCKS = "_.-=+*%#"


def value_text(value: float | None, unit: str) -> str:
    """Return a value as people write it, in the units that the overview's panels have."""
    if value is None or not math.isfinite(value):
        return "–"
    match unit:
        case "percentunit":
            share = value * 100
            return (
                f"{share:.0f} %"
                if share >= 99.995 or share == 0
                else f"{share:.{2 if share < 1 or share > 99 else 1}f} %"
            )
        case "s":
            return seconds_text(value)
        case "currencyUSD":
            return f"${value:,.2f}" if value == 0 or abs(value) >= 0.1 else f"${value:.4f}"
        case "reqps":
            return f"{short(value)} req/s"
        case _:
            return short(value)


def seconds_text(value: float) -> str:
    """Return `420 µs`, `12 ms`, `1.5 s`, `3 min`, `26 h` or `9 days`."""
    size = abs(value)
    for limit, factor, name in (
        (1e-3, 1e6, "µs"),
        (1.0, 1e3, "ms"),
        (120.0, 1.0, "s"),
        (7200.0, 1 / 60, "min"),
        (172_800.0, 1 / 3600, "h"),
    ):
        if size < limit:
            return f"{short(value * factor)} {name}"
    return f"{short(value / 86_400)} days"


def short(value: float) -> str:
    """Return about three digits: `0`, `0.042`, `3.1`, `812`, `12.3k`, `4.5M`."""
    size, suffix = abs(value), ""
    for limit, name in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if size >= limit:
            value, suffix = value / (1e3 if name == "k" else limit), name
            break
    size = abs(value)
    if size >= 100 or value == int(value):
        return f"{value:.0f}{suffix}"
    return f"{value:.{1 if size >= 10 else 2 if size >= 0.1 else 3}f}".rstrip("0").rstrip(".") + suffix


def spark(values: Sequence[float | None], width: int, blocks: str = BLOCKS) -> str:
    """Return the last `width` values as one block each, lowest to highest; a space where there is none."""
    shown = list(values)[-width:] if width > 0 else []
    known = [value for value in shown if value is not None]
    if not known:
        return ""
    low, span = min(known), max(known) - min(known)

    def block(value: float | None) -> str:
        if value is None:
            return " "
        return blocks[min(len(blocks) - 1, int((value - low) / span * len(blocks)))] if span else blocks[0]

    return "".join(block(value) for value in shown)


def plain(text: str, width: int) -> str:
    """Return one line of at most `width` characters in which nothing can steer the terminal."""
    safe = "".join(char if char.isprintable() else " " for char in text)
    return safe if len(safe) <= width else safe[: max(0, width - 1)] + "…"
