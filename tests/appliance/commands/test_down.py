"""`down` of nothing is fine; --purge deletes the records and keeps the engines."""

import json
from pathlib import Path


def test_nothing_to_stop_is_no_error(topmast) -> None:
    answer = topmast("down")

    assert answer.code == 0
    assert "nothing is running" in answer.out


def test_purge_deletes_what_was_recorded_and_keeps_the_engines(topmast, tmp_path: Path) -> None:
    state = tmp_path / "state"
    for folder in ("data/logs", "engines/debian", "logs", "rendered"):
        (state / folder).mkdir(parents=True)

    answer = topmast("down", "--purge", "--json")

    assert json.loads(answer.out) == {"stopped": False, "purged": True}
    assert [path.name for path in state.iterdir()] == ["engines"]
