"""`topmast ship`: a shipper of its own, on a server that runs nothing else of the appliance."""

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from topmast import compose
from topmast.cli import Call
from topmast.errors import ConfigError, PrerequisiteError, TopmastError
from topmast.layout import Layout

if TYPE_CHECKING:  # imported when a command needs it: the others start sooner
    from topmast_shipper.config import ShipperConfig
    from topmast_shipper.inspection import FileState

_CONFIG = "topmast.ship.config"


def _named(ctx: click.Context, _parameter: click.Parameter, value: Path | None) -> None:
    if value is not None:
        ctx.meta[_CONFIG] = value


# it may stand before the command's name and behind it
_config = click.option(
    "-c",
    "--config",
    metavar="FILE",
    type=click.Path(path_type=Path),
    expose_value=False,
    callback=_named,
    help="topmast.yml; its `shipper` section. [as `topmast -c`]",
)


@click.group(invoke_without_command=True)
@_config
@click.option("--check", is_flag=True, help="Only say whether the configuration is right.")
@click.option("--stdin", is_flag=True, help="Take in what comes on standard input: myapp | topmast ship --stdin")
@click.option("--service", default="", metavar="NAME", help="With --stdin: whose lines they are.")
@click.option("--json", "as_json", is_flag=True, help="With --check: print {checks: […]} as JSON.")
@click.pass_context
def ship(ctx: click.Context, check: bool, stdin: bool, service: str, as_json: bool) -> None:
    """Ship logs until SIGTERM or Ctrl-C; SIGHUP reads the configuration again. A backlog is shown on a terminal.

    Exit code 78 for a configuration that is refused, 75 when another shipper holds its data folder.
    `topmast ship -c FILE lag` (and `explain`, `fsck`) only look, also while a shipper is at work.
    """
    call: Call = ctx.obj
    _refuse_what_would_be_ignored(ctx, check, stdin, service, as_json)
    if stdin:
        _take_in(call, service)
        return
    if ctx.invoked_subcommand is not None:
        return  # which looks for the configuration by itself: its --help needs none
    path = _path(ctx)
    if check:
        ctx.exit(_check(path, as_json))
    # the shipper takes this process's place: signals reach it, and nothing of the command line stays in memory
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", "topmast_shipper", "-c", str(path)])  # noqa: S606 - no shell wanted


def _refuse_what_would_be_ignored(ctx: click.Context, check: bool, stdin: bool, service: str, as_json: bool) -> None:
    command = ctx.invoked_subcommand
    if command is not None and (check or stdin or as_json):
        raise click.UsageError(
            f"--check, --stdin and --json do not go with {command}: `topmast ship {command} --help`"
        )
    if check and stdin:
        raise click.UsageError("--check or --stdin, not both")
    if as_json and not check:
        raise click.UsageError("--json goes with --check: `topmast ship --check --json`")
    if service and not stdin:
        raise click.UsageError("--service goes with --stdin; an input has `service: NAME` in the configuration")
    if stdin and _CONFIG in ctx.meta:
        raise click.UsageError("--stdin writes into the state folder's spool (`topmast --state DIR`), without -c")


def _take_in(call: Call, service: str) -> None:
    """Write what comes on standard input into the spool, for the shipper of this state folder."""
    from topmast_shipper import standard_input

    layout = Layout(call.home, call.state)
    if compose.mode(layout, None) == "compose":
        # The shipper is in a container, which has no part of the state folder: nobody would read the lines.
        raise PrerequisiteError(
            "--stdin is embedded mode's; in compose mode an application writes its lines into a file of the "
            f"volume topmast-app-logs ({layout.home / 'docs/connect-your-app.md'})"
        )
    standard_input.take(sys.stdin.buffer, sys.stdout.buffer, layout.spool, service)


def _path(ctx: click.Context) -> Path:
    """Return the configuration: as named, else the one here, else what the appliance rendered."""
    call: Call = ctx.obj
    rendered = Layout(call.home, call.state).rendered / "topmast.yml"
    found: Path | None = ctx.meta.get(_CONFIG) or call.config or (rendered if rendered.is_file() else None)
    if found is None:
        raise ConfigError("no configuration: name one with `topmast ship -c FILE`")
    return found


def _check(path: Path, as_json: bool) -> int:
    from topmast_shipper import startable
    from topmast_shipper.errors import ConfigError as RefusedError

    hints: list[str] = []
    try:
        loaded, hints = startable.load(path)
        said, refused = f"{path}: ok, {len(loaded.inputs)} inputs, {len(loaded.sinks)} sinks", False
    except RefusedError as error:
        said, refused = str(error), True
    if as_json:
        remedy = "correct the file" if refused else None
        checked = {"name": "configuration", "ok": not refused, "message": said, "remedy": remedy}
        click.echo(json.dumps({"checks": [checked, *map(_hinted, hints)]}, indent=2))
    else:
        for line in (said, *hints):
            click.echo(line, err=refused)
    return ConfigError.exit_code if refused else 0


def _hinted(hint: str) -> dict[str, object]:
    """Return `input app: no file matches yet` as one that was looked at and is well."""
    name, _, message = hint.partition(": ")
    return {"name": name, "ok": True, "message": message, "remedy": None}


