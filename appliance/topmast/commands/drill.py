"""`topmast drill`: every alert, from a sample to the message that a person gets, through the real engines."""

import json
import signal
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import NoReturn

import click
import yaml

from topmast import catalogue, config, lock, rulefile
from topmast.cli import Call
from topmast.drill import judge, live, making, measures, passes, receivers, report, scenes, world
from topmast.drill.judge import Row
from topmast.errors import TopmastError
from topmast.layout import Layout
from topmast.measure import Measure, to_table
from topmast.page.inbox import Inbox
from topmast.rulefile import Rule

_BRIEF = "2m"
# On a busy machine these say more of the machine.
_TIMES = ("drill.seconds", "drill.live_delay")


@click.command()
@click.argument("alert", required=False)
@click.option("--all", "everything", is_flag=True, help="Every alert of the catalogue.")
@click.option(
    "--html", type=click.Path(path_type=Path, dir_okay=False), help="Also write a report with each message."
)
@click.option(
    "--live",
    "to_people",
    is_flag=True,
    help="One marked alert through the running Alertmanager to the real channels.",
)
@click.option("--wait", type=click.IntRange(1, 600), default=90, show_default=True, help="With --live: seconds.")
@click.option("--full", is_flag=True, help="Also one alert at real clocks: some three minutes.")
@click.option("--check", is_flag=True, help="Exit 1 also when it took too long.")
@click.option("--json", "as_json", is_flag=True, help="Print {measures: […], alerts: […]}.")
@click.pass_context
def drill(
    ctx: click.Context,
    alert: str | None,
    everything: bool,
    html: Path | None,
    to_people: bool,
    wait: int,
    full: bool,
    check: bool,
    as_json: bool,
) -> None:
    """Let every alert fire, and see the message arrive.

    \b
    topmast drill --all                    all alerts: each alone, then all at once
    topmast drill --all --html drill.html  the same, and each message as it would look
    topmast drill RedisDown                one alert
    topmast drill RedisDown --live         a marked alert to the real channels: people are told

    A private Prometheus and a private Alertmanager run with the real rules, routes and templates; what is sent ends
    at receivers that speak Slack's, PagerDuty's and SMTP's protocol on this machine. Nobody is told. Asserted are
    receiver, text, links, labels, grouping, muting and the end. The exit code is 1 when something is not as planned.
    """
    call: Call = ctx.obj
    if everything == bool(alert):
        raise click.UsageError("name an alert, or say --all")
    if to_people and alert is None:
        raise click.UsageError("--live tells people: name the one alert")
    signal.signal(signal.SIGTERM, _leave)
    layout = Layout(call.home, call.state)
    settings = config.load(call.config, layout).values
    rules = rulefile.load(layout.monitoring / "prometheus")
    if to_people and alert is not None:
        _live(ctx, layout, catalogue.find(alert, layout), wait, as_json)
        return
    off = [name for name, wanted in settings["alerts"].items() if wanted.get("enabled", True) is False]
    alerts = _chosen(alert, rules, layout, off)
    say = _silent if as_json else _aloud
    with tempfile.TemporaryDirectory(prefix="topmast-drill-") as folder, world.guarded() as pipe:
        if settings["environment"] != catalogue.PRODUCTION:
            say(f"environment {settings['environment']}: nobody is paged, criticals go where warnings go")
        kit = making.kit(layout, settings, Path(folder), say)
        played = scenes.read(layout.home / "tests" / "monitoring" / "alerts", alerts)
        records = {rule.name: rule for rule in rules if rule.kind == "record"}
        with receivers.receiving() as capture:
            given = passes.Drill(kit, records, capture, world.Clocks(), pipe, settings["public_url"], say)
            result = passes.run(given, played, all_at_once=everything)
            taken = (
                list(measures.of(result, alerts, settings["alerts"]))
                if everything
                else measures.of_one(result, alerts)
            )
            if everything or full:
                taken.append(_delay(given, played, full=full))
    if html is not None:
        _write(html, report.page(result, taken))
    if as_json:
        told = {
            "measures": [asdict(each) for each in taken],
            "alerts": [row.to_json() for row in result.alone],
            "together": [row.to_json() for row in result.together],
            "complaints": list(result.complaints),
        }
        click.echo(json.dumps(told, indent=2, ensure_ascii=False))
    else:
        click.echo(_table(result.alone))
        click.echo()
        for complaint in result.complaints:
            click.echo(f"Alertmanager: {complaint}")
        click.echo(to_table(taken))
        if html is not None:
            click.echo(f"\n{html}: each message as it would look")
    if any(each.holds is False and (check or each.name not in _TIMES) for each in taken):
        ctx.exit(1)


