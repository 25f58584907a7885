"""`topmast down`: stop everything that `up` started, and only that."""

import json
import os
import shutil
import signal

import click

from topmast import compose, demo, lock
from topmast.cli import Call
from topmast.errors import NotRunningError, TopmastError
from topmast.layout import Layout

SECONDS = 60.0


@click.command()
@click.option("--purge", is_flag=True, help="Also delete what was recorded (metrics, logs, ledger, inbox).")
@click.option("--json", "as_json", is_flag=True, help="Print {stopped, purged} as JSON.")
@click.pass_obj
def down(call: Call, purge: bool, as_json: bool) -> None:
    """Stop what `up` started. What was recorded stays, unless --purge.

    The unpacked engines stay in the state folder in either case, so that the next start needs no network.
    """
    layout = Layout(call.home, call.state)
    if compose.mode(layout, None) == "compose":
        compose.down(layout, purge=purge)
        return
    stopped = _stop(layout)
    if purge:
        kept = (layout.data, layout.rendered, layout.run, layout.logs)
        for folder in (*kept, demo.demo_folder(layout), demo.outside(layout)):
            shutil.rmtree(folder, ignore_errors=True)
    if as_json:
        click.echo(json.dumps({"stopped": stopped, "purged": purge}))
        return
    click.echo("topmast: stopped" if stopped else f"topmast: nothing is running in {layout.state}")
    if purge:
        click.echo("topmast: what was recorded is deleted")


def _stop(layout: Layout) -> bool:
    """Return whether there was something to stop; raise TopmastError when it does not end."""
    try:
        pid = lock.status(layout)["pid"]
        os.kill(pid, signal.SIGTERM)
    except NotRunningError:
        # A killed supervisor's children may still be on their way out.
        cleaning = lock.held(layout)
        if cleaning and not lock.wait_released(layout, SECONDS):
            raise TopmastError(f"{layout.state}: still held after {SECONDS:.0f} s") from None
        return cleaning
    except ProcessLookupError:
        pass
    if not lock.wait_released(layout, SECONDS):
        raise TopmastError(f"the supervisor (pid {pid}) did not end within {SECONDS:.0f} s; see {layout.logs}")
    return True


COMMAND = down
