"""`topmast backtest`: what an alert would have told over the past days, and with another threshold."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import click

from topmast import catalogue, compose, config, lock, promql, rulefile, thresholds
from topmast.backtest import figures, history, plot, variants
from topmast.backtest.figures import Figures
from topmast.backtest.history import Grid, Prometheus
from topmast.backtest.states import Episode, episodes
from topmast.cli import Call
from topmast.errors import ConfigError, NotRunningError, TopmastError
from topmast.layout import Layout
from topmast.rulefile import Rule

LONGEST = "1y"
_DAY = 86_400.0
# How many firings a difference names.
_NAMED = 5


@dataclass(frozen=True)
class Told:
    """One version of a rule over the past."""

    name: str
    rule: Rule
    episodes: Sequence[Episode]
    figures: Figures

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "expr": self.rule.expr,
            "for": self.rule.duration or "0s",
            "threshold": self.rule.annotations.get("threshold"),
            **self.figures.to_json(),
            "noise": figures.noise(self.figures),
            "episodes": [
                {"labels": dict(each.labels), "active": each.active, "fired": each.fired, "ended": each.ended}
                for each in self.episodes
            ],
        }


@click.command()
@click.argument("what", required=False, metavar="[ALERT|FILE]")
@click.option("--since", default="14d", show_default=True, metavar="TIME", help="How far back.")
@click.option("--threshold", metavar="X", help="Beside it: the same rule with another threshold (0.9, 90%, 2s).")
@click.option("--for", "wait", metavar="TIME", help="Beside it: the same rule with another `for`.")
@click.option("--wanted", metavar="N/week", help="Look for a threshold that fires at most so often (2/week, 1/day).")
@click.option("--url", metavar="URL", help="The Prometheus to ask. [the running one]")
@click.option("--timezone", default="UTC", show_default=True, help="Whose nights are counted, such as Europe/Berlin.")
@click.option("--html", type=click.Path(path_type=Path, dir_okay=False), help="Also write it as a page.")
@click.option("--json", "as_json", is_flag=True, help="Print {since, rules: [{name, firings, …, episodes}]}.")
@click.pass_obj
def backtest(
    call: Call,
    what: str | None,
    since: str,
    threshold: str | None,
    wait: str | None,
    wanted: str | None,
    url: str | None,
    timezone: str,
    html: Path | None,
    as_json: bool,
) -> None:
    """See what an alert would have told over the past, before it does.

    \b
    topmast backtest HostCpuHigh                         the rule as it is in force
    topmast backtest HostCpuHigh --threshold 0.9         and with another threshold
    topmast backtest HostCpuHigh --wanted 1/week         at which it would be that quiet
    topmast backtest my-rules.yml --since 7d             every alert of a file, beside the loaded rule of its name
    topmast backtest                                     what did fire, noisiest first

    The rule is the one that Prometheus has loaded, else the one of monitoring/ with what topmast.yml changes. Its
    expression is asked for every evaluation of that time, and `for` and `keep_firing_for` are
    honoured. Recording rules are read as they were recorded.
    """
    layout = Layout(call.home, call.state)
    zone = _zone(timezone)
    seconds = _seconds(since)
    prometheus = Prometheus(url or _running(layout))
    if what is None:
        if threshold or wait or wanted:
            raise click.UsageError("name the alert whose threshold or `for` is to be tried")
        _noise(prometheus, seconds, zone, since, as_json, html)
        return
    told, notes = [], []
    for rule, beside in _rules(what, layout, config.load(call.config, layout).values, prometheus):
        mine, said = _versions(prometheus, rule, beside, seconds, zone, threshold, wait, wanted)
        told += mine
        notes += said
    grid = prometheus.since(prometheus.grid(told[0].rule.name, seconds))
    if html is not None:
        _write(html, told, grid, zone, since)
    if as_json:
        document = {"since": since, "rules": [each.to_json() for each in told], "notes": notes}
        click.echo(json.dumps(document, indent=2, ensure_ascii=False))
        return
    for each in told:
        click.echo(
            f"{each.name}\n{_figures(each.figures, since)}\n{plot.text(each.episodes, grid.start, grid.end, zone)}\n"
        )
    for note in notes:
        click.echo(note)


def _versions(
    prometheus: Prometheus,
    rule: Rule,
    beside: Rule | None,
    seconds: float,
    zone: tzinfo,
    threshold: str | None,
    wait: str | None,
    wanted: str | None,
) -> tuple[list[Told], list[str]]:
    """Return the rule as it is and as it might be, and what there is to say about it.

    `beside` is the rule that is loaded under the name of one that a file has.
    """
    grid = prometheus.since(prometheus.grid(rule.name, seconds))
    told, notes = [], []
    if beside is not None:
        told.append(_replayed(prometheus, beside, grid, zone, f"{rule.name} as it is loaded"))
    now = _replayed(prometheus, rule, grid, zone, rule.name if beside is None else f"{rule.name} of {rule.file.name}")
    told.append(now)
    if beside is not None:
        notes.append(f"{rule.name}: {_difference(told[0], now, zone)}")
    if grid.end - grid.start < seconds - 2 * grid.interval:
        notes.append(f"{rule.name}: Prometheus has samples of the last {_length(grid.end - grid.start)} only")
    changed = rule
    if threshold is not None:
        changed = variants.with_threshold(rule, _number(threshold, rule))
    if wait is not None:
        promql.milliseconds(_duration(wait, "--for"))
        changed = replace(changed, duration=wait)
    if changed is not rule:
        name = " ".join(
            [rule.name, *([f"threshold {threshold}"] if threshold else []), *([f"for {wait}"] if wait else [])]
        )
        told.append(_replayed(prometheus, changed, grid, zone, name))
        notes.append(_difference(now, told[-1], zone))
    if wanted is not None:
        notes.append(_suggestion(prometheus, changed, grid, zone, _rate(wanted)))
    return told, notes


def _replayed(prometheus: Prometheus, rule: Rule, grid: Grid, zone: tzinfo, name: str) -> Told:
    past = prometheus.past(rule.expr, grid)
    found = episodes(history.held(past), grid.moments(), _wait(rule), _keep(rule))
    return Told(name, rule, found, figures.figures(found, grid.start, grid.end, zone))


def _suggestion(prometheus: Prometheus, rule: Rule, grid: Grid, zone: tzinfo, wanted: float) -> str:
    shape = variants.shape(rule)
    if shape is None:
        return f"{rule.name}: no threshold is looked for: it compares more than one number, or none"
    past = prometheus.past(variants.unlimited(rule, shape), grid)
    found = variants.suggested(
        past,
        shape,
        _wait(rule),
        lambda listed: figures.figures(listed, grid.start, grid.end, zone),
        wanted,
    )
    if found is None:
        return (
            f"{rule.name}: no threshold that was ever crossed fires at most {wanted:g} times a week; a longer --for?"
        )
    number = thresholds.number(found[0])
    told = f"{rule.name}: threshold {number} would have fired {found[1].firings} times ({found[1].per_week:g} a week)"
    return f"{told}; `topmast alerts set {rule.name} --threshold {number}`"


def _rules(what: str, layout: Layout, settings: Any, prometheus: Prometheus) -> list[tuple[Rule, Rule | None]]:
    """Return the alerts that are meant: one as it is in force, or a file's, each with the loaded one of its name."""
    path = Path(what)
    if path.suffix in (".yml", ".yaml", ".rules") or path.is_file():
        try:
            rules, problems = rulefile.read(path, path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise TopmastError(f"{path}: cannot be read: {error}") from error
        if problems:
            raise TopmastError(f"{path}:{problems[0].line}: {problems[0].message}; `topmast lint {path}`")
        found = [rule for rule in rules if rule.kind == "alert"]
        if not found:
            raise TopmastError(f"{path}: no alert in it")
        return [(each, _loaded(each.name, prometheus)) for each in found]
    if (loaded := _loaded(what, prometheus)) is not None:
        return [(loaded, None)]
    rule = catalogue.find(what, layout)
    entry = next(each for each in catalogue.effective(layout, settings) if each["name"] == rule.name)
    notes = {**rule.annotations, "threshold": str(entry["threshold"])}
    return [(replace(rule, expr=entry["expr"], duration=entry["for"] or "", annotations=notes), None)]


def _loaded(name: str, prometheus: Prometheus) -> Rule | None:
    loaded = prometheus.loaded(name)
    if loaded is None:
        return None
    wait, keep = (promql.duration(round(each * 1000)) for each in (loaded.wait, loaded.keep))
    return Rule(name, "alert", loaded.expr, Path(name), 1, "", wait, keep, annotations=loaded.annotations)


def _noise(
    prometheus: Prometheus, seconds: float, zone: tzinfo, since: str, as_json: bool, html: Path | None
) -> None:
    """Tell of every alert that fired what it did, by what Prometheus recorded of it (`ALERTS`)."""
    grid = prometheus.since(prometheus.grid("", seconds))
    past = prometheus.past('ALERTS{alertname!="Watchdog"}', grid)
    listed: dict[str, list[Episode]] = {}
    for labels, values in past.values.items():
        told = dict(labels)
        state, name = told.pop("alertstate", ""), told.get("alertname", "")
        for each in episodes({tuple(sorted(told.items())): list(values)}, grid.moments(), 0.0):
            listed.setdefault(name, []).append(replace(each, fired=each.active if state == "firing" else None))
    scored = [(name, figures.figures(each, grid.start, grid.end, zone)) for name, each in sorted(listed.items())]
    scored.sort(key=lambda pair: -figures.noise(pair[1]))
    if html is not None:
        tables = {name: f"noise {figures.noise(one):g}\n{_figures(one, since)}" for name, one in scored}
        _page(html, tables, {name: listed[name] for name, _ in scored}, grid, zone, since)
    if as_json:
        alerts = [{"name": name, "noise": figures.noise(found), **found.to_json()} for name, found in scored]
        click.echo(json.dumps({"since": since, "alerts": alerts}, indent=2))
        return
    if not scored:
        click.echo(f"nothing fired, and nothing was about to, in {since}")
        return
    click.echo(f"{'alert':<30}{'noise':>8}{'fired':>7}{'night':>7}{'short':>7}{'flaps':>7}  {'firing':>8}")
    for name, one in scored:
        share = one.seconds / max(grid.end - grid.start, 1.0)
        remark = "  fires more than half of the time" if share > 0.5 else ""
        remark = remark or ("  was pending, never fired" if not one.firings else "")
        click.echo(
            f"{name:<30}{figures.noise(one):>8g}{one.firings:>7}{one.at_night:>7}{one.short:>7}{one.flaps:>7}"
            f"  {_length(one.seconds):>8}{remark}"
        )


def _figures(found: Figures, since: str) -> str:
    if not found.firings:
        pending = f", held {found.pending} times for less than its `for`" if found.pending else ""
        return f"never fired in {since}{pending}"
    # An hour says nothing about a week.
    week = f" ({found.per_week:g} a week)" if _seconds(since) >= _DAY else ""
    parts = [
        f"fired {'once' if found.firings == 1 else f'{found.firings} times'} in {since}{week}",
        f"{found.at_night} at night",
        f"{found.short} over within ten minutes",
        f"{found.flaps} flaps",
        f"{_length(found.seconds)} in all, longest {_length(found.longest_seconds)}",
        f"pending without firing {found.pending} times",
    ]
    return ", ".join([*parts, *([f"{found.ongoing} going on"] if found.ongoing else [])])


def _difference(one: Told, other: Told, zone: tzinfo) -> str:
    before, after = one.figures, other.figures
    pairs = (
        ("firings", before.firings, after.firings),
        ("at night", before.at_night, after.at_night),
        ("flaps", before.flaps, after.flaps),
        ("in all", _length(before.seconds), _length(after.seconds)),
        ("longest", _length(before.longest_seconds), _length(after.longest_seconds)),
    )
    told = ", ".join(f"{what} {then} instead of {now}" for what, now, then in pairs if now != then) or "the times"
    if [(each.fired, each.ended) for each in one.episodes] == [(each.fired, each.ended) for each in other.episodes]:
        return "unchanged: it would have fired just as it did"
    for what, found in (
        ("no longer told", figures.lost(one.episodes, other.episodes)),
        ("told only now", figures.lost(other.episodes, one.episodes)),
    ):
        if found:
            when = ", ".join(f"{datetime.fromtimestamp(at, zone):%a %d %b %H:%M}" for at in found[:_NAMED])
            more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
            told += f"; {what}: {when}{more}"
    return f"changed: {told}"


def _length(seconds: float) -> str:
    return promql.duration(round(seconds) * 1000)


def _number(text: str, rule: Rule) -> float:
    return thresholds.parse(text, thresholds.unit(rule), f"{rule.name}: --threshold")


def _duration(text: str, where: str) -> str:
    try:
        promql.milliseconds(text)
    except ValueError as error:
        raise ConfigError(f"{where}: {error}; write it as 5m or 1h30m") from error
    return text


def _seconds(text: str) -> float:
    length = promql.milliseconds(_duration(text, "--since"))
    if not 60_000 <= length <= promql.milliseconds(LONGEST):
        raise ConfigError(f"--since: {text}: between 1m and {LONGEST}")
    return length / 1000


def _rate(text: str) -> float:
    """Return firings a week."""
    number, _, unit = text.partition("/")
    weeks = {"week": 1.0, "day": 7.0, "month": 7 / 30}
    try:
        value = float(number) * weeks[unit or "week"]
    except (ValueError, KeyError) as error:
        raise ConfigError(f"--wanted: {text[:40]!r}: write 2/week, 1/day or 1/month") from error
    if not value >= 0:
        raise ConfigError(f"--wanted: {text[:40]!r}: 0 or more")
    return value


def _wait(rule: Rule) -> float:
    return promql.milliseconds(rule.duration or "0s") / 1000


def _keep(rule: Rule) -> float:
    return promql.milliseconds(rule.keep_firing_for or "0s") / 1000


def _zone(name: str) -> tzinfo:
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ConfigError(f"--timezone: {name[:40]!r}: no such time zone; write Europe/Berlin") from error


def _running(layout: Layout) -> str:
    if compose.mode(layout, None) == "compose":
        return compose.url(layout, "prometheus")
    try:
        offset = lock.status(layout)["port_offset"]
    except NotRunningError as error:
        raise NotRunningError("no Prometheus runs here: `topmast up`, or name one with --url") from error
    return Layout(layout.home, layout.state, offset).url("prometheus")


def _write(path: Path, told: Sequence[Told], grid: Grid, zone: tzinfo, since: str) -> None:
    tables = {
        each.name: f"{each.rule.expr}\nfor {each.rule.duration or '0s'}\n\n{_figures(each.figures, since)}"
        for each in told
    }
    _page(path, tables, {each.name: each.episodes for each in told}, grid, zone, since)


def _page(
    path: Path,
    tables: Mapping[str, str],
    listed: Mapping[str, Sequence[Episode]],
    grid: Grid,
    zone: tzinfo,
    since: str,
) -> None:
    until = datetime.fromtimestamp(grid.end, zone).strftime("%d %b %Y %H:%M")
    parts = {name: plot.rows(found, grid.start, grid.end, zone) for name, found in listed.items()}
    try:
        path.write_text(plot.page(f"The {since} until {until}", tables, parts), encoding="utf-8")
    except OSError as error:
        raise TopmastError(f"{path}: cannot be written: {error.strerror}") from error


COMMAND = backtest
