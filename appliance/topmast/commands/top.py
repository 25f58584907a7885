"""`topmast top`: the key numbers live in a terminal, for people on ssh."""

import json
import os
import select
import shutil
import sys
import termios
import time
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime

import click

from topmast import compose, lock
from topmast.cli import Call
from topmast.keynumbers import Alert, Number, Reading, read
from topmast.layout import Layout
from topmast.terminal import BLOCKS, PLAIN_BLOCKS, plain, seconds_text, spark, value_text

NAME_WIDTH = 24
VALUE_WIDTH = 12
MAX_POINTS = 120
COLORS = {"green": "green", "orange": "yellow", "yellow": "yellow", "red": "red", "blue": "blue"}
SEVERITIES = {"critical": "red", "warning": "yellow"}
# DEC private modes: the other screen buffer, the cursor; ECMA-48: home, erase to the line's and the screen's end.
_ENTER, _LEAVE = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"
_HOME, _TO_LINE_END, _BELOW = "\x1b[H", "\x1b[K", "\x1b[J"


@click.command()
@click.option("--once", is_flag=True, help="Print one reading and leave.")
@click.option("--json", "as_json", is_flag=True, help="One reading: {at, services, numbers, alerts, error}.")
@click.option("--minutes", type=click.IntRange(5, 1440), default=60, show_default=True, help="What a course covers.")
@click.option("--interval", type=click.FloatRange(1, 300), default=5.0, show_default=True, help="Seconds.")
@click.pass_obj
def top(call: Call, once: bool, as_json: bool, minutes: int, interval: float) -> None:
    """Show the key numbers with their course, what fires, and what is spent.

    The numbers are those of the overview's panels, in the colours of their thresholds. `q` leaves, `r` reads at
    once. A Prometheus that is gone is said to be, and asked again. Where the output is no terminal, one reading is
    printed.
    """
    layout = Layout(call.home, call.state)
    prometheus = _prometheus(layout)

    def reading() -> Reading:
        points = min(MAX_POINTS, max(10, shutil.get_terminal_size().columns - NAME_WIDTH - VALUE_WIDTH - 4))
        return read(prometheus, layout.monitoring, time.time(), minutes * 60, points)

    if as_json:
        at = datetime.now(UTC).isoformat(timespec="seconds")
        click.echo(json.dumps({"at": at, **asdict(reading())}, indent=2, ensure_ascii=False))
    elif once or not (sys.stdin.isatty() and sys.stdout.isatty()):
        click.echo("\n".join(lines(reading(), shutil.get_terminal_size().columns, datetime.now(UTC))))
    else:
        with one_key_at_a_time(sys.stdin.fileno()):
            watch(reading, sys.stdin.fileno(), minutes, interval)


def _prometheus(layout: Layout) -> str:
    """Return the URL of the Prometheus that runs. Raises NotRunningError; in containers, asking it tells."""
    if compose.mode(layout, None) == "compose":
        return compose.url(layout, "prometheus")
    components = lock.status(layout)["components"]
    address = next((one["address"] for one in components if one["name"] == "prometheus"), "")
    return f"http://{address or layout.address('prometheus')}"


def watch(reading: Callable[[], Reading], keys: int, minutes: int, interval: float) -> None:
    """Draw until `q`; again after each interval, on `r`, and when the window has another size."""
    while True:
        began = time.monotonic()
        found = reading()
        size = None
        while True:
            if size != (size := shutil.get_terminal_size()):
                draw(found, size, minutes, interval)
            left = began + interval - time.monotonic()
            # A second at most, so that a window that changed its size is not looked at for long.
            pressed = os.read(keys, 1) if left > 0 and select.select([keys], [], [], min(left, 1.0))[0] else b""
            if pressed in (b"q", b"Q", b"\x03", b"\x04"):
                return
            if pressed == b"r" or left <= 0:
                break


def draw(found: Reading, size: os.terminal_size, minutes: int, interval: float) -> None:
    """Write the whole screen over the last one; what does not fit is cut, never scrolled."""
    foot = click.style(
        plain(f"the last {minutes} min, every {interval:g} s · r now · q quits", size.columns), dim=True
    )
    shown = lines(found, size.columns, datetime.now(UTC))[: max(1, size.lines - 1)]
    body = "".join(f"{line}{_TO_LINE_END}\r\n" for line in shown)
    sys.stdout.write(f"{_HOME}{body}{foot}{_TO_LINE_END}{_BELOW}")
    sys.stdout.flush()


def lines(found: Reading, width: int, now: datetime) -> list[str]:
    """Return the screen as lines of at most `width` columns: services, numbers, what fires."""
    if found.error:
        return [click.style(plain(found.error, width), fg="red")]
    blocks = BLOCKS if "utf" in (sys.stdout.encoding or "").lower() else PLAIN_BLOCKS
    head = [services(found, width), ""]
    alerts = [alert_line(alert, width, now) for alert in found.alerts]
    calm = [click.style("nothing fires", fg="green")]
    return [*head, *(number_line(each, width, blocks) for each in found.numbers), "", *(alerts or calm)]


def services(found: Reading, width: int) -> str:
    down = [name for name, up in found.services.items() if not up]
    if not found.services:
        return click.style("no service is watched yet", dim=True)
    if down:
        return click.style(plain(f"{', '.join(down)} down, {len(found.services) - len(down)} up", width), fg="red")
    return click.style(plain(f"all {len(found.services)} up: {', '.join(found.services)}", width), fg="green")


def number_line(number: Number, width: int, blocks: str) -> str:
    """Return `name  value  course`, the value in its threshold's colour."""
    value = plain(value_text(number.value, number.unit), VALUE_WIDTH).rjust(VALUE_WIDTH)
    color = COLORS.get(number.color)
    course = spark(number.history, width - NAME_WIDTH - VALUE_WIDTH - 2, blocks)
    return f"{plain(number.name, NAME_WIDTH):<{NAME_WIDTH}}{click.style(value, fg=color, bold=True)}  {course}"


def alert_line(alert: Alert, width: int, now: datetime) -> str:
    try:
        ago = seconds_text((now - datetime.fromisoformat(alert.since)).total_seconds())
    except ValueError:
        ago = ""
    told = plain(f"{alert.severity:<9} {alert.name}  {alert.summary}  {ago}", width)
    return click.style(told, fg=SEVERITIES.get(alert.severity))


@contextmanager
def one_key_at_a_time(terminal: int) -> Iterator[None]:
    """Read keys without Enter, on a screen of our own; the terminal is as it was afterwards, whatever happens."""
    before = termios.tcgetattr(terminal)
    try:
        tty.setcbreak(terminal)
        sys.stdout.write(_ENTER)
        yield
    except KeyboardInterrupt:
        pass  # leaving with Ctrl-C is leaving
    finally:
        sys.stdout.write(_LEAVE)
        sys.stdout.flush()
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)


COMMAND = top
