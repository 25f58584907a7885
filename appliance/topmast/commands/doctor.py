"""`topmast doctor`: has this machine what Topmast needs?"""

import click

from topmast import compose, doctor, lock
from topmast.checkup import report
from topmast.cli import Call
from topmast.errors import NotRunningError
from topmast.layout import Layout


@click.command("doctor")
@click.option("--mode", type=click.Choice(["embedded", "compose"]), help="As remembered by `topmast up`. [embedded]")
@click.option("--port-offset", type=int, metavar="N", help="Look at the ports moved by N.")
@click.option("--json", "as_json", is_flag=True, help='Print {"checks": [{name, ok, message, remedy}]}.')
@click.pass_context
def command(ctx: click.Context, mode: str | None, port_offset: int | None, as_json: bool) -> None:
    """Look at this machine before anything starts, and change nothing.

    \b
    both modes   configuration, memory, disk, ports, clock
    embedded     the engines: on PATH, unpacked, or to be had
    compose      Docker's and Compose's versions, vm.max_map_count

    Each finding has its remedy. Exit code 0 when Topmast can start here, 1 when something is missing.
    """
    call: Call = ctx.obj
    layout = Layout(call.home, call.state)
    if port_offset is None:
        port_offset = _running_offset(layout)
    layout = Layout(call.home, call.state, port_offset)
    chosen = mode or compose.mode(layout, None)
    ctx.exit(report(list(doctor.examine(layout, call.config, chosen)), as_json=as_json))


def _running_offset(layout: Layout) -> int:
    try:
        return int(lock.status(layout)["port_offset"])
    except NotRunningError:
        return 0


COMMAND = command