def _aloud(text: str) -> None:
    click.echo(f"  {text}", err=True)


def _silent(text: str) -> None:
    """Leave the answer to machines alone."""


def _delay(given: passes.Drill, played: Sequence[scenes.Scene], *, full: bool) -> Measure:
    """Return `drill.live_delay`, of an alert that waits two minutes: the first such that is a critical."""
    brief = [
        each for each in played if each.rule.duration == _BRIEF and each.rule.labels.get("severity") == "critical"
    ]
    scene = next(iter([*brief, *played]))
    seconds = passes.delay(given, scene) if full else None
    routes = yaml.safe_load(given.kit.routes.read_text(encoding="utf-8"))
    waits = judge.group_waits(routes, scene.rule, given.kit.environment)
    return measures.live_delay(scene.rule, seconds, min(waits), taken=full)


def _live(ctx: click.Context, layout: Layout, rule: Rule, wait: int, as_json: bool) -> None:
    running = lock.status(layout)
    here = Layout(layout.home, layout.state, running["port_offset"])
    settings = yaml.safe_load((here.rendered / "topmast.yml").read_text(encoding="utf-8"))
    checks = live.run(
        here.url("alertmanager"),
        rule,
        settings["environment"],
        here.rendered / "alertmanager" / "alertmanager.yml",
        Inbox(here.inbox),
        wait,
        _silent if as_json else _aloud,
    )
    if as_json:
        click.echo(json.dumps({"checks": [asdict(each) for each in checks]}, indent=2))
    for each in () if as_json else checks:
        click.echo(f"{'ok' if each.ok else 'FAILS':<6}{each.name}: {each.message}")
        if each.remedy:
            click.echo(f"      {each.remedy}")
    if not all(each.ok for each in checks):
        ctx.exit(1)


def _chosen(alert: str | None, rules: Sequence[Rule], layout: Layout, off: Sequence[str]) -> list[Rule]:
    listed = [rule for rule in rules if rule.kind == "alert" and rule.file.parent.name == "alerts"]
    if alert is None:
        return [rule for rule in listed if rule.name not in off]
    found = catalogue.find(alert, layout)
    if found.name not in {rule.name for rule in listed}:
        raise TopmastError(f"{found.name}: the drill plays the catalogue; this one watches the appliance itself")
    return [rule for rule in listed if rule.name == found.name]


def _table(rows: Sequence[Row]) -> str:
    """Return a line an alert: whether it arrived, where, after how long, what is wrong."""
    lines = []
    for row in rows:
        verdict = "ok" if row.arrived and row.ended else "FAILS"
        after = "-" if row.seconds is None else f"{row.seconds:.1f} s"
        told = ", ".join(dict.fromkeys(receiver for receiver, _ in row.delivered)) or "nobody"
        lines.append(f"{verdict:<6}{row.alert:<30}{row.severity:<9}{after:>7}  {told}")
        lines += [f"      {problem}" for problem in row.problems]
        lines += [
            f"      {name} ({channel}): nothing arrived"
            for name, channel in row.planned
            if (name, channel) not in row.delivered
        ]
        if row.arrived and not row.ended:
            lines.append("      its end was not told everywhere")
    return "\n".join(lines)


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise TopmastError(f"{path}: cannot be written: {error.strerror}") from error


def _leave(number: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001 - a signal handler
    """Leave as after Ctrl-C: the engines are ended and the folders removed on the way."""
    raise SystemExit(128 + number)


COMMAND = drill
