"""`topmast verify`: does what runs do its work, from end to end?"""

import click

from topmast import compose, running, verification
from topmast.checkup import report
from topmast.cli import Call
from topmast.layout import Layout


@click.command()
@click.option("--json", "as_json", is_flag=True, help='Print {"checks": [{name, ok, message, remedy}]}.')
@click.pass_context
def verify(ctx: click.Context, as_json: bool) -> None:
    """Try the running appliance from end to end, in either mode.

    \b
    every component answers            a target that is down is named
    a line logged is found             a metric sent is read by Prometheus
    an alert fired reaches the inbox   (channels of yours are told nothing)
    Logstash accepts its pipelines     (compose mode: `logstash -t` in its container)

    Takes seconds when something is down, up to two scrape intervals when all is well (Logstash's own test half a
    minute). Exit code 0 when all is well,
    1 when something is not, 3 when nothing runs.
    """
    call: Call = ctx.obj
    layout = Layout(call.home, call.state)
    look = running.composed if compose.mode(layout, None) == "compose" else running.embedded
    ctx.exit(report(list(verification.verify(*look(layout))), as_json=as_json))


COMMAND = verify
