"""`topmast silences`: what is quiet now, until when and why."""

import json
from datetime import UTC, datetime

import click

from topmast import silencing
from topmast.cli import Call
from topmast.layout import Layout
from topmast.silencing import Alertmanager, Silence
from topmast.terminal import plain, seconds_text


@click.command("silences")
@click.option("--all", "everything", is_flag=True, help="Also those that are over.")
@click.option("--end", "ended", metavar="ID", help="End this one now.")
@click.option("--url", metavar="URL", help="The Alertmanager to ask. [the running one]")
@click.option("--json", "as_json", is_flag=True, help='{"silences": [{"id", "matchers", "ends", "by", "reason", …}]}')
@click.pass_obj
def silences(call: Call, everything: bool, ended: str | None, url: str | None, as_json: bool) -> None:
    """List the silences: what is quiet, until when, by whom and why; --end ID ends one."""
    manager = Alertmanager(url or silencing.address(Layout(call.home, call.state)))
    if ended:
        manager.end(ended)
    found = [one for one in manager.silences() if everything or one.state != "expired"]
    if as_json:
        click.echo(json.dumps({"silences": [_json(one) for one in found]}, indent=2, ensure_ascii=False))
        return
    if ended:
        click.echo(f"{ended}: ended")
        return
    now = datetime.now(UTC)
    for one in found:
        left = (one.ends - now).total_seconds()
        until = f"for {seconds_text(left)} more" if one.state == "active" else one.state
        click.echo(plain(f"{' '.join(map(str, one.matchers))}  {until}, by {one.by}: {one.reason}", 500))
        click.echo(f"  {one.id}")
    if not found:
        click.echo("Nothing is silenced.")


def _json(one: Silence) -> dict[str, object]:
    return {
        "id": one.id,
        "matchers": [str(each) for each in one.matchers],
        "begins": one.begins.isoformat(),
        "ends": one.ends.isoformat(),
        "by": one.by,
        "reason": one.reason,
        "state": one.state,
    }


COMMAND = silences
