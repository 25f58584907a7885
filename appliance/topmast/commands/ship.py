"""`topmast ship`: a shipper of its own, on a server that runs nothing else of the appliance."""

import json
import os
import sys
from pathlib import Path

import click

from topmast.cli import Call
from topmast.errors import ConfigError
from topmast.layout import Layout


@click.command()
@click.option(
    "-c", "--config", metavar="FILE", type=Path, help="topmast.yml; its `shipper` section. [as `topmast -c`]"
)
@click.option("--check", is_flag=True, help="Only say whether the configuration is right.")
@click.option("--json", "as_json", is_flag=True, help="With --check: print {checks: […]} as JSON.")
@click.pass_context
def ship(ctx: click.Context, config: Path | None, check: bool, as_json: bool) -> None:
    """Ship logs until SIGTERM or Ctrl-C; SIGHUP reads the configuration again.

    Exit code 78 for a configuration that is refused, 75 when another shipper holds its data folder.
    """
    call: Call = ctx.obj
    rendered = Layout(call.home, call.state).rendered / "topmast.yml"
    path = config or call.config or (rendered if rendered.is_file() else None)
    if path is None:
        raise ConfigError("no configuration: name one with `topmast ship -c FILE`")
    if check:
        ctx.exit(_check(path, as_json))
    # the shipper takes this process's place: signals reach it, and nothing of the command line stays in memory
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", "topmast_shipper", "-c", str(path)])  # noqa: S606 - no shell wanted


def _check(path: Path, as_json: bool) -> int:
    from topmast_shipper import config
    from topmast_shipper.errors import ConfigError as RefusedError

    try:
        loaded = config.load(path)
        said, refused = f"{path}: ok, {len(loaded.inputs)} inputs, {len(loaded.sinks)} sinks", False
    except RefusedError as error:
        said, refused = str(error), True
    if as_json:
        remedy = "correct the file" if refused else None
        checked = {"name": "configuration", "ok": not refused, "message": said, "remedy": remedy}
        click.echo(json.dumps({"checks": [checked]}, indent=2))
    else:
        click.echo(said, err=refused)
    return ConfigError.exit_code if refused else 0


COMMAND = ship
