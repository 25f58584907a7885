"""`topmast maintenance`: the silence is prolonged while the command runs, and over when its limit is."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

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
