"""`topmast backup`: everything that was recorded, in one file."""

import json
import os
import time
from pathlib import Path

import click

from topmast import archive, compose, service, volumes
from topmast.cli import Call
from topmast.layout import Layout

# A week of nights.
DAYS = 7


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--keep", type=click.IntRange(1, 1000), metavar="N", help="In a folder: delete all but the newest N.")
@click.option("--schedule", metavar="HH:MM", help="Do it every day at that time, through systemd; `off` ends that.")
@click.option("--json", "as_json", is_flag=True, help="Print {file, bytes, files, created}.")
@click.pass_obj
def backup(call: Call, file: Path, keep: int | None, schedule: str | None, as_json: bool) -> None:
    """Write metrics, logs, the cost ledger, silences, the inbox and your dashboards into FILE.tar.gz.

    \b
    topmast backup before-the-upgrade.tar.gz
    topmast backup /var/backups/topmast --keep 7                     a folder: named by the time
    topmast backup /var/backups/topmast --keep 7 --schedule 03:00    every night from now on

    It may run meanwhile; nothing is stopped. `topmast restore FILE` puts it back. Files that topmast.yml names
    (passwords, certificates) are yours and not in it, nor are the demo's own servers.

    In compose mode every volume is in it, the generated passwords too; the services stop for the copy.
    """
    layout = Layout(call.home, call.state)
    if (keep or schedule) and not file.is_dir():
        raise click.UsageError(f"--keep and --schedule want a folder that is there, not {str(file)[:80]!r}")
    if schedule:
        _schedule(layout, call.config, file, schedule, keep or DAYS)
        return
    target = archive.named(file, time.time()) if file.is_dir() else file
    if compose.mode(layout, None) == "compose":
        told = volumes.backup(compose.command(layout), target, lambda text: click.echo(text, err=True))
    else:
        told = archive.backup(layout, call.config, target)
    if keep:
        archive.prune(file, keep)
    if as_json:
        click.echo(json.dumps({**vars(told), "file": str(told.file)}))
    else:
        click.echo(f"{told.file}: {told.files} files, {told.bytes / 1e6:.1f} MB, as of {told.created}")


def _schedule(layout: Layout, config: Path | None, folder: Path, at: str, keep: int) -> None:
    timer = f"{service.BACKUP}.timer"
    systemd = service.find(os.environ, root=os.geteuid() == 0)
    if at == "off":
        gone = service.remove(systemd, (timer, f"{service.BACKUP}.service"))
        click.echo("the backup's timer is removed" if gone else "there was no timer")
        return
    service.install(systemd, service.backup_units(layout, config, folder, at, keep), timer)
    click.echo(f"{folder}: a backup every day at {at}, the newest {keep} are kept")


COMMAND = backup
