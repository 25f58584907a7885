"""A backup of embedded mode: one .tar.gz with a manifest, taken while everything runs, put back while nothing does.

What is in it, and why a copy of a running server is a whole one:

- Prometheus: the write-ahead log and the blocks. Blocks never change; the log only grows, and its records end in a
  checksum, so that a record that was cut is left out at the next start. All files are hard-linked within
  milliseconds, the log first: what a compaction moves meanwhile is then in both, which Prometheus knows to handle.
  Memory-mapped chunks of the head are left out: they are made again from the log.
- SQLite (ledger, workers, log store): SQLite's own online backup.
- The shipper's checkpoint, before the log store: what was stored since is sent again and known by its id.
- Alertmanager's silences, the inbox, dashboards of your own, and topmast.yml.

Not in it: files that `*_file` in topmast.yml names (yours), engines (unpacked again), and the demo's servers.
"""

import contextlib
import gzip
import hashlib
import io
import json
import os
import re
import shutil
import sqlite3
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

from topmast import __version__, lock
from topmast.errors import StateError, TopmastError
from topmast.layout import Layout

FORMAT = 1
MANIFEST = "manifest.json"
# A compaction that runs while files are linked is over by the next try.
TRIES = 5
# Blocks and log are compressed already; the rest is text, of which the first level takes most.
COMPRESSION = 1
_ULID = re.compile(r"^[0-9A-HJKMNP-TV-Z]{26}$")
_SEGMENT = re.compile(r"^\d{8}$")
_NAMED = re.compile(r"^topmast-\d{8}T\d{6}Z\.tar\.gz$")
_SIDE_FILES = ("-wal", "-shm", "-journal")
_MAX_MANIFEST_BYTES = 50_000_000


@dataclass(frozen=True)
class Source:
    """One file of the backup: `name` in it, `path` to read, so many bytes of it."""

    name: str
    path: Path
    size: int


@dataclass(frozen=True)
class Told:
    """What was written or put back."""

    file: Path
    bytes: int
    files: int
    created: str


