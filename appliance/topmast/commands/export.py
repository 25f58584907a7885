"""`topmast export`: an exporter of its own, on a server that runs nothing else of the appliance."""

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
    "-c", "--config", metavar="FILE", type=Path, help="topmast.yml; its `exporter` section. [as `topmast -c`]"
)
@click.option("--once", is_flag=True, help="Read every configured server once, print the metrics, end.")
@click.option("--check", is_flag=True, help="Only say whether the configuration is right.")
@click.option("--json", "as_json", is_flag=True, help="With --check: print {checks: […]} as JSON.")
@click.pass_context
def export(ctx: click.Context, config: Path | None, once: bool, check: bool, as_json: bool) -> None:
    """Collect and answer scrapes until SIGTERM or Ctrl-C; SIGHUP reads the configuration again.

    What can only push goes to its ingest, 127.0.0.1:4318 by default: usage of models to POST /v1/usage, OpenTelemetry
    (OTLP/HTTP) to /v1/traces, /v1/metrics and /v1/logs, deploys to /v1/marks; docs/pushing.md has clients.

    Exit code 78 for a configuration that is refused, 69 when an address is taken; with --once, 1 when a server does
    not answer.
    """
    call: Call = ctx.obj
    if once and check:
        raise click.UsageError("--once and --check exclude each other")
    rendered = Layout(call.home, call.state).rendered / "topmast.yml"
    path = config or call.config or (rendered if rendered.is_file() else None)
    if path is None:
        raise ConfigError("no configuration: name one with `topmast export -c FILE`")
    if check:
        ctx.exit(_check(path, as_json))
    # the exporter takes this process's place: signals reach it, and nothing of the command line stays in memory
    argv = [sys.executable, "-m", "topmast_exporter", "-c", str(path), *(["--once"] if once else [])]
    sys.stdout.flush()
    os.execv(sys.executable, argv)  # noqa: S606 - no shell wanted


def _check(path: Path, as_json: bool) -> int:
    from topmast_exporter.config import load
    from topmast_exporter.doors import Doors
    from topmast_exporter.errors import ConfigError as RefusedError

    try:
        loaded = load(path)
        Doors(loaded)
        said, refused = f"{path}: ok, {len(loaded.collectors)} servers", False
    except RefusedError as error:
        said, refused = str(error), True
    if as_json:
        remedy = "correct the file" if refused else None
        checked = {"name": "configuration", "ok": not refused, "message": said, "remedy": remedy}
        click.echo(json.dumps({"checks": [checked]}, indent=2))
    else:
        click.echo(said, err=refused)
    return ConfigError.exit_code if refused else 0


COMMAND = export
