"""`topmast alerts`: the catalogue as it is in force, with what topmast.yml changed."""

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from topmast import config, rulefile, rules
from topmast.errors import TopmastError
from topmast.layout import Layout
from topmast.rulefile import Rule

if TYPE_CHECKING:
    from topmast.cli import Call

_COLORS = {"critical": "red", "warning": "yellow"}


@click.group("alerts")
def alerts() -> None:
    """See what can fire, when, and why."""


@alerts.command("list")
@click.option("--json", "as_json", is_flag=True, help='{"alerts": [{"name", "category", "severity", …}]}')
@click.pass_obj
def list_(call: "Call", as_json: bool) -> None:
    """List every alert with its category, severity, wait and threshold."""
    found = effective(call)
    if as_json:
        click.echo(json.dumps({"alerts": found}, indent=2, ensure_ascii=False))
        return
    width = max(len(each["name"]) for each in found)
    for each in found:
        severity = click.style(f"{each['severity']:<8}", fg=_COLORS.get(each["severity"]))
        state = "" if each["enabled"] else "  (off)"
        click.echo(
            f"{each['category']:<13} {severity} {each['for'] or '–':>6}  {each['name']:<{width}}"
            f"  {each['threshold']}{state}"
        )


@alerts.command("show")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="The alert as `list` has it, with its expression and runbook.")
@click.pass_obj
def show(call: "Call", name: str, as_json: bool) -> None:
    """Show one alert: its expression, its wait, and its runbook."""
    found = next((each for each in effective(call, whole=True) if each["name"] == name), None)
    if found is None:
        raise TopmastError(f"{name}: no such alert; `topmast alerts list` names them")
    if as_json:
        click.echo(json.dumps(found, indent=2, ensure_ascii=False))
        return
    click.echo(f"{found['name']}: {found['summary']}")
    click.echo(
        f"{found['severity']}, {found['category']}, after {found['for'] or 'no wait'}, threshold {found['threshold']}"
    )
    click.echo(f"\n{found['expr']}\n")
    click.echo(found["runbook"] or "It has no runbook.")


def effective(call: "Call", *, whole: bool = False) -> list[dict[str, Any]]:
    """Return the alerts as rendering writes them, those that are switched off too. `whole` adds texts and runbook.

    Raises ConfigError when topmast.yml changes what cannot be changed.
    """
    layout = Layout(home=call.home, state=call.state)
    settings = config.load(call.config, layout).values
    source = layout.monitoring / "prometheus"
    with tempfile.TemporaryDirectory(prefix="rules-") as folder:
        rules.render(source, Path(folder), alerts=settings["alerts"], slo=settings["slo"])
        rendered = {rule.name: rule for rule in rulefile.load(Path(folder)) if rule.kind == "alert"}
    found = []
    for rule in rulefile.load(source):
        if rule.kind == "alert":
            entry = _entry(rendered.get(rule.name, rule), enabled=rule.name in rendered)
            if whole:
                runbook = call.home / "docs" / "runbooks" / f"{rule.name}.md"
                text = runbook.read_text(encoding="utf-8") if runbook.is_file() else ""
                entry |= {"expr": rendered.get(rule.name, rule).expr, "runbook": text}
            found.append(entry)
    return found


def _entry(rule: Rule, *, enabled: bool) -> dict[str, Any]:
    return {
        "name": rule.name,
        "category": rule.labels.get("category", ""),
        "severity": rule.labels.get("severity", ""),
        "for": rule.duration,
        "threshold": rule.annotations.get("threshold", ""),
        "summary": rule.annotations.get("summary", ""),
        "enabled": enabled,
    }


COMMAND = alerts
