"""The power goes again and again: what was not fsync'd is gone, and every line is stored once all the same.

The shipper is the real one; a library preloaded into it copies a file aside when it is fsync'd, and the names in a
folder when that is. After a kill the folders hold what the copies hold, and nothing else.
"""

import json
import os
import random
import select
import shutil
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest
import yaml
from topmast_shipper import records, store
from topmast_shipper.checkpoint import remembered

CUTS = 8


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler for the library that is preloaded")
    built = tmp_path_factory.mktemp("library") / "power_loss.so"
    source = Path(__file__).parents[1] / "power_loss.c"
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", built, source, "-ldl"], check=True)
    return built


class Disk:
    """Folders of which only what was fsync'd outlives a power cut."""

    def __init__(self, library: Path, kept: Path, *folders: Path) -> None:
        self.environment = {**os.environ, "LD_PRELOAD": str(library), "POWER_LOSS_KEPT": str(kept)}
        self._kept = kept
        self._folders = folders
        for each in (kept, *folders):
            each.mkdir(parents=True)

    def lose_power(self) -> None:
        for folder in self._folders:
            names = self._names(folder)
            for path in folder.iterdir():
                path.unlink()
            for name, content in names.items():
                (folder / name).write_bytes(content)
        # the files are others now
        for path in self._kept.iterdir():
            path.unlink()
        self._keep_again()

    def _names(self, folder: Path) -> dict[str, bytes]:
        listed = self._kept / f"{folder.stat().st_ino}.names"
        found = {}
        for line in listed.read_text().splitlines() if listed.exists() else ():
            inode, _, name = line.partition(" ")
            content = self._kept / f"{inode}.content"
            found[name] = content.read_bytes() if content.exists() else b""
        return found

    def _keep_again(self) -> None:
        """What is there after a cut is durable."""
        for folder in self._folders:
            lines = []
            for path in folder.iterdir():
                inode = path.stat().st_ino
                shutil.copyfile(path, self._kept / f"{inode}.content")
                lines.append(f"{inode} {path.name}\n")
            (self._kept / f"{folder.stat().st_ino}.names").write_text("".join(lines))


def numbers(logs: Path) -> list[int]:
    """Return what is in the store. A copy is read: the last reader of a store would write to it."""
    copied = logs.with_name("copied")
    shutil.rmtree(copied, ignore_errors=True)
    shutil.copytree(logs, copied, ignore=shutil.ignore_patterns("*-shm", ".*"))
    found: list[int] = []
    for part in store.parts(copied):
        with closing(sqlite3.connect(part.path, timeout=10)) as connection:
            found += [json.loads(row[0])["n"] for row in connection.execute("SELECT document FROM events")]
    return found


def position(data: Path) -> int:
    """Return how many bytes the checkpoint has passed, of all files together."""
    return sum(each["sqlite"].offset for each in remembered(data).cursors.values() if "sqlite" in each)


def lines_before(data: Path, folder: Path) -> int:
    """Return how many lines the checkpoint has passed."""
    memory, total = remembered(data), 0
    for path in folder.glob("app.log*"):
        status = path.stat()
        record = memory.files.get((status.st_dev, status.st_ino))
        if record is not None:
            cursor = memory.cursors.get((record.stream, record.generation), {}).get("sqlite")
            total += path.read_bytes()[: cursor.offset if cursor else 0].count(b"\n")
    return total


def pause(seconds: float) -> None:
    select.select([], [], [], seconds)


