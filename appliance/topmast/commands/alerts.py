"""`topmast alerts`: the catalogue as it is in force, and what a user may change of it, written into topmast.yml."""

import json
from collections.abc import Callable
from typing import Any

import click

from topmast import applying, catalogue, config, ownfile, thresholds, yamledit
from topmast.cli import Call
from topmast.errors import ConfigError, TopmastError
from topmast.layout import Layout

_COLORS = {"critical": "red", "warning": "yellow"}
_JSON = '{"alert": {…}, "file", "changed", "applied": "reloaded" | "next-start" | "compose" | "nothing"}'


@click.group("alerts")
def alerts() -> None:
    """See what can fire, when, and why; change it.

    \b
    topmast alerts list
    topmast alerts set HostCpuHigh --threshold 90% --for 15m
    topmast alerts disable HostMemoryStalled
    topmast alerts reset HostCpuHigh

    A change is written into topmast.yml (comments and order stay) and, when the stack runs, into Prometheus.
    """


@alerts.command("list")
@click.option("--json", "as_json", is_flag=True, help='{"environment", "alerts": [{"name", "severity", …}]}')
@click.pass_obj
def list_(call: Call, as_json: bool) -> None:
    """List every alert with its category, severity, wait and threshold.

    `state` is an alert on a state, with nothing to compare; `slo` follows `slo:`, `budget` follows `budgets:`.
    `*` marks what topmast.yml changed.
    """
    layout = Layout(call.home, call.state)
    settings = config.load(call.config, layout).values
    found = [
        {key: value for key, value in each.items() if key != "expr"} for each in catalogue.effective(layout, settings)
    ]
    if as_json:
        told = {"environment": settings["environment"], "alerts": found}
        click.echo(json.dumps(told, indent=2, ensure_ascii=False))
        return
    width = max(len(each["name"]) for each in found)
    for each in found:
        severity = click.style(f"{each['severity']:<8}", fg=_COLORS.get(each["severity"]))
        state = "" if each["enabled"] else "  (off)"
        mark = "  *" if each["changed"] and each["enabled"] else ""
        click.echo(
            f"{each['category']:<13} {severity} {each['for'] or '–':>6}  {each['name']:<{width}}"
            f"  {each['threshold']}{state}{mark}"
        )
    if settings["environment"] != catalogue.PRODUCTION:
        click.echo(f"\nenvironment: {settings['environment']}: none of them pages; only {catalogue.PRODUCTION} does.")


@alerts.command("show")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="The alert as `list` has it, with its expression.")
@click.pass_obj
def show(call: Call, name: str, as_json: bool) -> None:
    """Show one alert as it is evaluated: its expression, wait and threshold. `topmast runbook` says what to do."""
    layout = Layout(call.home, call.state)
    catalogue.find(name, layout)
    settings = config.load(call.config, layout).values
    found = next(each for each in catalogue.effective(layout, settings) if each["name"] == name)
    if as_json:
        click.echo(json.dumps(found, indent=2, ensure_ascii=False))
        return
    click.echo(f"{found['name']}: {found['summary']}")
    off = "" if found["enabled"] else " (off)"
    click.echo(
        f"{found['severity']}, {found['category']}, after {found['for'] or 'no wait'},"
        f" threshold {found['threshold']}{off}"
    )
    click.echo(f"\n{found['expr']}\n")
    click.echo(f"What to do: topmast runbook {name}")


