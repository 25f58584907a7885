"""What of a log store cannot be read, and the remedy: a folder or file of another user's, a damaged file."""

import os
import pwd
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from topmast_shipper.errors import StateError

Told = Callable[[StateError], None]
"""Is told of a file that cannot be read; the search goes on without that file unless this raises."""
# sqlite.org/rescode.html: what is wrong with the file. While a statement runs, any other error is ours.
_DAMAGE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN}
_FOREIGN = {sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR}


def refuse(error: StateError) -> NoReturn:
    """Raise the error: who asks for everything is not content with less."""
    raise error


def is_damage(error: sqlite3.Error) -> bool:
    """Return whether the file is to blame."""
    return _code(error) in _DAMAGE


def is_no_store(error: sqlite3.Error) -> bool:
    """Return whether nothing in the file can be relied on, now or later."""
    return _code(error) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def is_gone(path: Path) -> bool:
    """Return whether retention has deleted it; what may not be looked at is there."""
    try:
        path.stat()
    except FileNotFoundError:
        return True
    except OSError:
        pass
    return False


def folder(path: Path, error: OSError) -> StateError:
    """Return the error of a store that cannot be listed."""
    if isinstance(error, PermissionError):
        return StateError(_denied(path))
    return StateError(f"{path}: {error.strerror}")


def file(path: Path, error: sqlite3.Error) -> StateError:
    """Return the error of one file of the store."""
    if not os.access(path, os.R_OK):
        return StateError(_denied(path))
    code = _code(error)
    if code == sqlite3.SQLITE_CORRUPT:
        return StateError(f"{path}: {error}; move it away, `sqlite3 FILE .recover` saves what is left of it")
    if code in _FOREIGN:
        return StateError(f"{path}: {error}: no log store; move it away")
    return StateError(f"{path}: {error}")


def _code(error: sqlite3.Error) -> int:
    """Return the primary code; 1 (SQLITE_ERROR) for an error that is not SQLite's own."""
    # the low byte is the code, what is above it says more
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF


def _denied(path: Path) -> str:
    owner = _owner(path)
    whose = f"it belongs to {owner}: search as that user" if owner else "search as the user who started the shipper"
    return f"{path}: no permission to read it; {whose}"


def _owner(path: Path) -> str:
    """Return a user's name or number; empty when that is hidden, too."""
    try:
        number = path.stat().st_uid
    except OSError:
        return ""
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"user {number}"
