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

from topmast import catalogue, config, rulefile
from topmast.cli import Call
from topmast.drill import making, measures, passes, receivers, report, scenes, world
from topmast.drill.judge import Row
from topmast.errors import TopmastError
from topmast.layout import Layout
from topmast.measure import to_table
from topmast.rulefile import Rule


@click.command()
@click.argument("alert", required=False)
@click.option("--all", "everything", is_flag=True, help="Every alert of the catalogue.")
@click.option(
    "--html", type=click.Path(path_type=Path, dir_okay=False), help="Also write a report with each message."
)
@click.option("--check", is_flag=True, help="Exit 1 also when it took too long.")
@click.option("--json", "as_json", is_flag=True, help="Print {measures: […], alerts: […]}.")
@click.pass_context
def drill(
    ctx: click.Context, alert: str | None, everything: bool, html: Path | None, check: bool, as_json: bool
) -> None:
    """Let every alert fire, and see the message arrive.

    \b
    topmast drill --all                    all alerts: each alone, then all at once
    topmast drill --all --html drill.html  the same, and each message as it would look
    topmast drill RedisDown                one alert

    A private Prometheus and a private Alertmanager run with the real rules, routes and templates; what is sent ends
    at receivers that speak Slack's, PagerDuty's and SMTP's protocol on this machine. Nobody is told. Asserted are
    receiver, text, links, labels, grouping, muting and the end. The exit code is 1 when something is not as planned.
    """
    call: Call = ctx.obj
    if everything == bool(alert):
        raise click.UsageError("name an alert, or say --all")
    signal.signal(signal.SIGTERM, _leave)
    layout = Layout(call.home, call.state)
    settings = config.load(call.config, layout).values
    rules = rulefile.load(layout.monitoring / "prometheus")
    off = [name for name, wanted in settings["alerts"].items() if wanted.get("enabled", True) is False]
    alerts = _chosen(alert, rules, layout, off)
    say = _silent if as_json else _aloud
    with tempfile.TemporaryDirectory(prefix="topmast-drill-") as folder, world.guarded() as pipe:
        kit = making.kit(layout, settings, Path(folder), say)
        played = scenes.read(layout.home / "tests" / "monitoring" / "alerts", alerts)
        records = {rule.name: rule for rule in rules if rule.kind == "record"}
        with receivers.receiving() as capture:
            given = passes.Drill(kit, records, capture, world.Clocks(), pipe, settings["public_url"], say)
            result = passes.run(given, played, all_at_once=everything)
    taken = [
        each for each in measures.of(result, alerts, off if everything else ()) if everything or _of_one(each.name)
    ]
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
    if any(each.holds is False and (check or each.name != "drill.seconds") for each in taken):
        ctx.exit(1)


def _aloud(text: str) -> None:
    click.echo(f"  {text}", err=True)


def _silent(text: str) -> None:
    """Leave the answer to machines alone."""


def _of_one(name: str) -> bool:
    return name != "drill.muted_as_planned"


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
