"""A threshold as a person writes it: 85%, 200ms, 10GiB; and whether it can be meant."""

import re

from topmast import promql
from topmast.checks import units
from topmast.errors import ConfigError
from topmast.rulefile import Rule

FAR = 100
"""So many times the shipped one is a slip of the unit, milliseconds for seconds."""
LONGEST_WAIT = "1d"
"""A `for` above it is a slip of the unit too: the alert would hardly ever fire."""
_BYTES = {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40, "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_WITH_UNIT = re.compile(r"([0-9.]+)\s*([A-Za-z]+)\Z")


def unit(rule: Rule) -> str:
    """Return `ratio`, `seconds`, `bytes`, or "" for a number of something else."""
    try:
        found = units.unit_of(promql.parse(rule.expr))
    except ValueError:
        found = None
    if found in ("ratio", "seconds", "bytes"):
        return found
    return "ratio" if "$value | humanizePercentage" in rule.annotations.get("description", "") else ""


def parse(text: str, kind: str, where: str) -> float:
    """Return the number that a text means for an alert of that unit. Raises ConfigError with what to write."""
    example = {"ratio": "0.85 or 85%", "seconds": "0.2 or 200ms", "bytes": "a number or 10GiB"}.get(kind, "a number")
    text = text.strip()
    try:
        if text.endswith("%") and kind == "ratio":
            return round(float(text[:-1]) / 100, 12)
        match = _WITH_UNIT.match(text)
        if match and kind == "bytes" and match[2] in _BYTES:
            return float(match[1]) * _BYTES[match[2]]
        if kind == "seconds" and text[-1:].isalpha():
            return promql.milliseconds(text) / 1000
        value = float(text)
    except ValueError as error:
        raise ConfigError(f"{where}: {text!r}: write {example}") from error
    if value != value or value in (float("inf"), float("-inf")):
        raise ConfigError(f"{where}: {text!r}: write {example}")
    return value


def check(value: float, rule: Rule, kind: str) -> None:
    """Raise ConfigError when a value is in another unit than the alert's, or can never be crossed."""
    shipped = float(rule.annotations["threshold"])
    where = f"{rule.name}: {number(value)}"
    if kind == "ratio" and 1 < value <= FAR:
        raise ConfigError(f"{where}: it is a share between 0 and 1; write {number(value)}% or {number(value / 100)}")
    if kind == "ratio" and not 0 < value < 1:
        raise ConfigError(f"{where}: it is a share between 0 and 1: it would never fire, or always")
    if value <= 0:
        raise ConfigError(f"{where}: above 0, or it always fires; `topmast alerts disable {rule.name}` turns it off")
    if kind != "ratio" and not shipped / FAR <= value <= shipped * FAR:
        in_unit = f" in {kind}" if kind else ""
        raise ConfigError(
            f"{where}: the shipped one is {number(shipped)}{in_unit}, {FAR} times off; --force if it is meant"
        )


def check_wait(text: str, name: str) -> None:
    """Raise ConfigError when an alert would wait longer than a day. What is no duration is told elsewhere."""
    try:
        is_long = promql.milliseconds(text) > promql.milliseconds(LONGEST_WAIT)
    except ValueError:
        return
    if is_long:
        raise ConfigError(
            f"{name}: --for {text}: longer than {LONGEST_WAIT}: it would hardly ever fire; --force if it is meant"
        )


def number(value: float) -> str:
    """Return a number as a person writes it, never with an exponent."""
    return f"{value:.12f}".rstrip("0").rstrip(".") or "0"
