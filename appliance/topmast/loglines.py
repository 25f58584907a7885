"""Application log lines for benchmarks: JSON of one length, each different, the same for the same seed."""

import json
import random
from collections.abc import Iterator

LINE_BYTES = 554


def lines(chance: random.Random) -> Iterator[bytes]:
    """Yield application log lines of LINE_BYTES, each different."""
    number = 0
    while True:
        number += 1
        document = {
            "@timestamp": f"2026-11-22T10:{number // 60000 % 60:02d}:{number // 1000 % 60:02d}.{number % 1000:03d}Z",
            "log.level": chance.choice(("info", "info", "info", "warning", "error")),
            "message": f"request {number} done",
            "http": {"request": {"method": "GET"}, "response": {"status_code": chance.choice((200, 200, 201, 500))}},
            "url": {"path": f"/api/items/{chance.randrange(10_000)}"},
            "trace": {"id": f"{chance.getrandbits(128):032x}"},
            "event": {"duration": chance.randrange(10**9)},
            "labels": {"pad": ""},
        }
        bare = json.dumps(document, separators=(",", ":"))
        words = ("retry cache model token user session queue index " * 10)[: LINE_BYTES - 1 - len(bare)]
        yield bare.replace('"pad":""', f'"pad":"{words}"').encode() + b"\n"
