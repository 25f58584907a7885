"""The disasters of the drill: each alert's fire case (tests/monitoring/alerts) as samples before now and from now on.

A scene's time begins with its case. Its `now` is a minute after the expression first holds, or later: what lies
before is history (blocks), what follows is scraped. Between two samples of a case the value moves evenly.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from topmast import promql, rulecases, selectors
from topmast.errors import PrerequisiteError
from topmast.rulefile import Rule
from topmast.selectors import Selector

# These fire in the other's scene: its numbers hold theirs, and both add up what no label keeps apart.
WITHIN = {
    "ApiErrorRateHigh": "ApiErrorBudgetBurn",
    "ApiLatencyTargetMissed": "ApiResponseSlow",
    "HostCpuHigh": "HostCpuSaturated",
    "HostMemoryLow": "HostMemoryCritical",
    "LlmDailyBudgetForecast": "LlmDailyBudgetExceeded",
    "RedisMemoryHigh": "RedisMemoryExhausted",
}
# Whose values may be anything: no rule asks for one of them.
_FREE = ("agent", "cluster", "database", "instance", "model", "namespace", "pool")
# What must be there so that a world with all rules has nothing else to tell.
AROUND = ('up{job="exporter", instance="around:9470"} 1x*', 'up{job="node", instance="around:9100"} 1x*')
_MINUTE = 60.0
_SAMPLES = 4000
"""Of a case at the most: LlmCostSpike's has 1,600 minutes."""
_COUNTERS = ("_total", "_bucket", "_sum", "_count")
# (seconds before now, seconds between samples)
_DENSE = ((3900.0, 15.0), (960.0, 3.0))
_LABEL = re.compile(r'([A-Za-z_]\w*)\s*=\s*"((?:[^"\\]|\\.)*)"')
_RUN = re.compile(r"^(?P<start>-?[0-9.e+-]*?)(?P<step>[+-][0-9.]+(?:e[+-]?[0-9]+)?)?x(?P<count>[0-9]+)$")


@dataclass(frozen=True)
class Series:
    """One series of a scene: a value a step, None where there is no sample; after the last it goes on as it went."""

    name: str
    labels: Mapping[str, str]
    step: float
    """Seconds between two values."""
    values: Sequence[float | None]

    def at(self, seconds: float) -> float | None:
        """Return the value at a time of the scene."""
        place = max(seconds, 0.0) / self.step
        index = min(int(place), len(self.values) - 2)
        before, after = self.values[index], self.values[index + 1]
        if before is None or after is None:
            return before if place < index + 1 else after
        return before + (after - before) * (place - index)

    def text(self) -> str:
        inside = ",".join(f'{name}="{value}"' for name, value in sorted(self.labels.items()))
        return f"{self.name}{{{inside}}}"


@dataclass(frozen=True)
class Scene:
    """One alert's disaster, and how it looks once its cause has ended."""

    rule: Rule
    sick: Sequence[Series]
    well: Sequence[Series]
    now: float
    """Seconds of the disaster that lie behind when the drill begins."""
    ended: float
    """From this second on `well` is well."""
    labels: Mapping[str, str]
    """The labels that the alert must carry beside the rule's own."""
    text: str
    """The description; its numbers move on while it waits."""

    @property
    def alert(self) -> str:
        return self.rule.name


def read(folder: Path, alerts: Sequence[Rule]) -> list[Scene]:
    """Return the scene of each alert. Raises PrerequisiteError where there are no cases (they are in a clone)."""
    found = []
    for rule in alerts:
        path = folder / f"{rule.name}.yml"
        if not path.is_file():
            raise PrerequisiteError(f"{path}: no such file: the drill plays its fire case; run it in a clone")
        found.append(_scene(yaml.safe_load(path.read_text(encoding="utf-8")), rule))
    return found


def _scene(document: Mapping[str, Any], rule: Rule) -> Scene:
    step = promql.milliseconds(str(document.get("step", "1m"))) / 1000
    fire, resolve = document["fire"], document["resolve"]
    start = promql.milliseconds(str(fire.get("from", "1m"))) / 1000 + _MINUTE
    # Where a long window is still filling up, the case says when it has moved well beyond the threshold.
    start = max(start, promql.milliseconds(str(fire.get("text_at", "0"))) / 1000)
    ended = promql.milliseconds(str(resolve["silent"])) / 1000
    chosen = document.get("disaster", {})

    def series(changed: Mapping[str, str | None], seconds: float) -> list[Series]:
        listed = {**chosen, **changed}.values()
        samples = int(seconds / step) + 3
        return [parse(text, samples, step, rule.name) for text in listed if text]

    return Scene(
        rule=rule,
        sick=series(fire.get("series", {}), start),
        well=series(resolve.get("series", {}), ended),
        now=start,
        ended=ended,
        labels={name: str(value) for name, value in fire.get("labels", {}).items()},
        text=str(fire["text"]),
    )


