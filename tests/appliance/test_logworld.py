"""logworld.py: the model knows where every line is, and which are gone."""

import gzip
import random
import re
from pathlib import Path

import pytest
from topmast.logworld import LogWorld


def there(folder: Path) -> set[int]:
    """Return the numbers of the lines that can be read in some file."""
    found: set[int] = set()
    for path in folder.rglob("*.log*"):
        if path.is_file():
            data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
            found |= {int(number) for number in re.findall(rb'"n": (\d+), .*\n', data)}
    return found


@pytest.mark.parametrize("seed", range(8))
def test_every_line_is_there_or_unreadable_or_was_stored(tmp_path: Path, seed: int) -> None:
    world = LogWorld(tmp_path / "in", random.Random(seed))
    stored: set[int] = set()

    for step in range(150):
        world.write(5)
        world.disturb(None if step % 2 else (lambda _path: True), stored.copy)
        if step % 2 == 0:
            world.killed(stored.copy)
        if step % 10 == 0:
            stored.update(there(tmp_path / "in"))
    world.finish_line()

    assert there(tmp_path / "in") | world.unreadable | stored == set(range(world.written))
    assert world.unreadable & (there(tmp_path / "in") | stored) == set()
    assert world.unreadable
