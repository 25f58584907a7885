"""Unpack distribution packages into a folder as an ordinary user: nothing is installed, nothing is started.

apt verifies the archive's signatures as ever; only its folders are private ones. Standard library only, since
the bootstrap uses it before anything is installed.
"""

import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from topmast.errors import PrerequisiteError

_SECONDS = 300


def available() -> bool:
    """Return whether this machine has apt and dpkg."""
    return shutil.which("apt-get") is not None and shutil.which("dpkg") is not None


def unpack(packages: Sequence[str], into: Path, say: Callable[[str], None]) -> Path:
    """Return `into`, holding the packages' files (`into/usr/bin/…`); unpacked once, whole or not at all.

    Raises PrerequisiteError when apt is missing, the package servers do not answer, or the disk is full.
    """
    if into.is_dir():
        return into
    if not available():
        raise PrerequisiteError(f"{' '.join(packages)}: this machine has no apt-get to unpack them with")
    say(f"fetching {', '.join(packages)} from the distribution's packages")
    try:
        into.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=into.parent, prefix=".unpack-") as private:
            folder = Path(private)
            _download(packages, folder)
            root = folder / "root"
            for archive in sorted((folder / "archives").glob("*.deb")):
                _run(["dpkg", "-x", str(archive), str(root)], folder)
            try:
                root.rename(into)
            except OSError:
                if not into.is_dir():
                    raise
                # another process was faster: what is there is whole, and the same
    except OSError as error:
        raise PrerequisiteError(f"{into}: cannot unpack {', '.join(packages)} here: {error}") from error
    return into


def _download(packages: Sequence[str], folder: Path) -> None:
    for name in ("lists/partial", "cache/archives/partial", "archives"):
        (folder / name).mkdir(parents=True)
    # The recipe that works without root and beside another running apt.
    options = [
        f"Dir::State::lists={folder / 'lists'}",
        f"Dir::Cache={folder / 'cache'}",
        "Dir::State::status=/var/lib/dpkg/status",
        "APT::Sandbox::User=",
        "Debug::NoLocking=true",
        "Acquire::Languages=none",
        "Acquire::Retries=2",
        "Acquire::http::Timeout=20",
    ]
    apt = ["apt-get", "-q", *[word for option in options for word in ("-o", option)]]
    # One broken third-party source must not stop us: what counts is whether the packages arrive.
    updated = subprocess.run([*apt, "update"], capture_output=True, text=True, timeout=_SECONDS, check=False)
    try:
        _run([*apt, "download", *packages], folder / "archives")
    except PrerequisiteError as error:
        told = [line for line in updated.stderr.splitlines() if line.startswith(("E:", "W:"))]
        raise PrerequisiteError(
            f"the distribution's packages {', '.join(packages)} could not be fetched "
            f"({(told or [str(error)])[0][:200]}); check the network, or install them and put them on PATH"
        ) from error


def _run(argv: Sequence[str], cwd: Path) -> None:
    try:
        done = subprocess.run(argv, cwd=cwd, capture_output=True, text=True, timeout=_SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise PrerequisiteError(f"{argv[0]}: no answer for {_SECONDS} s") from error
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or ["no message"]
        raise PrerequisiteError(f"{argv[0]} failed: {lines[-1][:200]}")
