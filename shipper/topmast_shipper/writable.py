"""Whether a store of files could begin: asked of the folder that is there, without making anything."""

import os
from pathlib import Path

from topmast_shipper.errors import ConfigError, PermanentError


def writable(path: Path) -> str:
    """Return what was found, in one sentence. Raises PermanentError when the user at work may not write there."""
    there = _nearest(path)
    if not os.access(there, os.W_OK | (os.X_OK if there.is_dir() else 0)):
        raise PermanentError(f"{path}: {there} may not be written by user {os.geteuid()}")
    return f"{path}: may be written" if there == path else f"{path}: will be made"


def refuse_folder(path: Path) -> None:
    """Raise ConfigError when the path is not a folder's, and cannot become one."""
    there = _nearest(path)
    if not there.is_dir():
        raise ConfigError(f"{there}: is no folder")


def refuse_file(path: Path) -> None:
    """Raise ConfigError when the path is a folder's, or lies below what is no folder."""
    if os.path.isdir(path):  # noqa: PTH112 - Path.is_dir raises where it may not look
        raise ConfigError(f"{path}: is a folder")
    refuse_folder(path.parent)


def _nearest(path: Path) -> Path:
    """Return the path, or the nearest above it that is there."""
    return next(each for each in (path, *path.absolute().parents) if os.path.exists(each))  # noqa: PTH110 - as above
