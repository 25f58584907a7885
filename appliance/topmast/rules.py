"""Write the rule files and prometheus.yml that the engine reads, with what a user changed.

monitoring/ is the source; the text is edited in place, so that a rendered file reads like its source. What may be
changed is DESIGN.md's: an alert's `threshold` (the one number of its expression that its annotation repeats), its
`for`, whether it exists; the service level's two numbers; and, for a demo, every clock at once.
"""

import difflib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from topmast import humane, promql
from topmast.errors import ConfigError
from topmast.routing import render_alertmanager

__all__ = ["render", "render_alertmanager", "render_prometheus"]

FOLDERS = ("alerts", "self", "recording")

# What the service level's numbers read as in the sources: the share that may fail, and seconds.
SLO_ERROR_BUDGET = "0.001"
SLO_LATENCY = "0.2"
SLO_RECORDING = "slo.yml"

# Seconds that are a span of time inside an expression: they shrink with the clocks. All other numbers are values.
_SPANS = {"CacheHitRateLow": "1800", "DatabaseDiskFilling": "3600"}
# The metric is the worst of the last 60 s, kept in slices of 5 s, whatever the clocks: with a shorter `for` a single
# pause would be an alert.
_SHORTEST_FOR = {"AppEventLoopBlocked": promql.milliseconds("90s")}
# Money is watched over real hours also in a demo: a day's budget is not spent in two hours.
_MONEY_FILE = "cost.yml"
_MONEY_FLOOR = promql.milliseconds("1h")

_RULE = re.compile(r"^(?P<indent> *)- (?P<kind>alert|record): *(?P<name>\S+) *$")
_EXPR = re.compile(r"^ *expr: ")
_TIMES = re.compile(r"^(?P<head> *(?:for|keep_firing_for|interval): *)(?P<value>[0-9a-z]+)(?P<tail>.*)$")
_THRESHOLD = re.compile(r"^(?P<head> *threshold: *)(?P<value>.*?) *$")
_LIMIT = re.compile(r"^(?P<head> *limit: *)'(?P<text>.*)' *$")


@dataclass
class _Block:
    """The lines of one rule, or (with no name) the lines between the rules."""

    kind: str
    name: str
    lines: list[str]

    def threshold(self) -> str:
        for line in self.lines:
            match = _THRESHOLD.match(line)
            if match:
                return match["value"].strip("'\"")
        return ""

    def expressions(self, change: Callable[[str], str]) -> None:
        """Pass the expression's lines through `change`, as one text."""
        start = next(index for index, line in enumerate(self.lines) if _EXPR.match(line))
        depth = len(self.lines[start]) - len(self.lines[start].lstrip())
        end = start + 1
        while end < len(self.lines) and (
            not self.lines[end].strip() or len(self.lines[end]) - len(self.lines[end].lstrip()) > depth
        ):
            end += 1
        head, first = re.split(r"(?<=expr:) ", self.lines[start], maxsplit=1)
        text = change("\n".join([first, *self.lines[start + 1 : end]]))
        self.lines[start:end] = f"{head} {text}".split("\n")

    def limit(self, value: float) -> None:
        """Say another value where a message says the threshold."""
        for index, line in enumerate(self.lines):
            match = _LIMIT.match(line)
            if match:
                self.lines[index] = f"{match['head']}'{humane.changed(match['text'], value)}'"

    def times(self, change: Callable[[str, str], str]) -> None:
        """Pass the value of `for`, `keep_firing_for` and `interval` lines through `change(key, value)`."""
        for index, line in enumerate(self.lines):
            match = _TIMES.match(line)
            if match:
                value = change(match["head"].strip(" :"), match["value"])
                self.lines[index] = match["head"] + value + match["tail"]


def render(
    source: Path,
    target: Path,
    *,
    alerts: Mapping[str, Mapping[str, Any]],
    slo: Mapping[str, float],
    speed: int = 1,
) -> list[str]:
    """Write alerts/, self/ and recording/ from `source` below `target`; return the files written, relative to it.

    `alerts` is `{NAME: {threshold, for, enabled}}`, `slo` has `availability` and `latency_p95_seconds`. With `speed`
    10 every `for`, interval, range and offset is ten times shorter (money keeps its hours, and a `for` stays longer
    than the minute over which its metric is a maximum). Files that the source no
    longer has are removed. Raises ConfigError `$.alerts.NAME…: what is wrong`.
    """
    files = {
        f"{folder}/{path.name}": path.read_text(encoding="utf-8")
        for folder in FOLDERS
        for path in sorted((source / folder).glob("*.yml"))
    }
    blocks = {name: list(_blocks(text)) for name, text in files.items()}
    _check_names(alerts, [block.name for listed in blocks.values() for block in listed if block.kind == "alert"])
    for folder in FOLDERS:
        (target / folder).mkdir(parents=True, exist_ok=True)
        for stale in (target / folder).glob("*.yml"):
            if f"{folder}/{stale.name}" not in files:
                stale.unlink()
    for name, listed in blocks.items():
        money = Path(name).name == _MONEY_FILE
        kept = [
            block
            for block in listed
            if not (block.kind == "alert" and alerts.get(block.name, {}).get("enabled", True) is False)
        ]
        for block in kept:
            if block.kind == "alert" and block.name in alerts:
                _override(block, alerts[block.name])
            if block.kind and (block.threshold() == "slo" or name == f"recording/{SLO_RECORDING}"):
                _service_level(block, slo)
            if speed != 1:
                _quicken(block, speed, money=money)
        text = "".join(line + "\n" for block in kept for line in block.lines)
        draft = (target / name).with_suffix(".new")
        draft.write_text(text, encoding="utf-8")
        draft.replace(target / name)
    return sorted(files)