@ship.command("check")
@_config
@click.option("--json", "as_json", is_flag=True, help="Print {checks: […]} as JSON.")
@click.pass_context
def check_sinks(ctx: click.Context, as_json: bool) -> None:
    """Connect to every sink and log in, and send nothing; exit 1 when one cannot be reached.

    What `topmast ship` would refuse is refused before, as by `topmast ship --check`, which connects to nothing.
    """
    from topmast_shipper import startable
    from topmast_shipper.errors import ConfigError as RefusedError
    from topmast_shipper.reach import reach

    try:
        loaded, hints = startable.load(_path(ctx))
    except RefusedError as error:
        raise ConfigError(str(error)) from error
    found = list(reach(loaded))
    if as_json:
        click.echo(json.dumps({"checks": [*map(_hinted, hints), *(each._asdict() for each in found)]}, indent=2))
    else:
        for hint in hints:
            click.echo(f"note   {hint}")
        for each in found:
            click.echo(f"{'ok   ' if each.ok else 'FAILS'}  {each.name}: {each.message}")
            if each.remedy:
                click.echo(f"       {each.remedy}")
    ctx.exit(0 if all(each.ok for each in found) else 1)


_as_json = click.option("--json", "as_json", is_flag=True, help="Print {files: […]} as JSON.")


@ship.command()
@_config
@_as_json
@click.pass_context
def lag(ctx: click.Context, as_json: bool) -> None:
    """Say how far each sink is behind, file by file; files that are gone are left out."""
    from topmast_shipper import inspection

    data, sinks = _remembering(ctx)
    _print([each for each in inspection.states(data, sinks) if each.size is not None], as_json)


@ship.command()
@_config
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@_as_json
@click.pass_context
def explain(ctx: click.Context, file: Path, as_json: bool) -> None:
    """Say what is known of FILE: its stream and generation, each sink's offset, and what happens next and why."""
    from topmast_shipper import inspection

    data, sinks = _remembering(ctx)
    found = inspection.explain(data, sinks, file)
    if not found and not as_json:
        click.echo(
            f"{click.format_filename(file)}: never read; no input matches it, "
            "or no shipper has run since its first line was complete"
        )
        return
    _print(found, as_json)


@ship.command()
@_config
@click.argument("file", required=False, type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--json", "as_json", is_flag=True, help="Print {sinks: …, kept: …, unreadable: …} as JSON.")
@click.pass_context
def replay(ctx: click.Context, file: Path | None, as_json: bool) -> None:
    """Send the dead letters again, or those saved in FILE: to the sink that refused them, under their old ids.

    The shipper of this configuration does it, at once or at its next start; what is refused again is a dead letter
    again. Letters to a sink that is not configured stay where they are.
    """
    from topmast_shipper import replay as letters

    data, sinks = _remembering(ctx)
    try:
        found = letters.hand_over(data, sinks, file)
    except OSError as error:
        raise TopmastError(f"{data}: {error.strerror}") from error
    if as_json:
        click.echo(json.dumps(found._asdict(), indent=2))
        return
    for sink, count in found.sinks.items():
        click.echo(f"{sink}: {count} letters on their way")
    for sink, count in found.kept.items():
        click.echo(f"{sink}: {count} letters kept, no sink has this name")
    if found.unreadable:
        click.echo(f"{found.unreadable} lines kept that are no letters")
    if not any(found):
        click.echo("no dead letters")


@ship.command()
@_config
@click.option("--json", "as_json", is_flag=True, help="Print {checks: […]} as JSON.")
@click.pass_context
def fsck(ctx: click.Context, as_json: bool) -> None:
    """Check the checkpoint line by line; exit 1 when a line is damaged (which costs a re-send, never a line)."""
    from topmast_shipper.checkpoint import remembered

    data, _ = _remembering(ctx)
    found = remembered(data)
    message = f"{data}: {len(found.files)} files, {found.bad_lines} damaged lines"
    ok = found.bad_lines == 0
    remedy = None if ok else "none needed: the next start leaves them out, and what they said is sent again"
    if as_json:
        checked = {"name": "checkpoint", "ok": ok, "message": message, "remedy": remedy}
        click.echo(json.dumps({"checks": [checked]}, indent=2))
    else:
        click.echo(message)
    ctx.exit(0 if ok else 1)


def _remembering(ctx: click.Context) -> tuple[Path, list[str]]:
    """Return the shipper's data folder and the names of its sinks."""
    loaded = _loaded(ctx)
    return loaded.data, [each.name for each in loaded.sinks]


def _loaded(ctx: click.Context) -> "ShipperConfig":
    from topmast_shipper import config
    from topmast_shipper.errors import ConfigError as RefusedError

    try:
        return config.load(_path(ctx))
    except RefusedError as error:
        raise ConfigError(str(error)) from error


def _print(found: "Sequence[FileState]", as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({"files": [asdict(each) for each in found]}, indent=2))
        return
    for each in found:
        place = f"{each.stream}.{each.generation} at {each.offset} of {each.size}" if each.stream else "never read"
        click.echo(f"{each.path}  {each.sink}: {each.unread_bytes} bytes unread ({each.verdict}; {place})")


COMMAND = ship