def backup(layout: Layout, config: Path | None, file: Path, clock: Callable[[], float] = time.time) -> Told:
    """Write the backup whole or not at all. Raises StateError when there is nothing, or no room."""
    if file.exists():
        raise StateError(f"{file}: is there already; name another, or delete it")
    if not layout.data.is_dir():
        raise StateError(f"{layout.data}: nothing was recorded here yet")
    created = datetime.fromtimestamp(clock(), UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    draft = file.with_name(f".{file.name}.part")
    try:
        # In the state folder: hard links cannot leave their disk.
        with tempfile.TemporaryDirectory(dir=layout.state, prefix=".backup-") as folder:
            sources = list(_gathered(layout, config, Path(folder)))
            listed = _write(draft, sources, created)
        draft.chmod(0o600)
        draft.replace(file)
    except OSError as error:
        raise StateError(f"{error.filename or file}: cannot be backed up: {error.strerror}") from error
    except sqlite3.Error as error:
        raise StateError(f"{layout.data}: a database cannot be copied: {error}") from error
    finally:
        draft.unlink(missing_ok=True)
    return Told(file, file.stat().st_size, len(listed), created)


def named(folder: Path, now: float) -> Path:
    """Return the name of a backup that is taken now, in a folder of backups."""
    return folder / f"topmast-{datetime.fromtimestamp(now, UTC):%Y%m%dT%H%M%SZ}.tar.gz"


def prune(folder: Path, keep: int) -> None:
    """Delete the oldest backups of a folder but for `keep`; files of other names are not ours."""
    ours = sorted(path for path in folder.iterdir() if _NAMED.match(path.name))
    for path in ours[:-keep]:
        path.unlink(missing_ok=True)


def _gathered(layout: Layout, config: Path | None, folder: Path) -> Iterator[Source]:
    """Yield every file to pack, frozen as it is now."""
    data = layout.data
    yield from _plain(data / "shipper", "data/shipper", folder)
    yield from _prometheus(data / "prometheus", folder / "prometheus")
    for path in sorted(data.glob("*/*.sqlite")):
        if path.parent.name.startswith("demo-"):
            continue
        copy = folder / "sqlite" / path.parent.name / path.name
        copy.parent.mkdir(parents=True, exist_ok=True)
        _copied(path, copy)
        yield Source(f"data/{path.parent.name}/{path.name}", copy, copy.stat().st_size)
    for name in ("exporter", "alertmanager"):
        yield from _plain(data / name, f"data/{name}", folder)
    if layout.inbox.is_file():
        yield Source(f"data/{layout.inbox.name}", layout.inbox, layout.inbox.stat().st_size)
    yield from _plain(layout.state / "dashboards", "dashboards", folder)
    if config is not None:
        yield Source("topmast.yml", config, config.stat().st_size)


def _plain(folder: Path, name: str, scratch: Path) -> Iterator[Source]:
    """Yield a folder's files, linked: what replaces one meanwhile does not matter. Databases are copied apart."""
    if not folder.is_dir():
        return
    for path in sorted(folder.iterdir()):
        database = path.suffix == ".sqlite" or path.name.endswith(tuple(f".sqlite{side}" for side in _SIDE_FILES))
        if not path.is_file() or path.is_symlink() or database or "lock" in path.name:
            continue
        link = scratch / name / path.name
        link.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            os.link(path, link)
            yield Source(f"{name}/{path.name}", link, link.stat().st_size)


def _prometheus(store: Path, folder: Path) -> Iterator[Source]:
    """Yield the write-ahead log's and the blocks' files, linked at one moment."""
    if not store.is_dir():
        return
    for _ in range(TRIES):
        shutil.rmtree(folder, ignore_errors=True)
        try:
            yield from list(_linked(store, folder))
        except FileNotFoundError:
            continue  # a compaction took it away: what it made of it is found next time
        return
    raise StateError(f"{store}: changes too fast to be copied; try again")


def _linked(store: Path, folder: Path) -> Iterator[Source]:
    log = store / "wal"
    segments = sorted(path for path in log.iterdir() if _SEGMENT.match(path.name)) if log.is_dir() else []
    points = sorted(path for path in log.glob("checkpoint.*") if path.suffix != ".tmp") if log.is_dir() else []
    blocks = sorted(path for path in store.iterdir() if _ULID.match(path.name) and (path / "meta.json").is_file())
    files = [*segments, *(path for each in (*points, *blocks) for path in sorted(each.rglob("*")) if path.is_file())]
    for path in files:
        within = path.relative_to(store)
        link = folder / within
        link.parent.mkdir(parents=True, exist_ok=True)
        os.link(path, link)
        # The last segment goes on growing under its link: no more than it has now is packed.
        yield Source(f"data/prometheus/{within.as_posix()}", link, link.stat().st_size)


def _copied(path: Path, copy: Path) -> None:
    """Write a consistent copy of a database that may be in use."""
    with (
        contextlib.closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=30)) as source,
        contextlib.closing(sqlite3.connect(copy)) as target,
    ):
        source.backup(target)
        # One file: the copy's own journal would be left behind.
        target.execute("PRAGMA journal_mode=DELETE")


def _write(draft: Path, sources: list[Source], created: str) -> list[dict[str, Any]]:
    """Write the files, then the manifest: a backup without one was cut off."""
    listed = []
    with (
        draft.open("wb") as raw,
        gzip.GzipFile(fileobj=raw, mode="wb", compresslevel=COMPRESSION) as packed,
        tarfile.open(fileobj=packed, mode="w|") as out,
    ):
        for source in sources:
            with source.path.open("rb") as content:
                reader = _Digesting(content, source.size)
                entry = tarfile.TarInfo(source.name)
                entry.size, entry.mode, entry.mtime = source.size, 0o600, int(source.path.stat().st_mtime)
                out.addfile(entry, reader)
            listed.append({"name": source.name, "bytes": source.size, "sha256": reader.digest.hexdigest()})
        told = {"format": FORMAT, "version": __version__, "mode": "embedded", "created": created, "files": listed}
        text = json.dumps(told).encode()
        entry = tarfile.TarInfo(MANIFEST)
        entry.size, entry.mode = len(text), 0o600
        out.addfile(entry, io.BytesIO(text))
    return listed


