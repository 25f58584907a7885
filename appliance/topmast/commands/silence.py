"""`topmast silence`: keep one alert quiet for a while, with a reason."""

import getpass
import json
from collections.abc import Sequence

import click

from topmast import catalogue, metrics, promlabels, promql, rulefile, silencing
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
    manager = Alertmanager(url or silencing.address(layout))
    _known(alert, layout, url, manager)
    if not reason.strip():
        raise click.UsageError("--reason is empty: whoever looks at it at night wants to know why")
    if alert == "Watchdog":
        click.echo("note: without the Watchdog nothing tells you that alerting itself is dead", err=True)
    for name in _foreign(alert, labels, layout):
        click.echo(f"note: {alert} has no label {name}: a silence with it mutes nothing", err=True)
    matchers = (Matcher("alertname", alert), *labels)
    made = manager.put(matchers, seconds, by, reason)
    muted = manager.muted(made.id)
    if as_json:
        told = {"id": made.id, "matchers": [str(one) for one in matchers], "seconds": seconds}
        click.echo(json.dumps({**told, "muted": muted}, indent=2, ensure_ascii=False))
        return
    now = f"{muted} muted now" if muted else "none fires now"
    click.echo(
        f"{alert} is silent for {promql.duration(int(seconds * 1000))} ({now}): {' '.join(map(str, matchers))}"
    )
    click.echo(f"End it: topmast silences --end {made.id}")


def _known(alert: str, layout: Layout, url: str | None, manager: Alertmanager) -> None:
    """Refuse a slip of the name; another Alertmanager may have alerts of its own, and so may rules of yours."""
    try:
        catalogue.find(alert, layout)
    except TopmastError as error:
        if url is not None:
            return
        try:
            fires = manager.fires(alert)
        except TopmastError:
            raise error from None
        if not fires:
            raise


def _foreign(alert: str, labels: Sequence[Matcher], layout: Layout) -> list[str]:
    """Return the names among the labels that a shipped alert never carries."""
    rules = rulefile.load(layout.home / "monitoring" / "prometheus")
    shipped = next((rule for rule in rules if rule.kind == "alert" and rule.name == alert), None)
    if shipped is None or not labels:
        return []
    records = {rule.name: rule.expr for rule in rules if rule.kind == "record"}
    known = promlabels.labels_of(promql.parse(shipped.expr), promlabels.lookup(metrics.load(), records))
    if known is None:
        return []
    # the environment may be an external label
    return [one.name for one in labels if one.name not in {*known, *shipped.labels, "environment"}]


COMMAND = silence
