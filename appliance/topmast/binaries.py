"""Find an engine's program: named in the configuration, on PATH, or unpacked into the state folder.

The order is a user's: an explicit path wins, then what the machine has, then the distribution's package, then an
official archive whose SHA-256 the configuration pins (for machines without apt).
"""

import hashlib
import re
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from topmast import debian
from topmast.errors import ConfigError, PrerequisiteError
from topmast.layout import Layout

# The packages of the three engines are fetched in one go: one list of packages, one wait.
PACKAGES = ("prometheus", "prometheus-alertmanager", "prometheus-node-exporter")
_VERSION = re.compile(r"version v?(\d+\.\d+\.\d+)")


@dataclass(frozen=True)
class Program:
    """A program that was found, and where it came from (`configuration`, `PATH`, `package`, `archive`)."""

    path: Path
    origin: str

    def version(self) -> str:
        """Return what `--version` says, e.g. `2.42.0`; empty when it says nothing of the kind.

        Raises PrerequisiteError when the program does not run here.
        """
        try:
            done = subprocess.run(
                [str(self.path), "--version"], capture_output=True, text=True, timeout=20, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise PrerequisiteError(f"{self.path}: does not run here: {error}") from error
        found = _VERSION.search(done.stdout + done.stderr)
        return found[1] if found else ""


def find(
    engine: str,
    names: tuple[str, ...],
    layout: Layout,
    settings: Mapping[str, Any],
    say: Callable[[str], None],
    packages: tuple[str, ...] = PACKAGES,
) -> Program:
    """Return the program of `engine`: the first of `names` that is found, in the order of the module's docstring.

    Raises ConfigError for a configured path that is none, PrerequisiteError when there is no way to get it here.
    """
    configured: Mapping[str, str] = settings.get("engines", {}).get(engine, {})
    if path := configured.get("path"):
        if shutil.which(path) is None:
            raise ConfigError(f"$.engines.{engine}.path: no program at {path!r}")
        return Program(Path(path).resolve(), "configuration")
    if url := configured.get("archive"):
        return Program(_from_archive(engine, names, url, configured["sha256"], layout, say), "archive")
    for name in names:
        if on_path := shutil.which(name):
            return Program(Path(on_path), "PATH")
    if not debian.available():
        raise PrerequisiteError(
            f"{engine}: not on PATH and this machine has no apt-get; install it, or set "
            f"engines.{engine}.path (or .archive and .sha256 of an official release) in topmast.yml"
        )
    folder = "debian" if packages == PACKAGES else engine
    root = debian.unpack(packages, layout.engines / folder, say)
    for name in names:
        if (root / "usr/bin" / name).is_file():
            return Program(root / "usr/bin" / name, "package")
    raise PrerequisiteError(f"{engine}: the distribution's package holds no {names[0]}")


def _from_archive(
    engine: str, names: tuple[str, ...], url: str, sha256: str, layout: Layout, say: Callable[[str], None]
) -> Path:
    """Return the program out of an official .tar.gz whose digest is known; fetched once."""
    folder = layout.engines / f"{engine}-{sha256[:12]}"
    if not folder.is_dir():
        say(f"fetching {engine} from {url}")
        folder.parent.mkdir(parents=True, exist_ok=True)
        draft = folder.with_suffix(".part")
        archive = draft.with_suffix(".tar.gz")
        try:
            with requests.get(url, stream=True, timeout=(10, 60)) as answer:
                answer.raise_for_status()
                with archive.open("wb") as out:
                    shutil.copyfileobj(answer.raw, out)
            if hashlib.sha256(archive.read_bytes()).hexdigest() != sha256:
                raise PrerequisiteError(f"{url}: the SHA-256 is not the one in engines.{engine}.sha256; not used")
            with tarfile.open(archive) as packed:
                packed.extractall(draft, filter="data")
            draft.rename(folder)
        except (requests.RequestException, OSError, tarfile.TarError) as error:
            raise PrerequisiteError(f"{url}: cannot be fetched: {error}") from error
        finally:
            archive.unlink(missing_ok=True)
            shutil.rmtree(draft, ignore_errors=True)
    for found in sorted(folder.rglob("*")):
        if found.name in names and found.is_file():
            return found
    raise PrerequisiteError(f"{url}: holds no {names[0]}")
