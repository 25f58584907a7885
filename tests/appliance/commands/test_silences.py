"""`topmast silences` says in a sentence that nobody answers; the rest is in tests/live/test_silences.py."""

from typing import Any


def test_nobody_there_is_one_sentence(topmast: Any, port: int) -> None:
    answer = topmast("silences", "--url", f"http://127.0.0.1:{port}")

    assert (answer.code, answer.out) == (3, "")
    assert answer.err.startswith(f"topmast: no Alertmanager answers at http://127.0.0.1:{port}; ")