def parse(text: str, samples: int, step: float, where: str) -> Series:
    """Return a series as the cases write it (`NAME{LABELS} 0+5x10 +2x*`). Raises CaseError for what is none."""
    written = rulecases.series(text, min(max(samples, 2), _SAMPLES), where)
    selector = written["series"]
    name, _, inside = selector.partition("{")
    values: list[float | None] = []
    for part in written["values"].split():
        values += _values(part)
    if len(values) == 1:
        values *= 2
    return Series(name, dict(_LABEL.findall(inside)), step, values)


def _values(part: str) -> Iterator[float | None]:
    match = _RUN.match(part)
    if part.startswith(("_", "stale")):
        yield from [None] * (1 + int(part[2:]) - 1 if part.startswith("_x") else 1)
    elif match is None:
        yield float(part)
    else:
        start, step = float(match["start"] or 0), float(match["step"] or 0)
        for index in range(int(match["count"]) + 1):
            yield start + step * index


def reads(rule: Rule, records: Mapping[str, Rule]) -> list[Selector]:
    """Return the selectors of raw series that an alert reads, through recording rules as well."""
    found: list[Selector] = []
    for expression in [rule.expr, *(each.expr for each in rulecases.needed(rule, records))]:
        found += [each for each in selectors.of(expression) if each.name not in records]
    return found


def sees(scene: Scene, other: Scene, records: Mapping[str, Rule]) -> bool:
    """Return whether an alert could see a series of another's scene."""
    listed = reads(scene.rule, records)
    return any(each.picks(series.name, series.labels) for each in listed for series in [*other.sick, *other.well])


def alone(scenes: Sequence[Scene], records: Mapping[str, Rule]) -> list[list[Scene]]:
    """Return the scenes in companies in which no alert sees another's scene: each is as good as alone.

    The two of a pair are never in one company: the critical would mute the warning.
    """
    companies: list[list[Scene]] = []
    for scene in scenes:
        for company in companies:
            if not any(
                sees(scene, each, records)
                or sees(each, scene, records)
                or scene.rule.labels.get("pair") == each.rule.labels.get("pair")
                for each in company
            ):
                company.append(scene)
                break
        else:
            companies.append([scene])
    return companies


def together(scenes: Sequence[Scene], records: Mapping[str, Rule]) -> list[Scene]:
    """Return the scenes that make all alerts fire at once, side by side: their servers, models, … are their own.

    Of each only what its alert reads: the rest is there to be ignored, and another alert may read it.
    """
    names = {scene.alert for scene in scenes}
    found = []
    for scene in scenes:
        if WITHIN.get(scene.alert) in names:
            continue
        listed = reads(scene.rule, records)
        own = [each for each in scene.sick if any(selector.picks(each.name, each.labels) for selector in listed)]
        found.append(
            replace(
                scene,
                sick=[_renamed(each, scene.alert) for each in own],
                well=[_renamed(each, scene.alert) for each in scene.well],
                labels=_own(scene.labels, scene.alert),
            )
        )
    return found


def _renamed(series: Series, alert: str) -> Series:
    return replace(series, labels=_own(series.labels, alert))


def _own(labels: Mapping[str, str], alert: str) -> dict[str, str]:
    return {name: f"{alert}-{value}" if name in _FREE else value for name, value in labels.items()}


def around() -> list[Series]:
    return [parse(text, 2, _MINUTE, "around") for text in AROUND]


def history(scenes: Iterable[Scene], now: float) -> str:
    """Return what happened until `now` (unix seconds), as OpenMetrics. Every series has its samples in a row."""
    lines: dict[str, list[str]] = {}
    for scene in scenes:
        for series in scene.sick:
            rows = lines.setdefault(series.name, [])
            for at in _moments(scene.now, series.step):
                value = series.at(at)
                if value is not None:
                    rows.append(f"{series.text()} {value!r} {now - scene.now + at:.3f}")
    return "".join(f"{row}\n" for rows in lines.values() for row in rows) + "# EOF\n"


def _moments(until: float, step: float) -> list[float]:
    """Return the times of a scene's samples before its now: the case's own, and closer together towards the end.

    rate() reaches back to its window's edge only where a sample is about as near to it as samples are to each other,
    and those that are scraped are a second apart.
    """
    moments = {index * step for index in range(int(until / step) + 1)}
    for reach, close in _DENSE:
        moments |= {until - index * close for index in range(1, int(min(reach, until) / close) + 1)}
    return sorted(each for each in moments if each < until)


def exposition(scenes: Iterable[Scene], elapsed: float, *, well: bool, extra: Iterable[Series] = ()) -> str:
    """Return what a scrape sees so many seconds after the drill began, or after the causes ended (`well`)."""
    lines = {}
    for scene in scenes:
        seconds = (scene.ended if well else scene.now) + elapsed
        for series in scene.well if well else scene.sick:
            value = series.at(seconds)
            if value is not None:
                # A counter begins again, as its history does: one that appears with a value is news to some rules.
                begun = series.at(scene.ended) if well and series.name.endswith(_COUNTERS) else None
                lines[series.text()] = value - (begun or 0.0)
    for series in extra:
        lines[series.text()] = series.at(elapsed) or 0.0
    return "".join(f"{text} {value!r}\n" for text, value in sorted(lines.items()))
