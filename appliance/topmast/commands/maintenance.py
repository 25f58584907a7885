"""`topmast maintenance -- COMMAND`: nobody is told while a command runs, and not a minute longer than needed."""

import contextlib
import json
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

import click

from topmast import config, marking, silencing
from topmast.cli import Call
from topmast.commands.silence import author, label, length
from topmast.errors import CommandError, TopmastError
from topmast.layout import Layout
from topmast.silencing import Alertmanager, Matcher

# The silence is short and prolonged while the command runs: whatever becomes of us, it is over soon.
LEASE_SECONDS = 300.0
_RENEW_SECONDS = 60.0
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


@click.command("maintenance", context_settings={"ignore_unknown_options": True})
@click.option("--reason", help="Why. [the command]")
@click.option("--label", "labels", type=label, multiple=True, metavar="LABEL=VALUE", help="Only alerts with it.")
@click.option("--at-most", "limit", type=length, default="2h", show_default=True, metavar="TIME",
              help="After that alerts are told again, though the command still runs.")  # fmt: skip
@click.option("--by", default=author, show_default="your user name", help="Who.")
@click.option("--url", metavar="URL", help="The Alertmanager to tell. [the running one]")
@click.option("--json", "as_json", is_flag=True, help='At the end, on standard error: {"silence", "mark", "exit"}.')
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@click.pass_obj
def maintenance(
    call: Call,
    reason: str | None,
    labels: tuple[Matcher, ...],
    limit: float,
    by: str,
    url: str | None,
    as_json: bool,
    command: tuple[str, ...],
) -> None:
    """Silence all alerts of this environment while COMMAND runs; its exit code is ours.

    As in a shell: 127 where there is no such command, 126 where it cannot be run, 128 and the signal's number where
    one ended it.

    \b
    topmast maintenance -- ./deploy.sh
    topmast maintenance --label instance=db-1:9100 --reason "kernel update" -- ssh db-1 reboot

    The silence begins before the command and ends with it, also when it fails or is interrupted. It is prolonged
    while the command runs, five minutes at a time: after a kill -9 or a power cut, alerts are told again within
    that. The Watchdog is not silenced. Without an Alertmanager that answers, the command is not run.
    """
    layout = Layout(call.home, call.state)
    settings = config.load(call.config, layout).values
    environment = str(settings["environment"])
    manager = Alertmanager(url or silencing.address(layout))
    matchers = (
        Matcher("alertname", "Watchdog", equal=False),
        # an alert that names no environment counts as production's, as it does for the routes
        Matcher("environment", f"{environment}|" if environment == "production" else environment, regex=True),
        *labels,
    )
    why = reason or f"maintenance: {shlex.join(command)}"
    lease = Lease(manager, matchers, by, why, limit)
    told = _mark(layout, settings, reason or shlex.join(command))
    code = _run(command, lease)
    if told is not None:
        told.end(time.time())
        if told.trouble:
            click.echo(f"topmast: the dashboards have no mark of it: {told.trouble}", err=True)
    if as_json:
        marked = told.id if told is not None and not told.trouble else None
        click.echo(json.dumps({"silence": lease.silence.id, "mark": marked, "exit": code}), err=True)
    sys.exit(code)


class Lease:
    """A silence of five minutes that is prolonged until it is given up, `limit` seconds at the most."""

    def __init__(
        self,
        manager: Alertmanager,
        matchers: Sequence[Matcher],
        by: str,
        reason: str,
        limit: float,
        renew_seconds: float = _RENEW_SECONDS,
    ) -> None:
        self._manager = manager
        self._left, self._renew_seconds = limit, renew_seconds
        self._over = threading.Event()
        self.silence = manager.put(matchers, min(LEASE_SECONDS, limit), by, reason)
        self._thread = threading.Thread(target=self._prolong, name="silence", daemon=True)
        self._thread.start()

    def _prolong(self) -> None:
        while not self._over.wait(self._renew_seconds):
            self._left -= self._renew_seconds
            if self._left <= 0:
                click.echo("topmast: --at-most is reached: alerts are told again", err=True)
                return
            # an Alertmanager that is away for a while is one of the things that maintenance brings about
            with contextlib.suppress(TopmastError):
                self.silence = self._manager.prolong(self.silence, min(LEASE_SECONDS, self._left))

    def end(self) -> None:
        self._over.set()
        self._thread.join()
        try:
            self._manager.end(self.silence.id)
        except TopmastError as error:
            click.echo(f"topmast: the silence could not be ended, it is over within 5 minutes: {error}", err=True)


def _mark(layout: Layout, settings: Mapping[str, Any], text: str) -> marking.Span | None:
    try:
        to = marking.ingest(layout, settings)
    except TopmastError as error:
        click.echo(f"topmast: the dashboards have no mark of it: {error}", err=True)
        return None
    return marking.Span(to, "maintenance", text, str(settings["environment"]), time.time())


def _run(command: Sequence[str], lease: Lease) -> int:
    """Run the command and return its exit code; the silence is ended whatever happens."""
    process: subprocess.Popen[bytes] | None = None

    def hand_on(number: int, _frame: object) -> None:
        # from a terminal, Ctrl-C reaches the command by itself; from elsewhere we are its only way to hear of it
        if process is not None and number != signal.SIGINT:
            process.send_signal(number)

    before = {number: signal.signal(number, hand_on) for number in _SIGNALS}
    try:
        process = subprocess.Popen(command)
        code = process.wait()
    except OSError as error:
        found = not isinstance(error, FileNotFoundError)
        raise CommandError(f"{command[0]}: cannot be run: {error.strerror}", found=found) from error
    finally:
        lease.end()
        for number, handler in before.items():
            signal.signal(number, handler)
    return 128 - code if code < 0 else code


COMMAND = maintenance
