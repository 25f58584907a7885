"""Where `topmast cost` works: here, or in compose mode in a container that mounts the ledger's volume."""

from collections.abc import Sequence
from pathlib import Path

import click

from topmast import compose
from topmast.cli import ARGUMENTS, Call
from topmast.layout import Layout

# Options whose value is no file, though a file of its name may lie here.
_NAMED = {"--provider", "--tolerance", "--above", "--model", "--by", "--since", "--until", "--top", "--at"}
# The subcommands that read files of the user's.
_READ = {"reconcile", "update", "drift"}


def go(ctx: click.Context) -> None:
    """In compose mode, carry the command out beside the ledger and leave with its exit code."""
    call: Call = ctx.obj
    layout = Layout(call.home, call.state)
    arguments: Sequence[str] = ctx.meta[ARGUMENTS]
    if {"-h", "--help"} & set(arguments) or compose.mode(layout, None) != "compose":
        return
    ctx.exit(compose.beside_the_ledger(layout, arguments, call.config, files(arguments)))


def files(arguments: Sequence[str]) -> list[Path]:
    """Return the files that the command is to read, as they were named."""
    if not _READ & set(arguments):
        return []
    before = ["", *arguments]
    named = (word for word, option in zip(arguments, before, strict=False) if option not in _NAMED)
    return [Path(word) for word in dict.fromkeys(named) if Path(word).is_file()]
