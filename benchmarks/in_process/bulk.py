"""Documents to a bulk API: by our sink, or by elasticsearch.helpers.bulk; the CPU time of the client alone.

    python bulk.py ours|helpers URL EVENTS FILE

The documents of FILE, a log of JSON lines, are ready before the clock starts: as windows that a lane hands to the
sink, or as dictionaries with their ids. Prints `{"seconds": CPU, "events": …}`. Run by benchmarks/delivery.py.
"""

import json
import logging
import sys
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path

from elasticsearch import Elasticsearch, helpers
from topmast_shipper.bulk import ElasticsearchSink
from topmast_shipper.event import Origin
from topmast_shipper.intake import Intake
from topmast_shipper.parsers import json_lines
from topmast_shipper.pipeline import WINDOW_EVENTS
from topmast_shipper.sinks.elasticsearch import Config
from topmast_shipper.tail.lines import Lines
from topmast_shipper.window import Window


class Source:
    """Where the lines are from; nothing is read."""

    stream, generation, size, origin = "0123456789abcdef", 0, 0, Origin("app", "/var/log/app.log", "shop")

    def read(self, *_: object) -> None:
        """Nothing is there."""


def windows(path: Path, events: int) -> list[Window]:
    intake, found, end = Intake(json_lines.parse), [], 0
    with path.open("rb") as file:
        while some := [line[:-1] for line in islice(file, min(WINDOW_EVENTS, events))]:
            events -= len(some)
            ends = [end := end + len(line) + 1 for line in some]
            starts = [last - len(line) - 1 for line, last in zip(some, ends, strict=True)]
            found.append(Window([intake.events(Source(), Lines(some, starts, ends), 1_795_300_000.0)]))
    return found


def ours(url: str, ready: list[Window]) -> Callable[[], int]:
    sink = ElasticsearchSink(Config((url,), setup="none"))
    sink.send(ready[0])  # connected

    def send() -> int:
        return sum(sink.send(window).settled for window in ready)

    return send


def by_helpers(url: str, ready: list[Window]) -> Callable[[], int]:
    client = Elasticsearch(url)
    actions = [
        {"_op_type": "create", "_index": "logs-app-default", "_id": key, "_source": json.loads(document)}
        for window in ready
        for key, document in zip(window.ids, window.documents, strict=True)
    ]
    helpers.bulk(client, actions[:500])  # connected

    def send() -> int:
        return helpers.bulk(client, actions, stats_only=True)[0]

    return send


def main(which: str, url: str, events: str, path: str) -> None:
    logging.disable()
    ready = windows(Path(path), int(events))
    send = {"ours": ours, "helpers": by_helpers}[which](url, ready)
    before = time.process_time()
    settled = send()
    print(json.dumps({"seconds": time.process_time() - before, "events": settled}))


if __name__ == "__main__":
    main(*sys.argv[1:])