@alerts.command("set")
@click.argument("name")
@click.option("--threshold", metavar="X", help="The number that it compares with: 0.9, 90%, 200ms, 10GiB.")
@click.option("--for", "wait", metavar="TIME", help="How long it must hold: 30s, 5m, 1h30m.")
@click.option("--force", is_flag=True, help="Also what looks like a slip of the unit.")
@click.option("--json", "as_json", is_flag=True, help=_JSON)
@click.pass_obj
def set_(call: Call, name: str, threshold: str | None, wait: str | None, force: bool, as_json: bool) -> None:
    """Change an alert's threshold or its wait; one that is off is switched on again.

    \b
    topmast alerts set HostCpuHigh --threshold 0.9 --for 15m
    topmast alerts set ApiResponseSlow --threshold 3s
    """
    if threshold is None and wait is None:
        raise click.UsageError("say what to change: --threshold X, --for TIME")
    rule = catalogue.find(name, Layout(call.home, call.state))
    wanted: dict[str, Any] = {}
    if threshold is not None:
        if rule.annotations.get("threshold") in ("state", "slo", "budget"):
            wanted["threshold"] = 0  # rendering says what to change instead
        else:
            kind = thresholds.unit(rule)
            value = thresholds.parse(threshold, kind, f"{name}: --threshold")
            if not force:
                thresholds.check(value, rule, kind)
            wanted["threshold"] = int(value) if value.is_integer() else value
    if wait is not None:
        if not force:
            thresholds.check_wait(wait.strip(), name)
        wanted["for"] = wait.strip()

    def change(text: str) -> str:
        for key, each in wanted.items():
            text = yamledit.put(text, ("alerts", name, key), each)
        return _removed(text, ("alerts", name, "enabled"))

    _change(call, name, change, as_json)


@alerts.command("disable")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help=_JSON)
@click.pass_obj
def disable(call: Call, name: str, as_json: bool) -> None:
    """Switch an alert off; `reset` or `set` switches it on again."""
    rule = catalogue.find(name, Layout(call.home, call.state))
    if rule.name == "Watchdog":
        click.echo("note: without the Watchdog nothing tells you that alerting itself is dead", err=True)
    _change(call, name, lambda text: yamledit.put(text, ("alerts", name, "enabled"), False), as_json)


@alerts.command("reset")
@click.argument("name", required=False)
@click.option("--all", "everything", is_flag=True, help="Every alert as it was shipped.")
@click.option("--json", "as_json", is_flag=True, help=_JSON)
@click.pass_obj
def reset(call: Call, name: str | None, everything: bool, as_json: bool) -> None:
    """Make an alert what it was when it was shipped."""
    if everything is (name is not None):
        raise click.UsageError("name the alert to reset, or --all")
    if name is None:
        _change(call, None, lambda text: _removed(text, ("alerts",)), as_json)
        return
    catalogue.find(name, Layout(call.home, call.state))
    _change(call, name, lambda text: _removed(text, ("alerts", name)), as_json)


def _removed(text: str, path: tuple[str, ...]) -> str:
    try:
        return yamledit.remove(text, path)
    except (KeyError, TypeError):
        return text  # it is not there: nothing to do


def _change(call: Call, name: str | None, change: Callable[[str], str], as_json: bool) -> None:
    """Write the change when everything that it leads to is fine, apply it, and say what is in force now."""
    layout = Layout(call.home, call.state)
    path = ownfile.place(call.config)
    text, values = ownfile.draft(path, change, layout)
    try:
        found = [each for each in catalogue.effective(layout, values) if name in (None, each["name"])]
        catalogue.check_pairs(layout, values, [each["name"] for each in found])
    except ConfigError as error:
        raise ConfigError(f"{error}; {path} is as it was") from error
    changed = not path.exists() or path.read_bytes().decode("utf-8") != text
    applied = applying.Applied("nothing", "that is what it was: nothing changed")
    if changed and (path.exists() or text):
        ownfile.write(path, text)
        try:
            applied = applying.apply(layout, values)
        except TopmastError as error:
            raise TopmastError(f"{path} is written; {error}") from error
    told = {"file": str(path), "changed": applied.state != "nothing", "applied": applied.state}
    if as_json:
        click.echo(json.dumps({"alert": found[0] if name else None, **told}, indent=2, ensure_ascii=False))
        return
    if name:
        one = found[0]
        state = f"threshold {one['threshold']}, after {one['for'] or 'no wait'}" if one["enabled"] else "off"
        click.echo(f"{name}: {state}")
    click.echo(f"{path}: {applied.message}")


COMMAND = alerts
