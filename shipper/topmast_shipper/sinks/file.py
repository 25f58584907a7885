"""Appends events to a file, one JSON document a line. At least once: a window that failed half-way comes again."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from topmast_shipper.component import Kind, Receipt, Sink, Written
from topmast_shipper.errors import PlaceError
from topmast_shipper.event import Event
from topmast_shipper.placing import PATH
from topmast_shipper.window import of
from topmast_shipper.writable import refuse_file, writable


@dataclass(frozen=True)
class Config:
    """Where to."""

    path: Path


class FileSink:
    """Opens the file for every window, so that rotating it needs no signal."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self.written = (Written(config.path),)

    def send(self, window: Sequence[Event]) -> Receipt:
        data = b"\n".join((*of(window).documents, b""))
        try:
            self._config.path.parent.mkdir(parents=True, exist_ok=True)
            with self._config.path.open("ab", buffering=0) as file:
                before = file.tell()
                if file.write(data) != len(data):
                    # a full disk took half of it: half a document is worse than none
                    file.truncate(before)
                    raise PlaceError(f"{self._config.path}: no space left")
                os.fdatasync(file.fileno())
        except OSError as error:
            raise PlaceError(f"{self._config.path}: {error.strerror}") from error
        return Receipt(settled=len(window))

    def check(self) -> str:
        return writable(self._config.path)

    def close(self) -> None:
        """Nothing is held between two windows."""


def build(options: Mapping[str, Any]) -> Sink:
    return FileSink(Config(Path(options["path"])))


def ask(options: Mapping[str, Any]) -> Sequence[str]:
    refuse_file(Path(options["path"]))
    return ()


SINK = Kind[Sink](
    "file",
    {
        "type": "object",
        "additionalProperties": False,
        "required": ["path"],
        "properties": {
            "name": {"type": "string", "pattern": "^[a-z0-9][a-z0-9_.-]{0,63}$"},
            "path": PATH,
        },
    },
    build,
    ask,
)
