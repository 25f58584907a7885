"""`topmast silence`: keep one alert quiet for a while, with a reason."""

import getpass
import json

import click

from topmast import catalogue, promql, silencing
from topmast.cli import Call
from topmast.errors import TopmastError
from topmast.layout import Layout
from topmast.silencing import Alertmanager, Matcher


def label(value: str) -> Matcher:
    """Return `instance=db-1` as a matcher."""
    name, found, text = value.partition("=")
    if not found or not name.isidentifier():
        raise click.BadParameter(f"{value[:80]!r}: say LABEL=VALUE, such as instance=db-1:9100")
    return Matcher(name, text)


def length(value: str) -> float:
    """Return `30m`, `2h` or `1h30m` in seconds, from a minute to 30 days."""
    try:
        seconds = promql.milliseconds(value.strip()) / 1000
    except ValueError as error:
        raise click.BadParameter(f"{value[:40]!r}: say 30m, 2h or 1d") from error
    if not 60 <= seconds <= silencing.MAX_SECONDS:
        raise click.BadParameter(f"{value[:40]!r}: from a minute to 30 days")
    return seconds


def author() -> str:
    """Return who asks, as the machine knows them."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user without a name
        return "topmast"


@click.command("silence")
@click.argument("alert")
@click.option("--for", "seconds", type=length, default="2h", show_default=True, metavar="TIME", help="30m, 2h, 1d.")
@click.option("--reason", required=True, help="Why, for whoever looks at it at night.")
@click.option("--label", "labels", type=label, multiple=True, metavar="LABEL=VALUE", help="Only with it; repeatable.")
@click.option("--by", default=author, show_default="your user name", help="Who.")
@click.option("--url", metavar="URL", help="The Alertmanager to tell. [the running one]")
@click.option("--json", "as_json", is_flag=True, help='{"id", "matchers", "seconds", "muted"}')
@click.pass_obj
def silence(
    call: Call,
    alert: str,
    seconds: float,
    reason: str,
    labels: tuple[Matcher, ...],
    by: str,
    url: str | None,
    as_json: bool,
) -> None:
    """Keep ALERT quiet for a while: it goes on firing, and nobody is told.

    \b
    topmast silence HostDiskFilling --for 4h --reason "the new disk comes at noon"
    topmast silence RedisDown --label instance=cache-2:6379 --reason "moving it"
    topmast silences                         what is quiet now, and until when
    """
    layout = Layout(call.home, call.state)
    _known(alert, layout, url)
    if not reason.strip():
        raise click.UsageError("--reason is empty: whoever looks at it at night wants to know why")
    if alert == "Watchdog":
        click.echo("note: without the Watchdog nothing tells you that alerting itself is dead", err=True)
    manager = Alertmanager(url or silencing.address(layout))
    matchers = (Matcher("alertname", alert), *labels)
    made = manager.put(matchers, seconds, by, reason)
    if as_json:
        told = {"id": made.id, "matchers": [str(one) for one in matchers], "seconds": seconds}
        click.echo(json.dumps({**told, "muted": manager.muted(made.id)}, indent=2, ensure_ascii=False))
        return
    click.echo(f"{alert} is silent for {promql.duration(int(seconds * 1000))}: {' '.join(map(str, matchers))}")
    click.echo(f"End it: topmast silences --end {made.id}")


def _known(alert: str, layout: Layout, url: str | None) -> None:
    """Refuse a slip of the name; another Alertmanager may have alerts of its own."""
    try:
        catalogue.find(alert, layout)
    except TopmastError:
        if url is None:
            raise


COMMAND = silence
