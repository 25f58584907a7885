"""Write one change into the user's topmast.yml: checked before it is written, put in place whole, comments kept."""

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

from topmast import config, yamledit, yamltext
from topmast.errors import ConfigError, StateError
from topmast.layout import Layout

NAME = "topmast.yml"


def place(path: Path | None) -> Path:
    """Return the file to write: the one that was named or found, else a new one here."""
    return path if path is not None else Path.cwd() / NAME


def draft(path: Path, change: Callable[[str], str], layout: Layout) -> tuple[str, dict[str, Any]]:
    """Return the file's text after `change`, and the effective configuration with it; nothing is written.

    Raises ConfigError when the file as it stands, or as it would be, is refused, or cannot be edited in place.
    """
    before = ""
    if path.exists():
        config.read(path)
        before = path.read_bytes().decode("utf-8")
    try:
        after = change(before)
    except (yamledit.CannotEditError, yamltext.NotYamlError) as error:
        raise ConfigError(f"{path}: {error}; make this change with an editor") from error
    values = config.defaults(layout)
    config.merge(values, yamltext.load(after) or {})
    config.check(values, str(path))
    return after, values


def write(path: Path, text: str) -> None:
    """Put the file in place whole, with the rights that it had. Raises StateError when that cannot be."""
    target = path.resolve()  # a link stays a link
    new = target.with_name(f".{target.name}.new")
    try:
        mode = stat.S_IMODE(target.stat().st_mode) if target.exists() else 0o644
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as out:
            out.write(text)
            os.fchmod(out.fileno(), mode)
        new.replace(target)
    except OSError as error:
        raise StateError(f"{target}: cannot be written: {error.strerror}; change its folder's permissions") from error
