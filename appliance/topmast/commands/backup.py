"""`topmast backup`: everything that was recorded, in one file."""

import json
from pathlib import Path

import click

from topmast import archive, compose
from topmast.cli import Call
from topmast.errors import PrerequisiteError
from topmast.layout import Layout


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print {file, bytes, files, created}.")
@click.pass_obj
def backup(call: Call, file: Path, as_json: bool) -> None:
    """Write metrics, logs, the cost ledger, silences, the inbox and your dashboards into FILE.tar.gz.

    It may run meanwhile; nothing is stopped. `topmast restore FILE` puts it back. Files that topmast.yml names
    (passwords, certificates) are yours and not in it, nor are the demo's own servers.
    """
    layout = Layout(call.home, call.state)
    if compose.mode(layout, None) == "compose":
        raise PrerequisiteError("backup: of compose mode's volumes is not there yet; this is embedded mode's")
    told = archive.backup(layout, call.config, file)
    if as_json:
        click.echo(json.dumps({**vars(told), "file": str(told.file)}))
    else:
        click.echo(f"{told.file}: {told.files} files, {told.bytes / 1e6:.1f} MB, as of {told.created}")


COMMAND = backup
