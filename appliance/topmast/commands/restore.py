"""`topmast restore`: put a backup back."""

import json
from pathlib import Path

import click

from topmast import archive, compose, volumes
from topmast.cli import Call
from topmast.layout import Layout


@click.command()
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option(
    "--replace", is_flag=True, help="Data that are there are put aside, in replaced-TIME (volumes: deleted)."
)
@click.option("--json", "as_json", is_flag=True, help="Print {file, files, created, replaced, configuration}.")
@click.pass_obj
def restore(call: Call, file: Path, replace: bool, as_json: bool) -> None:
    """Put what `topmast backup` wrote into the state folder. Nothing may run there.

    Every file is compared with the backup's list before anything changes. The topmast.yml of then is laid beside the
    data and not used: compare it with yours. In compose mode the backup goes into the stack's volumes.
    """
    layout = Layout(call.home, call.state)
    aside: Path | None = None
    if compose.mode(layout, None) == "compose":
        told, where = volumes.restore(compose.command(layout), file, replace=replace), "the stack's volumes"
    else:
        told, aside = archive.restore(layout, file, replace=replace)
        where = str(layout.state)
    written = layout.state / "restored-topmast.yml"
    configuration = str(written) if written.is_file() else None
    if as_json:
        replaced = None if aside is None else str(aside)
        click.echo(
            json.dumps(
                {
                    "file": str(file),
                    "files": told.files,
                    "created": told.created,
                    "replaced": replaced,
                    "configuration": configuration,
                }
            )
        )
        return
    click.echo(f"{told.files} files as of {told.created} are back in {where}")
    if aside is not None:
        click.echo(f"what was there is in {aside}; delete it when all is well")
    if configuration is not None:
        click.echo(f"the topmast.yml of then: {configuration}")


COMMAND = restore
