"""`topmast maintenance`: the silence is prolonged while the command runs, and over when its limit is."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import http_stub
import pytest
from topmast.commands.maintenance import LEASE_SECONDS, Lease
from topmast.errors import TopmastError
from topmast.silencing import Silence


@dataclass
class StandIn:
    """Takes the calls of an Alertmanager, and may be away."""

    asked: list[tuple[str, float]] = field(default_factory=list)
    away: bool = False
    prolonged: threading.Event = field(default_factory=threading.Event)

    def put(self, _matchers: Any, seconds: float, by: str, reason: str) -> Silence:
        self.asked.append(("put", seconds))
        now = datetime.now(UTC)
        return Silence("one", (), now, now, by, reason, "active")

    def prolong(self, silence: Silence, seconds: float) -> Silence:
        self.asked.append(("prolong", seconds))
        self.prolonged.set()
        if self.away:
            raise TopmastError("away")
        return silence

    def end(self, silence_id: str) -> None:
        self.asked.append(("end", 0))


def test_it_is_prolonged_and_then_ended() -> None:
    manager: Any = StandIn()

    lease = Lease(manager, (), "me", "why", limit=7200, renew_seconds=0.01)
    assert manager.prolonged.wait(10)
    lease.end()

    assert manager.asked[:2] == [("put", LEASE_SECONDS), ("prolong", LEASE_SECONDS)]
    assert manager.asked[-1] == ("end", 0)


def test_an_alertmanager_that_is_away_stops_nothing() -> None:
    manager: Any = StandIn(away=True)

    lease = Lease(manager, (), "me", "why", limit=7200, renew_seconds=0.01)
    assert manager.prolonged.wait(10)
    lease.end()

    assert manager.asked[-1] == ("end", 0)


def test_at_its_limit_it_is_not_prolonged(eventually: Callable[..., None]) -> None:
    manager: Any = StandIn()

    lease = Lease(manager, (), "me", "why", limit=0.025, renew_seconds=0.01)
    eventually(lambda: not lease._thread.is_alive(), "the end of the lease", 10)
    lease.end()

    assert [name for name, _ in manager.asked].count("prolong") == 2


def test_without_an_alertmanager_nothing_is_run(topmast: Any, tmp_path: Path, port: int) -> None:
    made = tmp_path / "made"

    answer = topmast("maintenance", "--url", f"http://127.0.0.1:{port}", "--", "touch", str(made))

    assert answer.code == 3
    assert "no Alertmanager answers" in answer.err
    assert not made.exists()


@pytest.mark.parametrize(
    ("command", "code"),
    [
        pytest.param(["exit 7"], 7, id="the command's own"),
        pytest.param(["kill -TERM $$"], 128 + 15, id="a signal"),
        pytest.param(None, 127, id="no such command"),
        pytest.param([], 126, id="a file that cannot be run"),
    ],
)
def test_the_exit_code_is_what_a_shell_says(
    topmast: Any, tmp_path: Path, command: list[str] | None, code: int
) -> None:
    (tmp_path / "deploy.sh").write_text("#!/bin/sh\n")
    argv = [str(tmp_path / "deploy.sh")] if command == [] else ["sh", "-c", *(command or [])]
    with alertmanager() as url:
        answer = topmast("maintenance", "--url", url, "--", *(argv if command is not None else ["nosuchcommand"]))

    assert answer.code == code
    assert ("cannot be run" in answer.err) == (code in (126, 127))


@contextmanager
def alertmanager() -> Iterator[str]:
    """Serve the three answers that a silence asks for."""
    now = datetime.now(UTC).isoformat()
    kept = {"id": "one", "matchers": [], "startsAt": now, "endsAt": now, "createdBy": "me", "comment": "why",
            "silenceID": "one", "status": {"state": "active"}}  # fmt: skip
    with http_stub.serving() as stub:
        stub.answer = json.dumps(kept).encode()
        yield stub.url
