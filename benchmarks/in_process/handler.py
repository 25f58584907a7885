"""python-logstash-async at work: so many records over Beats to a server that acknowledges, then the CPU time it took.

    python handler.py PORT EVENTS BATCH

BATCH 0 leaves everything as the package has it; else so many events go at once, and nothing waits for a timer.
Prints `{"began": the monotonic clock before the first record, "seconds": CPU}` when its queue is empty. Run by
benchmarks/delivery.py.
"""

import json
import logging
import sys
import time

from logstash_async.constants import constants
from logstash_async.handler import AsynchronousLogstashHandler

WORDS = ("retry cache model token user session queue index " * 10)[:300]


def main(port: int, events: int, batch: int) -> None:
    if batch:
        constants.QUEUED_EVENTS_FLUSH_COUNT = batch
        constants.QUEUED_EVENTS_BATCH_SIZE = batch
        constants.QUEUED_EVENTS_BEATS_BATCH_SIZE = batch
        constants.QUEUE_CHECK_INTERVAL = 0.05
    handler = AsynchronousLogstashHandler(
        "127.0.0.1", port, database_path=None, transport="logstash_async.transport.BeatsTransport"
    )
    logger = logging.getLogger("shop")
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    began = time.monotonic()
    for number in range(events):
        logger.info("request %d done", number, extra={"pad": WORDS, "status_code": 200, "path": "/api/items"})
    handler.flush()
    logging.shutdown()
    handler.close()
    print(json.dumps({"began": began, "seconds": time.process_time()}))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
