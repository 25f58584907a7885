"""A backup of compose mode: every volume of the stack in one .tar.gz, taken while nothing writes.

Elasticsearch and Grafana promise nothing for a copy of files that change, so the services stop for the copy and start
again. The copying is done in a container (the service `archive`), because only containers mount the volumes. Not in
it: `topmast-app-logs`, which is your applications'.
"""

import os
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from topmast.archive import Told
from topmast.errors import StateError, TopmastError
from topmast.setup import volumes

SECONDS = 3600
SERVICE = "archive"
_RUN = ("--profile", SERVICE, "run", "--rm", "-T", "--no-deps", SERVICE, "python", "-m", "topmast.setup.volumes")


def backup(
    command: Sequence[str], file: Path, say: Callable[[str], None], environment: Mapping[str, str] | None = None
) -> Told:
    """Write the backup whole or not at all; what ran runs again. `command` is `docker compose -f …`.

    Raises StateError when there is nothing to back up, TopmastError with Docker's words.
    """
    if file.exists():
        raise StateError(f"{file}: is there already; name another, or delete it")
    around = {**os.environ, **(environment or {})}
    draft = file.with_name(f".{file.name}.part")
    try:
        with draft.open("xb") as out, _stopped(command, around, say):
            # Nobody but its owner: log lines and every password are in it.
            draft.chmod(0o600)
            _called([*command, *_RUN, "save"], around, stdout=out)
        manifest = volumes.check(draft)
        if not manifest["files"]:
            raise StateError("the volumes hold nothing yet: `topmast up --mode compose` starts the stack")
        draft.replace(file)
    except OSError as error:
        raise StateError(f"{error.filename or file}: cannot be backed up: {error.strerror}") from error
    finally:
        draft.unlink(missing_ok=True)
    return Told(file, file.stat().st_size, len(manifest["files"]), str(manifest["created"]))


def restore(
    command: Sequence[str], file: Path, *, replace: bool, environment: Mapping[str, str] | None = None
) -> Told:
    """Put a backup back. Raises StateError when something runs or data would be replaced unasked.

    The whole file is compared with its manifest before anything changes.
    """
    around = {**os.environ, **(environment or {})}
    manifest = volumes.check(file)
    if running := _running(command, around):
        raise StateError(f"{', '.join(running)}: still run; `topmast down` first")
    with file.open("rb") as archive:
        _called([*command, *_RUN, "restore", *(["--replace"] if replace else [])], around, stdin=archive)
    return Told(file, file.stat().st_size, len(manifest["files"]), str(manifest["created"]))


@contextmanager
def _stopped(command: Sequence[str], around: Mapping[str, str], say: Callable[[str], None]) -> Iterator[None]:
    services = _running(command, around)
    if services:
        say(f"{len(services)} services stop for the copy")
        _called([*command, "stop"], around)
    try:
        yield
    finally:
        if services:
            _called([*command, "start", *services], around)


def _running(command: Sequence[str], around: Mapping[str, str]) -> list[str]:
    argv = [*command, "ps", "--services", "--status", "running"]
    return _called(argv, around).decode().split()


def _called(
    argv: Sequence[str], around: Mapping[str, str], stdin: IO[bytes] | None = None, stdout: IO[bytes] | None = None
) -> bytes:
    done = subprocess.run(
        list(argv),
        env=dict(around),
        stdin=subprocess.DEVNULL if stdin is None else stdin,
        stdout=subprocess.PIPE if stdout is None else stdout,
        stderr=subprocess.PIPE,
        timeout=SECONDS,
        check=False,
    )
    if done.returncode == 0:
        told: bytes = done.stdout or b""
        return told
    # Compose tells its own progress on the same stream: ours is what matters.
    lines = done.stderr.decode(errors="replace").strip().splitlines()
    ours = [line.partition("topmast: ")[2] for line in lines if "topmast: " in line]
    kind = StateError if ours else TopmastError
    raise kind(ours[-1] if ours else f"docker compose: {' '.join(lines[-2:])[:300]}")
