"""logging.py among threads, and in an application that ends: nothing of what was logged is missing or torn."""

import json
import logging
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from topmast_shipper.logging import SpoolHandler, limit_rates
from topmast_shipper.records import decode

APPLICATION = """
import atexit, logging, sys, threading
from topmast_shipper.logging import configure_logging
configure_logging("shop", spool=sys.argv[1])
logger = logging.getLogger("shop")
def log(first, last):
    for number in range(first, last):
        logger.info("%d", number)
        print(number, flush=True)
"""
THREADS = 8
RECORDS = 500


def messages(folder: Path, *, ended_in_the_middle: bool = False) -> list[str]:
    found: list[str] = []
    for path in sorted(folder.glob("*.seg")):
        read = decode(path.read_bytes(), 0, 1_000_000, final=False)
        # a signal that ends a process may end the write of a record whose log call has not returned
        assert read.damaged == 0
        assert ended_in_the_middle or read.end == path.stat().st_size
        found += [json.loads(record.payload)["message"] for record in read.records]
    return found


def in_threads(logger: logging.Logger) -> None:
    """Log RECORDS records of each of THREADS threads at once."""
    together = threading.Barrier(THREADS)

    def work(name: int) -> None:
        together.wait()
        for number in range(RECORDS):
            logger.info("%d %d", name, number)

    threads = [threading.Thread(target=work, args=(name,)) for name in range(THREADS)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()


def test_several_threads_lose_and_tear_nothing_and_each_is_in_its_order(tmp_path: Path) -> None:
    # segments of some forty records: one begins again and again in the middle of it
    handler = SpoolHandler(tmp_path, "shop", max_bytes=256 * 10_000)
    logger = logging.Logger("shop")
    logger.addHandler(handler)

    in_threads(logger)
    handler.close()

    found = [tuple(map(int, text.split())) for text in messages(tmp_path)]
    by_thread = {name: [number for thread, number in found if thread == name] for name in range(THREADS)}
    assert by_thread == {name: list(range(RECORDS)) for name in range(THREADS)}
    assert handler.dropped == 0


class Alone(logging.Handler):
    """Notes for each record whether another thread could write one at the same moment."""

    def __init__(self) -> None:
        super().__init__()
        self.shared: list[tuple[str, bool]] = []

    def emit(self, record: logging.LogRecord) -> None:
        def intrude() -> None:
            assert self.lock is not None
            taken = self.lock.acquire(blocking=False)
            if taken:
                self.lock.release()
            self.shared.append((record.getMessage(), taken))

        other = threading.Thread(target=intrude)
        other.start()
        other.join()


def test_what_a_rate_limit_tells_of_is_written_by_one_thread_at_a_time() -> None:
    handler = Alone()
    limit_rates(handler, {"chatty": 20})
    logger = logging.Logger("chatty")
    logger.addHandler(handler)
    waited = threading.Event()

    for _ in range(200):
        logger.info("again")
    waited.wait(0.2)
    logger.info("later")

    told = [text for text, _ in handler.shared if text.startswith("records over the rate limit")]
    assert told
    assert not any(taken for _, taken in handler.shared)


@pytest.mark.parametrize(
    ("ending", "code"),
    [
        pytest.param("log(0, 50); sys.exit(3)", 3, id="sys.exit"),
        pytest.param("atexit.register(log, 50, 100); log(0, 50)", 0, id="logging at exit"),
        pytest.param("threading.Thread(target=log, args=(0, 50)).start(); sys.exit(0)", 0, id="a thread goes on"),
        pytest.param("log(0, 50); logging.shutdown(); log(50, 60)", 0, id="after logging.shutdown"),
        pytest.param("log(0, 50); import os; os._exit(4)", 4, id="os._exit"),
        pytest.param("log(0, 50); raise ValueError", 1, id="an exception"),
    ],
)
def test_an_application_that_ends_loses_nothing_that_it_logged(tmp_path: Path, ending: str, code: int) -> None:
    argv = [sys.executable, "-c", APPLICATION + ending, str(tmp_path)]
    ended = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)

    assert (ended.returncode, sorted(messages(tmp_path), key=int)) == (code, ended.stdout.split())
    assert ended.stdout.split()[:50] == [str(number) for number in range(50)]


@pytest.mark.parametrize("lines", [1, 40, 700])
def test_an_application_that_is_told_to_end_loses_nothing_that_it_logged(tmp_path: Path, lines: int) -> None:
    argv = [sys.executable, "-c", APPLICATION + "log(0, 1_000_000)", str(tmp_path)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = [process.stdout.readline() for _ in range(lines)]
        process.terminate()
        said += process.stdout.readlines()

    found = messages(tmp_path, ended_in_the_middle=True)
    assert process.returncode == -signal.SIGTERM
    # the last may be logged, and not said yet
    assert found == [str(number) for number in range(len(found))]
    assert len([line for line in said if line.endswith("\n")]) in {len(found), len(found) - 1}
