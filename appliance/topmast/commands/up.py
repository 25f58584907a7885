"""`topmast up`: start everything on this machine, in the foreground or detached."""

import json
import subprocess
import time

import click

from topmast import compose, handover, lock, preflight, start
from topmast.cli import Call
from topmast.errors import NotRunningError, PrerequisiteError, TopmastError
from topmast.layout import Layout
from topmast.size import SIZES, size

DETACH_SECONDS = 180.0
GIVE_UP_RESTARTS = 4
"""A component that never came up in so many tries will not: say why instead of waiting on."""


@click.command()
@click.option("--demo", is_flag=True, help="Add the demo: an app, its Redis, PostgreSQL, model provider and load.")
@click.option("-d", "--detach", is_flag=True, help="Return when everything is ready; `topmast down` stops it.")
@click.option("--port-offset", type=int, default=0, metavar="N", help="Move all ports by N, to run a second one.")
@click.option("--real-clocks", is_flag=True, help="With --demo: alerts wait as long as in production.")
@click.option("--mode", type=click.Choice(["embedded", "compose"]), help="Remembered in the state folder. [embedded]")
@click.option("--size", "chosen", type=click.Choice(SIZES), help="lite: for 4 GB. Remembered, too. [full]")
@click.option("--json", "as_json", is_flag=True, help="With --detach: print the status as JSON when ready.")
@click.pass_obj
def up(
    call: Call,
    demo: bool,
    detach: bool,
    port_offset: int,
    real_clocks: bool,
    mode: str | None,
    chosen: str | None,
    as_json: bool,
) -> None:
    """Start Topmast: the engines, the exporter, the shipper and the page.

    \b
    topmast up --demo            look at it working, Ctrl-C stops it
    topmast up --detach          run in the background
    topmast up --port-offset 100 beside another one
    topmast up --size lite       every 30 seconds, a week of metrics; with --mode compose no ELK

    Engines are found on PATH or unpacked from the distribution's packages into the state folder: nothing is
    installed system-wide, no root is needed. Everything listens on 127.0.0.1.
    """
    layout = Layout(call.home, call.state, port_offset)
    size(layout, chosen)
    before = compose.mode(layout, None)
    if compose.mode(layout, mode) == "compose":
        try:
            if port_offset:
                raise PrerequisiteError("--port-offset is embedded mode's: add --mode embedded")
            compose.demo(layout, demo)
            preflight.refuse(layout)
        except BaseException:
            # What cannot be had here is not what the next command means.
            compose.mode(layout, before)
            raise
        compose.up(layout, call.config, detach=detach)
        return

    def say(text: str) -> None:
        click.echo(f"  {text}", err=as_json)

    began = time.monotonic()
    held, components = start.prepare(layout, call.config, demo=demo, real_clocks=real_clocks, say=say)
    facts = {"mode": "embedded", "demo": demo, "real_clocks": real_clocks, "port_offset": port_offset}
    welcome = _welcome(layout, demo, real_clocks, detach)
    handover.plan(layout, components, facts, welcome)
    if not as_json:
        click.echo(f"topmast: starting {len(components)} components, state in {layout.state}")
    if not detach:
        handover.become_supervisor(layout, held)
    supervisor = handover.detach_supervisor(layout, held)
    try:
        _wait(layout, supervisor, quiet=as_json)
    except BaseException:
        # Nothing is left half done: what did not come up is taken down again, its logs stay.
        supervisor.terminate()
        supervisor.wait()
        raise
    if as_json:
        click.echo(json.dumps(lock.status(layout), indent=2))
    else:
        say(f"everything ready {time.monotonic() - began:.1f} s after the command")
        for line in welcome:
            say(line)


def _wait(layout: Layout, process: subprocess.Popen[bytes], *, quiet: bool) -> None:
    """Return when every component is ready, telling each; raise TopmastError when the supervisor gives up."""
    told: set[str] = set()
    deadline = time.monotonic() + DETACH_SECONDS
    while True:
        try:
            status = lock.status(layout)
        except NotRunningError:
            status = {"ready": False, "components": []}
        for one in status["components"]:
            if one["state"] == "ready" and one["name"] not in told:
                told.add(one["name"])
                if not quiet:
                    click.echo(f"  {one['name']:<15} ready   {one['address']}")
            if one["restarts"] >= GIVE_UP_RESTARTS and one["name"] not in told:
                raise TopmastError(f"{one['name']} does not start ({one['exit']}): {_last_line(layout, one['name'])}")
        if status["ready"]:
            return
        if process.poll() is not None:
            raise TopmastError(f"the supervisor ended; see {layout.logs / 'supervisor.log'}")
        if time.monotonic() > deadline:
            late = ", ".join(one["name"] for one in status["components"] if one["state"] != "ready")
            raise TopmastError(
                f"not ready after {DETACH_SECONDS:.0f} s: {late}; stopped again, logs in {layout.logs}"
            )
        time.sleep(0.05)


def _last_line(layout: Layout, name: str) -> str:
    try:
        lines = (layout.logs / f"{name}.log").read_text(errors="replace").splitlines()
    except OSError:
        lines = []
    return f"{(lines or ['it said nothing'])[-1][:300]} (more in {layout.logs / name}.log)"


def _welcome(layout: Layout, demo: bool, real_clocks: bool, detach: bool) -> list[str]:
    lines = ["", f"Dashboards, alerts, inbox and logs: {layout.url('page').replace('127.0.0.1', 'localhost')}"]
    if demo:
        if not real_clocks:
            lines.append("The demo's rules run with clocks ten times faster (--real-clocks turns that off).")
        lines.append("Break something and watch: topmast demo inject errors; then: topmast inbox")
    else:
        lines.append("Connect your app: README, “Your own app”. See it with a workload: topmast up --demo")
    if hint := compose.hint(layout):
        lines.append(hint)
    lines.append("topmast down stops it." if detach else "Ctrl-C stops it.")
    return lines


COMMAND = up
