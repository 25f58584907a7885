"""`python -m topmast.setup.volumes save|held|restore`: compose mode's volumes, one folder each below /volumes.

`save` writes a .tar.gz to the standard output, `restore` reads one from the standard input, `held` names the volumes
that hold anything. Owners and modes are kept: each service reads its own files under its own user. The manifest with
every file's digest comes last: an archive without one was cut off. Nothing may write meanwhile.
"""

import gzip
import hashlib
import io
import json
import shutil
import sys
import tarfile
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import IO, Any

from topmast import __version__
from topmast.errors import StateError, TopmastError

ROOT = Path("/volumes")
FORMAT = 1
MANIFEST = "manifest.json"
# Blocks and databases are mostly compressed already.
COMPRESSION = 1
_CHUNK = 1 << 20


class _Digesting(io.RawIOBase):
    """Reads on, and remembers the digest of what was read."""

    def __init__(self, content: IO[bytes]) -> None:
        super().__init__()
        self._content = content
        self.digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        part = self._content.read(size)
        self.digest.update(part)
        return part


def save(root: Path, out: IO[bytes]) -> int:
    """Write every folder below `root`; return the number of files. Raises OSError."""
    files = []
    with (
        gzip.GzipFile(fileobj=out, mode="wb", compresslevel=COMPRESSION) as squeezed,
        tarfile.open(fileobj=squeezed, mode="w|") as packed,
    ):
        for path in _walk(root):
            entry = packed.gettarinfo(path, arcname=str(path.relative_to(root)))
            # Sockets, pipes and devices hold nothing.
            if entry is None or not (entry.isreg() or entry.isdir() or entry.issym()):
                continue
            if entry.isreg():
                # A second name of the same file is a file of its own: links are not followed when they are unpacked.
                entry.type, entry.linkname, entry.size = tarfile.REGTYPE, "", path.stat().st_size
                with path.open("rb") as content:
                    reader = _Digesting(content)
                    packed.addfile(entry, reader)
                files.append({"name": entry.name, "bytes": entry.size, "sha256": reader.digest.hexdigest()})
            else:
                packed.addfile(entry)
        created = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        told = {"format": FORMAT, "version": __version__, "mode": "compose", "created": created, "files": files}
        text = json.dumps(told).encode()
        entry = tarfile.TarInfo(MANIFEST)
        entry.size, entry.mode = len(text), 0o600
        packed.addfile(entry, io.BytesIO(text))
    return len(files)


def _walk(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        yield path
        if path.is_dir() and not path.is_symlink():
            yield from _walk(path)


def check(file: Path) -> dict[str, Any]:
    """Return the manifest of a whole archive. Raises TopmastError for any other."""
    digests: dict[str, tuple[int, str]] = {}
    manifest: dict[str, Any] | None = None
    try:
        with tarfile.open(file, mode="r|gz") as packed:
            for entry in packed:
                _refuse_outside(entry.name)
                content = packed.extractfile(entry) if entry.isreg() else None
                if content is None:
                    continue
                if entry.name == MANIFEST:
                    manifest = json.loads(content.read())
                    continue
                digest = hashlib.sha256()
                while part := content.read(_CHUNK):
                    digest.update(part)
                digests[entry.name] = (entry.size, digest.hexdigest())
    except (tarfile.TarError, EOFError, OSError, ValueError) as error:
        raise TopmastError(f"{file}: not a whole backup: {error}") from error
    if manifest is None:
        raise TopmastError(f"{file}: not a whole backup: it ends before its manifest")
    if manifest.get("mode") != "compose" or manifest.get("format") != FORMAT:
        mode, version = manifest.get("mode"), manifest.get("version")
        raise TopmastError(f"{file}: a backup of {mode!r} mode, version {version!r}: not one of compose mode")
    wanted = {each["name"]: (each["bytes"], each["sha256"]) for each in manifest["files"]}
    wrong = sorted(name for name in wanted.keys() | digests.keys() if wanted.get(name) != digests.get(name))
    if wrong:
        raise TopmastError(f"{file}: damaged: {', '.join(wrong[:3])}: not what was packed")
    return manifest


def held(root: Path) -> list[str]:
    """Return the volumes that hold anything."""
    return sorted(path.name for path in root.iterdir() if path.is_dir() and any(path.iterdir()))


def restore(root: Path, archive: IO[bytes], *, replace: bool) -> int:
    """Unpack into the volumes; return the number of files. Raises StateError unless they are empty or given up."""
    if (names := held(root)) and not replace:
        raise StateError(f"volumes hold data already: {', '.join(names)}; --replace deletes them")
    for name in names:
        for path in (root / name).iterdir():
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    files = 0
    with tarfile.open(fileobj=archive, mode="r|gz") as packed:
        # Owners and modes are what a backup is for; what would lead outside is refused here. (An attribute: the
        # parameter is newer than Python 3.11.2.)
        packed.extraction_filter = lambda member, _: member
        for entry in packed:
            _refuse_outside(entry.name)
            if entry.name == MANIFEST:
                continue
            if not (root / PurePosixPath(entry.name).parts[0]).is_dir():
                raise StateError(f"{entry.name}: no such volume in this version's compose file")
            packed.extract(entry, root, numeric_owner=True)
            files += entry.isreg()
    return files


def _refuse_outside(name: str) -> None:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise TopmastError(f"{name[:80]!r} has no place here: not a backup of ours")


def main(arguments: Sequence[str]) -> int:
    word, *rest = arguments or ["held"]
    try:
        if word == "save":
            save(ROOT, sys.stdout.buffer)
        elif word == "restore":
            sys.stdout.write(f"{restore(ROOT, sys.stdin.buffer, replace='--replace' in rest)}\n")
        else:
            sys.stdout.write("".join(f"{name}\n" for name in held(ROOT)))
    except TopmastError as error:
        sys.stderr.write(f"topmast: {error}\n")
        return error.exit_code
    except (OSError, tarfile.TarError) as error:
        sys.stderr.write(f"topmast: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
