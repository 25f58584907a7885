"""`topmast service install|remove`: start at boot."""

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
@click.pass_obj
def install(call: Call, only_print: bool) -> None:
    """Write topmast.service, start it, and have it started at boot. Again changes nothing.

    What runs in this state folder already must be stopped first (`topmast down`). The mode is the remembered one.
    """
    layout, root = Layout(call.home, call.state), os.geteuid() == 0
    unit = service.service_unit(layout, call.config, user=not root)
    if only_print:
        click.echo(unit, nl=False)
        return
    systemd = service.find(os.environ, root=root)
    [path] = service.install(systemd, {f"{service.NAME}.service": unit}, f"{service.NAME}.service")
    click.echo(f"{path}: started, and at every boot from now on")
    if systemd.user and (command := service.lingering(os.environ)):
        click.echo(f"  without a login only after: {command}")


@group.command()
@click.pass_obj
def remove(call: Call) -> None:  # noqa: ARG001 - click's signature
    """Stop it, and start it at boot no more; the backup's timer goes too. What was recorded stays."""
    systemd = service.find(os.environ, root=os.geteuid() == 0)
    names = (f"{service.BACKUP}.timer", f"{service.BACKUP}.service", f"{service.NAME}.service")
    gone = service.remove(systemd, names)
    click.echo("\n".join(f"{path}: removed" for path in gone) or f"{systemd.folder}: no unit of ours")


COMMAND = group
