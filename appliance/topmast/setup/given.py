"""`python -m topmast.setup.given ARGUMENTS`: the command line in a container, with files that were given to it.

A file of the user's, who may be the only one to read it, is not mounted: it comes on standard input, below a line of
JSON that lists `[name, bytes]`. What is written below FOLDER goes with the container.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

from topmast.errors import ConfigError

FOLDER = Path("/tmp/given")  # noqa: S108 - a tmpfs of the container's own
# The container's memory holds them, beside what is made of them.
MAX_BYTES = 64_000_000


def pack(files: Sequence[Path]) -> tuple[bytes, dict[Path, str]]:
    """Return the files as standard input, and where each is in the container. Raises ConfigError."""
    contents = [path.read_bytes() for path in files]
    if sum(map(len, contents)) > MAX_BYTES:
        raise ConfigError(f"{files[0]}: more than {MAX_BYTES // 1_000_000} MB are not handed into a container")
    # Two of one name lie in two folders; the name tells what it is (a wheel, a CSV).
    there = {path: f"{number}/{path.name}" for number, path in enumerate(files)}
    head = [[there[path], len(text)] for path, text in zip(files, contents, strict=True)]
    return b"".join([json.dumps(head).encode(), b"\n", *contents]), {
        path: str(FOLDER / name) for path, name in there.items()
    }


def unpack(source: BinaryIO, folder: Path) -> Mapping[str, int]:
    """Write what was packed below the folder; return the sizes by name."""
    head: list[tuple[str, int]] = json.loads(source.readline() or b"[]")
    for name, size in head:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(source.read(size))
    return dict(head)


if __name__ == "__main__":
    from topmast import cli

    unpack(sys.stdin.buffer, FOLDER)
    cli.main(["--state", "/tmp/state", "-c", "/etc/topmast/topmast.yml", *sys.argv[1:]])  # noqa: S108 - as above
