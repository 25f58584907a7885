"""Whether a shipper would start with a configuration: asked before it does, and of a new one before a reload.

Nothing is made, listened on or sent. What can change without the configuration (a port that is taken, a store that
another shipper holds, a server that is away) is no matter of it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from topmast_shipper import config, listening, rooms
from topmast_shipper.config import ShipperConfig
from topmast_shipper.errors import ConfigError
from topmast_shipper.writable import refuse_folder


def load(path: Path) -> tuple[ShipperConfig, list[str]]:
    """Return what `config.load` does, and the hints of `ask`. Raises ConfigError: `FILE: $.json.path: what`."""
    loaded = config.load(path)
    with _at(f"{path}"):
        return loaded, ask(loaded)


def ask(loaded: ShipperConfig, where: str = "$.shipper") -> list[str]:
    """Return what a person may want to know, a sentence each: that no file matches yet, say.

    Raises ConfigError for what a shipper would end over: `$.json.path: what is wrong`.
    """
    with _at(f"{where}.data"):
        refuse_folder(loaded.data)
    if loaded.listen:
        with _at(f"{where}.listen"):
            listening.place(loaded.listen)
    hints: list[str] = []
    for room, entries in (("inputs", loaded.inputs), ("sinks", loaded.sinks)):
        if not entries:
            raise ConfigError(f"{where}.{room}: there is none, and nothing would be shipped")
        for number, entry in enumerate(entries):
            with _at(f"{where}.{room}[{number}].{entry.kind}"):
                hints += rooms.kind(room, entry.kind).ask(entry.options)
    return hints


@contextmanager
def _at(where: str) -> Iterator[None]:
    try:
        yield
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from error
