"""A real shipper is killed -9 at random moments while its files are written and rotated: each line is stored once."""

import json
import random
import select
import sqlite3
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
import yaml
from topmast_shipper import store
from topmast_shipper.testing import running

KILLS = 15
SEED = 7


class Writer:
    """Writes numbered lines as applications and logrotate do, and knows what it wrote."""

    def __init__(self, folder: Path, chance: random.Random) -> None:
        self.path = folder / "app.log"
        self.written = 0
        self._chance = chance
        self._rotations = 0

    def write(self) -> None:
        """A burst of lines, some cut in two by the file system's buffer; then perhaps a rotation."""
        for _ in range(self._chance.randint(1, 120)):
            line = json.dumps({"message": f"number {self.written}", "n": self.written, "pad": "x" * 40}) + "\n"
            cut = self._chance.randint(0, len(line)) if self._chance.random() < 0.1 else 0
            for part in filter(None, (line[:cut], line[cut:])):
                with self.path.open("a") as file:
                    file.write(part)
            self.written += 1
        chosen = self._chance.random()
        if chosen < 0.15:
            self._rotations += 1
            self.path.rename(self.path.with_name(f"app.log.{self._rotations}"))
        elif chosen < 0.3:
            self._rotations += 1
            copy = self.path.with_name(f"app.log.{self._rotations}")
            copy.write_bytes(self.path.read_bytes())
            with self.path.open("r+") as file:
                file.truncate(0)


def numbers(logs: Path) -> list[int]:
    found: list[int] = []
    for part in store.parts(logs):
        with closing(sqlite3.connect(part.path, timeout=10)) as connection:
            for (document,) in connection.execute("SELECT document FROM events"):
                found.append(json.loads(document)["n"])
    return found


def stored(logs: Path) -> int:
    """Return how many events there are; 0 while a file is being made."""
    total = 0
    for part in store.parts(logs):
        try:
            with closing(sqlite3.connect(part.path, timeout=10)) as connection:
                total += connection.execute("SELECT count(*) FROM events").fetchone()[0]
        except sqlite3.OperationalError:
            continue
    return total


def until(condition: Callable[[], bool], process: subprocess.Popen[bytes], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, "the shipper ended by itself"
        assert time.monotonic() < deadline, "not in time"
        select.select([], [], [], 0.01)


def test_every_line_is_stored_exactly_once(tmp_path: Path) -> None:
    chance = random.Random(SEED)
    logs, log = tmp_path / "logs", tmp_path / "shipper.log"
    (tmp_path / "in").mkdir()
    config = tmp_path / "topmast.yml"
    section = {
        "listen": "",
        "data": str(tmp_path / "data"),
        "inputs": [{"file": {"name": "app", "paths": [str(tmp_path / "in" / "app.log*")], "parser": "json_lines"}}],
        "sinks": [{"sqlite": {"path": str(logs)}}],
    }
    config.write_text(yaml.safe_dump({"shipper": section}))
    writer = Writer(tmp_path / "in", chance)

    for _ in range(KILLS):
        with running(config, log) as process:
            # somewhere between its first moments and the middle of its work
            target = stored(logs) + chance.choice([0, 0, 1, 50, 200, 400])
            while stored(logs) < target or chance.random() < 0.7:
                writer.write()
                select.select([], [], [], chance.random() * 0.05)
            process.kill()
            process.wait()
        for _ in range(chance.randint(0, 3)):
            writer.write()
    with running(config, log) as process:
        until(lambda: stored(logs) >= writer.written, process)

    times = Counter(numbers(logs))

    assert writer.written >= 100 * KILLS
    assert [number for number in range(writer.written) if times[number] != 1] == []
    assert sum(times.values()) == writer.written
    assert "Traceback" not in log.read_text()


def test_a_stop_is_clean(tmp_path: Path) -> None:
    (tmp_path / "app.log").write_text('{"message": "one", "n": 1}\n')
    config = tmp_path / "topmast.yml"
    section = {
        "listen": "127.0.0.1:0",
        "data": "data",
        "inputs": [{"file": {"name": "app", "paths": ["app.log"], "parser": "json_lines"}}],
        "sinks": [{"sqlite": {"path": str(tmp_path / "logs")}}],
    }
    config.write_text(yaml.safe_dump({"shipper": section}))
    with running(config, tmp_path / "shipper.log") as process:
        until(lambda: stored(tmp_path / "logs") == 1, process)

        process.terminate()

        assert process.wait(20) == 0


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        pytest.param("shipper: {data: d, inputs: [{file: {name: a}}]}", 78, "$.shipper.inputs[0].file", id="schema"),
        pytest.param("shipper: [", 78, "topmast.yml: ", id="not YAML"),
        pytest.param("shipper: {data: /proc/nowhere/d}", 75, "/proc/nowhere/d", id="no data folder"),
    ],
)
def test_what_cannot_start_says_why(tmp_path: Path, text: str, code: int, said: str) -> None:
    config = tmp_path / "topmast.yml"
    config.write_text(text)

    with running(config, tmp_path / "shipper.log") as process:
        left = process.wait(20)

    assert left == code
    assert said in (tmp_path / "shipper.log").read_text()


def test_a_second_shipper_on_the_same_data_leaves_with_75(tmp_path: Path) -> None:
    config = tmp_path / "topmast.yml"
    config.write_text(yaml.safe_dump({"shipper": {"listen": "", "data": str(tmp_path / "data")}}))
    with running(config, tmp_path / "first.log") as first:
        until(lambda: (tmp_path / "data" / "checkpoint.log").exists(), first)

        with running(config, tmp_path / "second.log") as second:
            assert second.wait(20) == 75

    assert "another shipper is at work here" in (tmp_path / "second.log").read_text()
