"""The command line: `topmast COMMAND`, one module a command under commands/, loaded only when it is called."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click
from topmast_exporter.errors import ExporterError
from topmast_shipper.errors import ShipperError

from topmast import __version__, commands, plugins
from topmast.errors import TopmastError
from topmast.layout import find_config, find_home, find_state

ARGUMENTS = "topmast.arguments"
"""In `ctx.meta`: the command's name and everything behind it."""


@dataclass(frozen=True)
class Call:
    """What every command is told (`@click.pass_obj`)."""

    home: Path
    state: Path
    config: Path | None
    """The topmast.yml that was named or found; None when there is none (everything has a default)."""


class Room(click.Group):
    """The commands are the modules of a folder: nothing is registered, nothing is imported before its call."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return [name.replace("_", "-") for name in plugins.names(commands)]

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        # What a command hands on to a container as it was said (compose.inside).
        ctx.meta[ARGUMENTS] = list(args)
        return super().resolve_command(ctx, args)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        module = cmd_name.replace("-", "_")
        if module not in plugins.names(commands):
            near = [name for name in self.list_commands(ctx) if name.startswith(cmd_name[:3])]
            hint = f"; did you mean {' or '.join(near)}?" if near else "; `topmast --help` lists the commands"
            ctx.fail(f"no command {cmd_name!r}{hint}")
        command: click.Command = plugins.load(commands, module, "COMMAND")
        return command


@click.group(cls=Room, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--state", metavar="DIR", help="State folder. [TOPMAST_STATE, else .topmast]")
@click.option("-c", "--config", metavar="FILE", help="Configuration. [topmast.yml here, if there is one]")
@click.version_option(__version__, prog_name="topmast")
@click.pass_context
def topmast(ctx: click.Context, state: str | None, config: str | None) -> None:
    """Metrics, logs, dashboards and alerts for a team that runs LLM applications, in one box.

    Start with `topmast up --demo`, then open http://localhost:3001.
    """
    home = find_home()
    ctx.obj = Call(home=home, state=find_state(state, home), config=find_config(config, home))


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; errors that a person can act on are one sentence on stderr and an exit code."""
    try:
        # Outside standalone mode click returns the code that a command left with (ctx.exit, Exit).
        code = topmast(args=arguments, prog_name="topmast", standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except click.Abort:
        sys.exit(130)
    except TopmastError as error:
        click.echo(f"topmast: {error}", err=True)
        sys.exit(error.exit_code)
    except (ExporterError, ShipperError) as error:
        click.echo(f"topmast: {error}", err=True)
        sys.exit(1)
    except BrokenPipeError:
        # The reader of our output went away (`topmast logs | head`): nothing is wrong.
        sys.stderr.close()
        sys.exit(141)
