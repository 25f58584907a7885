"""`topmast service install|remove`: start at boot."""

import json
import os

import click

from topmast import service
from topmast.cli import Call
from topmast.layout import Layout


@click.group("service")
def group() -> None:
    """Start Topmast at boot, with systemd: your own units, or as root the machine's."""


@group.command()
@click.option("--print", "only_print", is_flag=True, help="Print the unit and change nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print {unit, text, installed, remedy}.")
@click.pass_obj
def install(call: Call, only_print: bool, as_json: bool) -> None:
    """Write topmast.service, start it, and have it started at boot. Again changes nothing.

    What runs in this state folder already must be stopped first (`topmast down`). The mode is the remembered one;
    after another one was chosen, install again.
    """
    layout, root = Layout(call.home, call.state), os.geteuid() == 0
    unit = service.service_unit(layout, call.config, user=not root)
    if only_print:
        told = {"unit": None, "text": unit, "installed": False, "remedy": None}
        click.echo(json.dumps(told) if as_json else unit, nl=as_json)
        return
    systemd = service.find(os.environ, root=root)
    [path] = service.install(systemd, {f"{service.NAME}.service": unit}, f"{service.NAME}.service")
    remedy = service.lingering(os.environ) if systemd.user else ""
    if as_json:
        click.echo(json.dumps({"unit": str(path), "text": unit, "installed": True, "remedy": remedy or None}))
        return
    click.echo(f"{path}: started, and at every boot from now on")
    if remedy:
        click.echo(f"  without a login only after: {remedy}")


@group.command()
@click.option("--json", "as_json", is_flag=True, help="Print {removed: [FILE, …]}.")
def remove(as_json: bool) -> None:
    """Stop it, and start it at boot no more; the backup's timer goes too. What was recorded stays."""
    systemd = service.find(os.environ, root=os.geteuid() == 0)
    names = (f"{service.BACKUP}.timer", f"{service.BACKUP}.service", f"{service.NAME}.service")
    gone = service.remove(systemd, names)
    if as_json:
        click.echo(json.dumps({"removed": [str(path) for path in gone]}))
        return
    click.echo("\n".join(f"{path}: removed" for path in gone) or f"{systemd.folder}: no unit of ours")


COMMAND = group
