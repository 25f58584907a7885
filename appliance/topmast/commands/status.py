"""`topmast status`: what runs, since when, and how it is."""

import json

import click

from topmast import compose, lock
from topmast.cli import Call
from topmast.layout import Layout


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print {mode, ready, state, components: […]} as JSON.")
@click.pass_context
def status(ctx: click.Context, as_json: bool) -> None:
    """Show every component: its state, process, address, version and restarts.

    Exit code 0 when all are ready, 1 when one is not, 3 when nothing runs.
    """
    call: Call = ctx.obj
    layout = Layout(call.home, call.state)
    told = compose.status(layout) if compose.mode(layout, None) == "compose" else lock.status(layout)
    if as_json:
        click.echo(json.dumps(told, indent=2))
    else:
        click.echo(f"{told['mode']}{' with demo' if told['demo'] else ''}, state in {told['state']}")
        for one in told["components"]:
            restarts = f"  restarts {one['restarts']} ({one['exit']})" if one["restarts"] else ""
            pid = str(one["pid"] or "–")
            click.echo(
                f"  {one['name']:<15} {one['state']:<10} {pid:>8}  {one['address']:<16} {one['version']:<9}{restarts}"
            )
    ctx.exit(0 if told["ready"] else 1)


COMMAND = status
