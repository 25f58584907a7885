"""What a log call costs: ours and the peers' in one process, rounds interleaved, the best of each.

    python formatting.py ROUNDS CALLS FOLDER

Prints `{"format": {NAME: us}, "call": {NAME: us}}`, CPU time of the thread. Run by benchmarks/intake.py.
"""

import json
import logging
import sys
import time
from collections.abc import Callable
from pathlib import Path

import ecs_logging
from pythonjsonlogger.json import JsonFormatter
from topmast_shipper.logging import EcsFormatter, SpoolHandler

EXTRA = {
    "http.request.id": "6f1c0e2b93d84a7e",
    "url.path": "/v1/orders/8817",
    "http.response.status_code": 201,
    "duration_ms": 231.4,
    "user.id": "4711",
    "gen_ai.request.model": "gpt-4o-mini",
    "gen_ai.usage.input_tokens": 812,
    "cache_hit": False,
}


class Kept(logging.Handler):
    """Keeps the last record."""

    record: logging.LogRecord

    def emit(self, record: logging.LogRecord) -> None:
        self.record = record


def logger_to(handler: logging.Handler) -> logging.Logger:
    logger = logging.Logger("shop.orders")
    logger.addHandler(handler)
    return logger


def best(works: dict[str, Callable[[], object]], rounds: int, calls: int) -> dict[str, float]:
    found = dict.fromkeys(works, float("inf"))
    for _ in range(rounds):
        for name, work in works.items():
            began = time.thread_time()
            for _ in range(calls):
                work()
            found[name] = min(found[name], (time.thread_time() - began) / calls * 1e6)
    return found


def main(rounds: int, calls: int, folder: Path) -> None:
    kept = Kept()
    logger_to(kept).info("order %s was placed", 8817, extra=EXTRA)
    ours, ecs, json_logger = EcsFormatter("shop"), ecs_logging.StdlibFormatter(), JsonFormatter()
    formats = {
        "ours": lambda: ours.format_bytes(kept.record),
        "ecs-logging": lambda: ecs.format(kept.record),
        "python-json-logger": lambda: json_logger.format(kept.record),
    }
    # the peers have no spool: a file is what they write to
    plain = logging.FileHandler(folder / "peer.log")
    plain.setFormatter(ecs)
    loggers = {"ours": logger_to(SpoolHandler(folder / "spool", "shop")), "ecs-logging": logger_to(plain)}

    def call(logger: logging.Logger) -> Callable[[], object]:
        return lambda: logger.info("order %s was placed", 8817, extra=EXTRA)

    told = {
        "format": best(formats, rounds, calls),
        "call": best({name: call(logger) for name, logger in loggers.items()}, rounds, calls),
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
