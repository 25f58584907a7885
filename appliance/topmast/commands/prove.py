"""`topmast prove NAME`: run the real thing, break it, and print what held."""

from typing import Any

import click

from topmast import lock, plugins, proofs
from topmast.cli import Call
from topmast.errors import NotRunningError
from topmast.layout import Layout
from topmast.measure import report
from topmast.proof import Proof, Trial


class Proofs(click.Group):
    """The proofs are the modules of a folder."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return plugins.names(proofs)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's
        if cmd_name not in plugins.names(proofs):
            return None
        return _command(plugins.load(proofs, cmd_name, "PROOF"))


def _command(proof: Proof) -> click.Command:
    def run(full: bool, seed: int, check: bool, as_json: bool, **options: Any) -> None:
        call: Call = click.get_current_context().obj
        trial = Trial(
            layout=_layout(call),
            full=full,
            seed=seed,
            say=lambda text: click.echo(f"  {text}", err=True),
            options=options,
        )
        report(proof.run(trial), as_json=as_json, check=check)

    return click.Command(
        proof.name,
        callback=run,
        help=proof.summary,
        params=[
            *proof.options,
            click.Option(["--full"], is_flag=True, help="The size that the numbers are claimed for; takes longer."),
            click.Option(["--seed"], type=int, default=7, show_default=True, help="Seed of what is generated."),
            click.Option(["--check"], is_flag=True, help="Exit 1 when a measure does not hold."),
            click.Option(["--json", "as_json"], is_flag=True, help="Print {measures: […]} as JSON."),
        ],
    )


def _layout(call: Call) -> Layout:
    """Return the layout of the running appliance, with its ports, or of none."""
    layout = Layout(call.home, call.state)
    try:
        return Layout(call.home, call.state, lock.status(layout)["port_offset"])
    except NotRunningError:
        return layout


@click.command(cls=Proofs)
def prove() -> None:
    """Prove what Topmast promises, by running the real thing: `topmast prove NAME --json`."""


COMMAND = prove
