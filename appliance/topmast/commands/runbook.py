"""`topmast runbook`: what an alert means and what to do, with who is told, how soon, and how to keep it quiet."""

import json
from typing import Any

import click
import yaml

from topmast import catalogue, promql, routetree
from topmast.cli import Call
from topmast.layout import Layout
from topmast.rulefile import Rule

# Prometheus scrapes and evaluates at this interval; three pass before a sample is in an evaluated alert that is sent.
_INTERVAL_MS = 15_000
_INTERVALS = 3
_DEFAULT_GROUP_WAIT = "30s"  # dispatch/route.go


@click.command("runbook")
@click.argument("alert")
@click.option("--json", "as_json", is_flag=True, help='{"alert", "receivers", "told_within_seconds", "runbook", …}')
@click.pass_obj
def runbook(call: Call, alert: str, as_json: bool) -> None:
    """Print the runbook of ALERT: meaning, impact, diagnosis, mitigation.

    Above it stands who is told and how long that takes at the most, from the first sample that is bad; below it how
    to keep the alert quiet meanwhile. The page has the same at /alerts/ALERT.
    """
    layout = Layout(call.home, call.state)
    rule = catalogue.find(alert, layout)
    path = call.home / "docs" / "runbooks" / f"{rule.name}.md"
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    tree: dict[str, Any] = yaml.safe_load((layout.monitoring / "alertmanager" / "alertmanager.yml").read_text())
    labels = {"alertname": rule.name, **rule.labels, "environment": catalogue.PRODUCTION}
    receivers = routetree.receivers(tree, labels)
    seconds = told_within(rule, tree, labels)
    silence = f"topmast silence {rule.name} --for 2h --reason '…'"
    if as_json:
        told = {
            "alert": rule.name,
            "severity": rule.labels.get("severity", ""),
            "receivers": receivers,
            "told_within_seconds": seconds,
            "silence": silence,
            "runbook": text,
        }
        click.echo(json.dumps(told, indent=2, ensure_ascii=False))
        return
    click.echo(
        f"Told to {', '.join(receivers)} within {promql.duration(int(seconds * 1000))} of the first bad sample.\n"
    )
    click.echo(text.rstrip() or f"{rule.name} has no runbook.")
    click.echo(f"\nQuiet meanwhile: {silence}")


def told_within(rule: Rule, tree: dict[str, Any], labels: dict[str, str]) -> float:
    """Return the seconds from the first bad sample to the first message: wait, three intervals, the group's wait."""
    waits = [_group_wait(tree["route"], path) for path, _ in routetree.taken(tree["route"], labels)]
    wait = promql.milliseconds(rule.duration or "0s")
    return (wait + _INTERVALS * _INTERVAL_MS + min(waits)) / 1000


def _group_wait(route: dict[str, Any], path: tuple[int, ...]) -> int:
    """Return the milliseconds that a route, by its place in the tree, waits; a child inherits its parent's."""
    found = route.get("group_wait", _DEFAULT_GROUP_WAIT)
    for index in path:
        route = route["routes"][index]
        found = route.get("group_wait", found)
    return promql.milliseconds(str(found))


COMMAND = runbook
