"""One worker under load, for as long as it lives: it counts, hands over, and writes down what was acknowledged.

    python worker.py APP NAME JOURNAL

The journal has a line `counting N` before the N-th is counted, and `kept N` when N were acknowledged. On SIGTERM it
hands over what is left and ends; kill -9 ends it anywhere. Run by benchmarks/exporter.py.
"""

import os
import signal
import sys

from topmast_exporter.registry import Registry
from topmast_exporter.workers.push import declare

AHEAD = 1_000


def main(app: str, name: str, journal: str) -> None:
    stopping = False

    def stop(*_: object) -> None:
        nonlocal stopping
        stopping = True

    signal.signal(signal.SIGTERM, stop)
    registry = Registry()
    work = registry.counter("work_total", "Work done.", ("worker",)).labels(name)
    seconds = registry.histogram("work_seconds", "Time it took.", ("worker",), (1.0,)).labels(name)
    pusher = declare(registry, app)
    pusher.begin()
    file = os.open(journal, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    counted = 0
    while not stopping:
        os.write(file, b"counting %d\n" % (counted + AHEAD))
        for _ in range(AHEAD):
            counted += 1
            work.inc()
            seconds.observe(0.5)
        if pusher.flush(0.2):
            os.write(file, b"kept %d\n" % counted)
    if pusher.close(30.0):
        os.write(file, b"kept %d\n" % counted)


if __name__ == "__main__":
    main(*sys.argv[1:])