def test_checkpoint_and_store(tmp_path: Path, library: Path) -> None:
    chance = random.Random(7)
    data, logs, log = tmp_path / "data", tmp_path / "logs", tmp_path / "app.log"
    disk = Disk(library, tmp_path / "kept", data, logs)
    config = tmp_path / "topmast.yml"
    section = {
        "listen": "",
        "data": str(data),
        "inputs": [{"file": {"name": "app", "paths": [f"{log}*"], "parser": "json_lines"}}],
        "sinks": [{"sqlite": {"path": str(logs)}}],
    }
    config.write_text(yaml.safe_dump({"shipper": section}))
    written = 0

    def write(count: int) -> None:
        nonlocal written
        with log.open("a") as file:
            for _ in range(count):
                file.write(json.dumps({"message": f"number {written}", "n": written}) + "\n")
                written += 1

    argv = [sys.executable, "-m", "topmast_shipper", "-c", str(config)]
    for cut in range(CUTS):
        with subprocess.Popen(argv, env=disk.environment, stderr=subprocess.DEVNULL) as process:
            deadline = time.monotonic() + 30
            before = position(data)
            while position(data) == before and time.monotonic() < deadline:
                write(chance.randrange(200))
                pause(0.05)
            for _ in range(chance.randrange(6)):
                write(chance.randrange(300))
                pause(chance.random() * 0.05)
            if cut % 3 == 2:
                log.rename(log.with_name(f"app.log.{cut}"))
            process.kill()
        disk.lose_power()
        assert len(numbers(logs)) >= lines_before(data, tmp_path), "the checkpoint is past what the store holds"
    with subprocess.Popen(argv, env=disk.environment, stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 60
        while position(data) < sum(each.stat().st_size for each in tmp_path.glob("app.log*")):
            assert time.monotonic() < deadline, "not in time"
            pause(0.1)
        process.terminate()

    assert Counter(numbers(logs)) == Counter(range(written))


def test_the_disk_of_the_test_forgets(tmp_path: Path, library: Path) -> None:
    folder = tmp_path / "data"
    disk = Disk(library, tmp_path / "kept", folder)
    program = f"""
import os
def write(name, data, sync):
    with open({str(folder)!r} + "/" + name, "ab", buffering=0) as file:
        file.write(data)
        if sync: os.fsync(file.fileno())
write("durable", b"one", True); write("durable", b"two", False)
write("unsynced", b"one", False)
os.fsync(os.open({str(folder)!r}, os.O_RDONLY))
write("unnamed", b"one", True)
"""
    subprocess.run([sys.executable, "-c", program], env=disk.environment, check=True)

    disk.lose_power()

    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {"durable": b"one", "unsynced": b""}


LOGGING = """
import logging, os, signal, sys, time
from topmast_shipper.logging import configure_logging
handler = configure_logging("shop", environ={"TOPMAST_SPOOL": sys.argv[1], "TOPMAST_SPOOL_SYNC": sys.argv[2]})
def log(count, pause_seconds=0.0):
    for _ in range(count):
        logging.info("said at %.6f", time.monotonic())
        print(flush=True)
        time.sleep(pause_seconds)
def die():
    os.kill(os.getpid(), signal.SIGKILL)
"""


def logged_and_left(disk: Disk, spool: Path, sync: str, program: str) -> tuple[list[float], list[float]]:
    """Return when the records were logged that a kill leaves, and those that a power cut leaves of them."""
    argv = [sys.executable, "-c", LOGGING + program, str(spool), sync]
    ended = subprocess.run(argv, env=disk.environment, stdout=subprocess.PIPE, check=False)
    before = said_at(spool)
    assert len(before) == ended.stdout.count(b"\n")
    disk.lose_power()
    return before, said_at(spool)


def said_at(spool: Path) -> list[float]:
    found: list[float] = []
    for path in sorted(spool.glob("*.seg")):
        read = records.decode(path.read_bytes(), 0, 10_000, final=True)
        found += [float(json.loads(each.payload)["message"].split()[-1]) for each in read.records]
    return sorted(found)


def test_a_spool_that_is_always_synced(tmp_path: Path, library: Path) -> None:
    disk = Disk(library, tmp_path / "kept", tmp_path / "spool")

    before, left = logged_and_left(disk, tmp_path / "spool", "always", "log(50); die()")

    assert len(before) == 50
    assert left == before


def test_a_spool_that_is_synced_now_and_then(tmp_path: Path, library: Path) -> None:
    disk = Disk(library, tmp_path / "kept", tmp_path / "spool")

    before, left = logged_and_left(disk, tmp_path / "spool", "interval", "log(200, 0.002); log(3); die()")

    lost = before[len(left) :]
    assert left == before[: len(left)]
    assert len(left) > 1
    assert not lost or lost[-1] - left[-1] < 0.3, "all within 100 ms after a sync, and what a busy machine adds"


@pytest.mark.parametrize("end", ["handler.close(); die()", "sys.exit()"])
def test_a_spool_that_is_synced_now_and_then_is_synced_at_the_end(tmp_path: Path, library: Path, end: str) -> None:
    disk = Disk(library, tmp_path / "kept", tmp_path / "spool")

    before, left = logged_and_left(disk, tmp_path / "spool", "interval", f"log(50); {end}")

    assert len(before) == 50
    assert left == before


def test_a_spool_that_is_not_synced_loses_nothing_to_a_kill(tmp_path: Path, library: Path) -> None:
    disk = Disk(library, tmp_path / "kept", tmp_path / "spool")

    before, left = logged_and_left(disk, tmp_path / "spool", "none", "log(50); die()")

    assert (len(before), left) == (50, [])


def test_a_folder_that_is_made_for_a_spool_outlives_a_power_cut_too(tmp_path: Path, library: Path) -> None:
    disk = Disk(library, tmp_path / "kept", tmp_path / "above")
    argv = [sys.executable, "-c", LOGGING + "log(1); die()", str(tmp_path / "above" / "spool"), "always"]

    subprocess.run(argv, env=disk.environment, stdout=subprocess.PIPE, check=False)

    # there when the folder was fsync'd
    assert (tmp_path / "kept" / f"{(tmp_path / 'above').stat().st_ino}.names").exists()