def render_prometheus(
    source: Path, target: Path, *, speed: int, environment: str, jobs: Sequence[Mapping[str, Any]] = ()
) -> Path:
    """Write prometheus.yml with the environment's name and its intervals divided by `speed`; return its path.

    `jobs` are scrape configurations more: those of targets that want a password.
    """
    text = (source / "prometheus.yml").read_text(encoding="utf-8")
    text = re.sub(
        r"^( *(?:scrape_interval|scrape_timeout|evaluation_interval): *)([0-9a-z]+)",
        lambda found: found[1] + promql.shortened(found[2], speed),
        text,
        flags=re.MULTILINE,
    )
    text = re.sub(r"^( {4}environment: ).*$", lambda found: found[1] + environment, text, flags=re.MULTILINE)
    if jobs:
        added = yaml.safe_dump([dict(job) for job in jobs], sort_keys=False, allow_unicode=True)
        place = text.index("scrape_configs:\n") + len("scrape_configs:\n")
        text = text[:place] + "".join(f"  {line}\n" for line in added.splitlines()) + "\n" + text[place:]
    target.mkdir(parents=True, exist_ok=True)
    written = target / "prometheus.yml"
    written.write_text(text, encoding="utf-8")
    return written


def _blocks(text: str) -> Iterator[_Block]:
    """Yield a file's blocks in order. A rule ends at the next rule, or at a line indented less than its dash."""
    block = _Block("", "", [])
    depth = 0
    for line in text.splitlines():
        match = _RULE.match(line)
        if match:
            yield block
            block, depth = _Block(match["kind"], match["name"], [line]), len(match["indent"])
        elif block.kind and line.strip() and len(line) - len(line.lstrip()) <= depth:
            yield block
            block = _Block("", "", [line])
        else:
            block.lines.append(line)
    yield block


def _check_names(alerts: Mapping[str, Any], known: list[str]) -> None:
    for name in alerts:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {near[0]}?" if near else "; `topmast alerts list` names them"
            raise ConfigError(f"$.alerts.{name}: no such alert{hint}")


def _override(block: _Block, wanted: Mapping[str, Any]) -> None:
    if "threshold" in wanted:
        _set_threshold(block, wanted["threshold"])
    if "for" in wanted:
        try:
            promql.milliseconds(str(wanted["for"]))
        except ValueError as error:
            raise ConfigError(f"$.alerts.{block.name}.for: {error}") from error
        if not any(_TIMES.match(line) for line in block.lines):
            raise ConfigError(f"$.alerts.{block.name}.for: this alert has none: it fires at once")
        block.times(lambda key, value: str(wanted["for"]) if key == "for" else value)


def _set_threshold(block: _Block, threshold: Any) -> None:
    where = f"$.alerts.{block.name}.threshold"
    old = block.threshold()
    if old in ("state", "budget", "slo"):
        remedy = {
            "state": "it has none: change `for` or `enabled`",
            "budget": "it follows `budgets:`; change that",
            "slo": "it follows `slo:`; change that",
        }[old]
        raise ConfigError(f"{where}: {remedy}")
    if isinstance(threshold, bool) or not isinstance(threshold, int | float) or threshold != threshold:
        raise ConfigError(f"{where}: not a number: {threshold!r}")
    new = _number(threshold)
    found: list[str] = []

    def replace(text: str) -> str:
        if float(text) != float(old):
            return text
        found.append(text)
        return new

    block.expressions(lambda expression: promql.edited(expression, number=replace))
    if len(found) != 1:
        raise ConfigError(f"{where}: {old} stands {len(found)} times in the expression, not once")
    for index, line in enumerate(block.lines):
        match = _THRESHOLD.match(line)
        if match:
            block.lines[index] = f"{match['head']}'{new}'"
    block.limit(float(threshold))


def _service_level(block: _Block, slo: Mapping[str, float]) -> None:
    new = {
        SLO_ERROR_BUDGET: _number(1 - slo["availability"]),
        SLO_LATENCY: _number(slo["latency_p95_seconds"]),
    }
    found: list[str] = []

    def replace(text: str) -> str:
        if text in new:
            found.append(text)
        return new.get(text, text)

    block.expressions(lambda expression: promql.edited(expression, number=replace))
    if found and block.kind == "alert":
        block.limit(float(new[found[0]]))


def _quicken(block: _Block, speed: int, *, money: bool) -> None:
    def span(text: str) -> str:
        return text if money and promql.milliseconds(text) >= _MONEY_FLOOR else promql.shortened(text, speed)

    def number(text: str) -> str:
        return _number(float(text) / speed) if text == _SPANS.get(block.name) else text

    if block.kind:
        block.expressions(lambda expression: promql.edited(expression, number=number, span=span))
    block.times(lambda key, value: _shortened(block.name, key, value, speed))


def _shortened(name: str, key: str, value: str, speed: int) -> str:
    shortest = _SHORTEST_FOR.get(name, 0) if key == "for" else 0
    if shortest >= promql.milliseconds(value):
        return value
    return promql.duration(max(shortest, promql.milliseconds(promql.shortened(value, speed))))


def _number(value: float) -> str:
    """Return a number as a person writes it: 0.001 (not 0.0010000000000000009), 180, never an exponent."""
    text = f"{value:.12f}".rstrip("0").rstrip(".")
    return text or "0"
