"""`topmast benchmark NAME`: measure ours and the peers in one run, on this machine."""

from pathlib import Path

import click

from topmast import benchmark as room
from topmast.cli import Call
from topmast.measure import report


@click.command()
@click.argument("name", required=False)
@click.option("--full", is_flag=True, help="The size that the numbers are claimed for; takes longer.")
@click.option("--seed", type=int, default=7, show_default=True, help="Seed of what is generated.")
@click.option(
    "--trace",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Recorded requests that `cost` replays: CSV with the columns ContextTokens and GeneratedTokens.",
)
@click.option("--check", is_flag=True, help="Exit 1 when a measure does not hold.")
@click.option("--json", "as_json", is_flag=True, help="Print {measures: […]} as JSON.")
@click.pass_obj
def benchmark(
    call: Call, name: str | None, full: bool, seed: int, trace: Path | None, check: bool, as_json: bool
) -> None:
    """Run a benchmark and print its measures; without NAME, list the benchmarks.

    Each measure stands beside its goal and, where there is one, a peer measured in the same run: the ratio is what
    counts, an absolute time is this machine's.
    """
    if name is None:
        for each in room.names(call.home):
            click.echo(f"{each:<12} {room.load(call.home, each).summary}")
        return

    def say(text: str) -> None:
        click.echo(f"  {text}", err=True)

    chosen = room.load(call.home, name)
    report(
        chosen.run(room.Run(home=call.home, full=full, seed=seed, say=say, trace=trace)), as_json=as_json, check=check
    )


COMMAND = benchmark