class _Digesting:
    """Reads exactly `size` bytes and remembers their digest."""

    def __init__(self, content: Any, size: int) -> None:
        self._content = content
        self._left = size
        self.digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        wanted = self._left if size < 0 else min(size, self._left)
        part: bytes = self._content.read(wanted)
        self._left -= len(part)
        self.digest.update(part)
        return part


def restore(
    layout: Layout, file: Path, *, replace: bool, clock: Callable[[], float] = time.time
) -> tuple[Told, Path | None]:
    """Put a backup back; return what it was, and where the data that it replaced are now.

    Raises StateError when something runs here or data would be replaced unasked, TopmastError for what is no whole
    backup: nothing was changed then.
    """
    if lock.held(layout):
        raise StateError(f"{layout.state}: something runs here; `topmast down` first")
    kept = [name for name in ("data", "dashboards") if (layout.state / name).is_dir()]
    if kept and not replace:
        raise StateError(f"{layout.data}: there are data already; --replace puts them aside")
    try:
        layout.state.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=layout.state, prefix=".restore-") as folder:
            told = _unpacked(file, Path(folder))
            aside = _put_aside(layout, kept, clock)
            for path in sorted(Path(folder).iterdir()):
                name = "restored-topmast.yml" if path.name == "topmast.yml" else path.name
                path.replace(layout.state / name)
    except OSError as error:
        raise StateError(f"{error.filename or file}: cannot be restored: {error.strerror}") from error
    return told, aside


def _put_aside(layout: Layout, kept: list[str], clock: Callable[[], float]) -> Path | None:
    if not kept:
        return None
    aside = layout.state / f"replaced-{datetime.fromtimestamp(clock(), UTC):%Y%m%dT%H%M%SZ}"
    aside.mkdir()
    for name in kept:
        (layout.state / name).replace(aside / name)
    return aside


def _unpacked(file: Path, folder: Path) -> Told:
    """Unpack into an empty folder and compare every file with the manifest. Raises TopmastError."""
    digests: dict[str, tuple[int, str]] = {}
    manifest: dict[str, Any] | None = None
    try:
        with tarfile.open(file, mode="r|gz") as packed:
            for entry in packed:
                content = packed.extractfile(entry) if entry.isreg() else None
                if content is None:
                    raise TopmastError(f"{file}: {entry.name[:80]!r} is no plain file: not a backup of ours")
                if entry.name == MANIFEST:
                    manifest = json.loads(content.read(_MAX_MANIFEST_BYTES))
                    continue
                digests[entry.name] = _extracted(file, entry.name, content, folder)
    except (tarfile.TarError, EOFError, gzip.BadGzipFile, ValueError) as error:
        raise TopmastError(f"{file}: not a whole backup: {error}") from error
    if manifest is None:
        raise TopmastError(f"{file}: not a whole backup: it ends before its manifest")
    if manifest.get("format") != FORMAT:
        told = manifest.get("format")
        raise TopmastError(f"{file}: format {told!r}; this version ({__version__}) knows format {FORMAT}")
    if manifest.get("mode") != "embedded":
        raise TopmastError(f"{file}: a backup of {manifest.get('mode')!r} mode; this state folder is embedded mode's")
    wanted = {each["name"]: (each["bytes"], each["sha256"]) for each in manifest["files"]}
    if wanted != digests:
        wrong = sorted(name for name in wanted.keys() | digests.keys() if wanted.get(name) != digests.get(name))
        raise TopmastError(f"{file}: damaged: {', '.join(wrong[:3])}: not what was packed")
    return Told(file, file.stat().st_size, len(digests), str(manifest["created"]))


def _extracted(file: Path, name: str, content: Any, folder: Path) -> tuple[int, str]:
    parts = PurePosixPath(name).parts
    if PurePosixPath(name).is_absolute() or ".." in parts or parts[0] not in ("data", "dashboards", "topmast.yml"):
        raise TopmastError(f"{file}: {name[:80]!r} has no place here: not a backup of ours")
    target = folder.joinpath(*parts)
    target.parent.mkdir(parents=True, exist_ok=True)
    digest, size = hashlib.sha256(), 0
    with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
        while part := content.read(1 << 20):
            digest.update(part)
            size += len(part)
            out.write(part)
    return size, digest.hexdigest()
