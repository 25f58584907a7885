"""dead_letters.py: kept, with the reason, within bounds."""

import json
from pathlib import Path

from topmast_shipper.dead_letters import DeadLetters
from topmast_shipper.testing import event


def test_a_letter_says_what_and_why(tmp_path: Path) -> None:
    letters = DeadLetters(tmp_path, clock=lambda: 1_795_382_160.0)

    letters.add("sqlite", event(3), "poison")

    assert json.loads(letters.path.read_text()) == {
        "at": "2026-11-22T21:16:00.000Z",
        "sink": "sqlite",
        "reason": "poison",
        "id": event(3).id,
        "input": "test",
        "path": "/var/log/test.log",
        "offset": 300,
        "message": "line 3",
    }


def test_one_older_file_is_kept(tmp_path: Path) -> None:
    letters = DeadLetters(tmp_path, max_bytes=500)

    for number in range(20):
        letters.add("sqlite", event(number), "poison")

    assert sorted(path.name for path in tmp_path.iterdir()) == ["dead-letters.1.ndjson", "dead-letters.ndjson"]
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 2000
