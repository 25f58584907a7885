"""A threshold as a message says it, in the unit of the value beside it: 85%, 5m, 250ms, 3 times, 250k.

The annotation `limit` of an alert holds it; rendering replaces its first number when a user changes the threshold.
"""

import re

_FIRST = re.compile(r"(?P<number>[0-9]+(?:\.[0-9]+)?)(?P<unit>%|(?:ms|[smhd])(?: ?[0-9]+(?:ms|[smhd]))*\b|k\b)?")
_LENGTHS = (("d", 86_400), ("h", 3600), ("m", 60), ("s", 1))
_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|[smhd])")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}


def share(value: float) -> str:
    """Return a ratio in per cent, as Prometheus' humanizePercentage writes it: 0.85 is 85%."""
    return f"{value * 100:.4g}%"


def length(seconds: float) -> str:
    """Return seconds as humanizeDuration writes them, without empty parts: 300 is 5m, 0.25 is 250ms."""
    if seconds < 1:
        return f"{seconds * 1000:.4g}ms"
    if seconds < 60:
        return f"{seconds:.4g}s"
    parts, rest = [], round(seconds)
    for name, size in _LENGTHS:
        count, rest = divmod(rest, size)
        parts += [f"{count}{name}"] if count else []
    return " ".join(parts)


def number(value: float) -> str:
    return f"{value:.12f}".rstrip("0").rstrip(".") or "0"


def value_of(limit: str) -> float | None:
    """Return the first number of a limit in base units; None when it has none."""
    match = _FIRST.search(limit)
    if match is None:
        return None
    unit = match["unit"] or ""
    if unit == "%":
        return float(match["number"]) / 100
    if unit == "k":
        return float(match["number"]) * 1000
    if unit:
        return sum(float(count) * _SECONDS[name] for count, name in _PART.findall(match[0]))
    return float(match["number"])


def unit_of(limit: str) -> str:
    """Return `ratio`, `seconds`, or "" for a number of something else."""
    match = _FIRST.search(limit)
    unit = (match["unit"] or "") if match else ""
    return "ratio" if unit == "%" else "" if unit in ("", "k") else "seconds"


def changed(limit: str, value: float) -> str:
    """Return the limit with its first number replaced, in the same unit."""
    match = _FIRST.search(limit)
    if match is None:
        return limit
    kind = unit_of(limit)
    if kind:
        new = share(value) if kind == "ratio" else length(value)
    else:
        new = f"{number(value / 1000)}k" if match["unit"] == "k" else number(value)
    return limit[: match.start()] + new + limit[match.end() :]
