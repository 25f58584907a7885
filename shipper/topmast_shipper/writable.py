"""Whether a store of files could begin: asked of the folder that is there, without making anything."""

import os
from pathlib import Path

from topmast_shipper.errors import PermanentError


def writable(path: Path) -> str:
    """Return what was found, in one sentence. Raises PermanentError when the user at work may not write there."""
    there = next(each for each in (path, *path.absolute().parents) if each.exists())
    if not os.access(there, os.W_OK | (os.X_OK if there.is_dir() else 0)):
        raise PermanentError(f"{path}: {there} may not be written by user {os.geteuid()}")
    return f"{path}: may be written" if there == path else f"{path}: will be made"
