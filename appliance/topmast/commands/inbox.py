"""`topmast inbox`: what Slack, PagerDuty, e-mail and webhooks would have received."""

import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from topmast import compose
from topmast.cli import ARGUMENTS, Call
from topmast.layout import Layout
from topmast.page.inbox import Inbox, now

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_POLL_SECONDS = 0.5
_MARKS = {"firing": ("red", "●"), "resolved": ("green", "○")}


def age(value: str) -> timedelta:
    """Return `90s`, `10m`, `2h` or `7d` as a timedelta."""
    number, unit = value[:-1], value[-1:]
    if unit not in _UNITS or not number.isdecimal() or len(number) > 6:
        raise click.BadParameter(f"{value!r} is no age; say 90s, 10m, 2h or 7d")
    return timedelta(seconds=int(number) * _UNITS[unit])


@click.command("inbox")
@click.option("--json", "as_json", is_flag=True, help='{"notifications": […]}; with --follow one a line.')
@click.option("--since", type=age, metavar="AGE", help="Only what came within AGE, such as 10m.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=20, show_default=True, help="At most N.")
@click.option("--follow", is_flag=True, help="Stay and print what comes in.")
@click.pass_context
def inbox(ctx: click.Context, as_json: bool, since: timedelta | None, limit: int, follow: bool) -> None:
    """Show what each channel would have received, newest last.

    Until a channel is configured (`notify:` in topmast.yml), notifications end here.
    """
    call: Call = ctx.obj
    layout = Layout(home=call.home, state=call.state)
    if compose.mode(layout, None) == "compose":
        ctx.exit(compose.inside(layout, "page", ctx.meta[ARGUMENTS]))
    found = Inbox(layout.inbox)
    oldest = datetime.now(UTC) - since if since else None
    # Before it is read: what comes in meanwhile is then still news to --follow.
    version, began = found.version(), now()
    entries = found.newest(limit, oldest)[::-1]
    if as_json and not follow:
        click.echo(json.dumps({"notifications": entries[::-1]}, indent=2, ensure_ascii=False))
        return
    show = line_json if as_json else readable
    for entry in entries:
        click.echo(show(entry))
    if follow:
        keep_printing(found, version, began, entries, show)
    elif not entries:
        click.echo("Nothing was sent" + (" in that time." if since else " yet."))


def keep_printing(found: Inbox, version: str, began: str, printed: list[dict[str, Any]], show: Any) -> None:
    """Print each notification as it comes, until Ctrl-C."""
    newest = printed[-1]["at"] if printed else began
    seen = {key(entry) for entry in printed}
    while True:
        time.sleep(_POLL_SECONDS)
        current = found.version()
        if current == version:
            continue
        version = current
        # Those of the newest instant come up again: they are known by what they say.
        entries = found.newest(1000, datetime.fromisoformat(newest))[::-1]
        for entry in entries:
            if key(entry) not in seen:
                click.echo(show(entry))
        seen = {key(entry) for entry in entries}
        newest = max([newest, *(entry["at"] for entry in entries)])


def key(entry: dict[str, Any]) -> str:
    return json.dumps([entry["at"], entry.get("receiver"), entry.get("channel"), entry.get("text")])


def line_json(entry: dict[str, Any]) -> str:
    return json.dumps(entry, ensure_ascii=False)


def readable(entry: dict[str, Any]) -> str:
    """Return a notification as a heading with time, status, channel and receiver, and its text below."""
    color, mark = _MARKS.get(entry.get("status", ""), ("yellow", "·"))
    at = datetime.fromisoformat(entry["at"]).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    status = click.style(f"{mark} {entry.get('status') or 'message':<8}", fg=color)
    heading = f"{at}  {status}  {entry.get('channel')} → {entry.get('receiver')}"
    names = ", ".join(entry.get("alerts") or [])
    # Escape sequences in a message must not reach the terminal.
    body = "".join(c if c == "\n" or c.isprintable() else "�" for c in str(entry.get("text", "")))
    lines = [f"    {line}" for line in body.splitlines()]
    return "\n".join([heading + (f"  {click.style(names, bold=True)}" if names else ""), *lines, ""])


COMMAND = inbox
