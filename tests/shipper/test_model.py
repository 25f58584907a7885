"""Whatever happens to the files, the sink and the process, in whatever order: every line is stored, once.

The model is the list of the lines that were written; the clock is the test's. A line counts as lost only if it could
still be read when it was unread: files are deleted or truncated after everything in them has been shipped, or after
they were copied.
"""

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from topmast_shipper.checkpoint import Checkpoint
from topmast_shipper.component import Receipt
from topmast_shipper.dead_letters import DeadLetters
from topmast_shipper.errors import TransientError
from topmast_shipper.event import Event
from topmast_shipper.inputs.file import INPUT
from topmast_shipper.pipeline import Lane, Signal
from topmast_shipper.retry import Backoff
from topmast_shipper.rooms import Setting
from topmast_shipper.signatures import Signatures
from topmast_shipper.telemetry import Telemetry


class Store:
    """What a store with keys holds; outlives every shipper. Fails as it is told to, after it has stored or before."""

    def __init__(self) -> None:
        self.lines: dict[str, str] = {}
        self.faults: list[tuple[int, bool]] = []

    def send(self, window: Sequence[Event]) -> Receipt:
        taken, answers = self.faults.pop(0) if self.faults else (len(window), True)
        for event in window[:taken]:
            self.lines.setdefault(event.id, event.message)
        if not answers or not taken:
            raise TransientError("store: reset")
        return Receipt(min(taken, len(window)))

    def close(self) -> None:
        """It is the test's."""


class World(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.log = self.folder / "app.log"
        self.store = Store()
        self.now = 1000.0
        self.written: list[str] = []
        self.half = ""
        self.rotations = 0
        self.lost: list[tuple[str, int]] = []
        self.start()

    def start(self) -> None:
        self.checkpoint = Checkpoint(self.folder / "state")
        telemetry = Telemetry(Signatures(self.folder / "signatures"))
        setting = Setting(
            base=self.folder,
            data=self.folder / "state",
            checkpoint=self.checkpoint,
            sinks=("store",),
            inputs=("app",),
            lost=lambda reason, size: self.lost.append((reason, size)),
            clock=lambda: self.now,
        )
        self.input: Any = INPUT.build({"name": "app", "paths": ["app.log*"]}, setting)
        letters, signal = DeadLetters(self.folder), Signal()
        self.lane = Lane(
            "store", self.store, [self.input], self.checkpoint, letters, telemetry, signal,
            window_events=4, backoff=Backoff(0, 0),
        )  # fmt: skip

    @rule(count=st.integers(1, 6))
    def write(self, count: int) -> None:
        with self.log.open("a") as file:
            for _ in range(count):
                line = self.half or f"line {len(self.written)} "
                file.write(("" if self.half else line) + "end\n")
                self.written.append(line + "end")
                self.half = ""

    @precondition(lambda self: not self.half)
    @rule()
    def write_half(self) -> None:
        self.half = f"line {len(self.written)} "
        with self.log.open("a") as file:
            file.write(self.half)

    @precondition(lambda self: self.log.exists() and not self.half)
    @rule()
    def rotate(self) -> None:
        self.rotations += 1
        self.log.rename(self.folder / f"app.log.{self.rotations}")

    @precondition(lambda self: self.log.exists() and not self.half)
    @rule()
    def copy_and_truncate(self) -> None:
        self.rotations += 1
        shutil.copyfile(self.log, self.folder / f"app.log.{self.rotations}")
        with self.log.open("r+") as file:
            file.truncate(0)

    @precondition(lambda self: not self.half)
    @rule(again=st.booleans())
    def delete(self, again: bool) -> None:
        """Remove everything, once it is shipped; perhaps something else takes the name at once."""
        self.ship_everything()
        for path in self.folder.glob("app.log*"):
            path.unlink()
        if again:
            self.log.touch()

    @rule(taken=st.integers(0, 4), answers=st.booleans())
    def fault(self, taken: int, answers: bool) -> None:
        self.store.faults.append((taken, answers))

    @rule(steps=st.integers(0, 4))
    def ship(self, steps: int) -> None:
        self.now += 0.5
        self.input.sweep()
        for _ in range(steps):
            self.lane.step()

    @rule()
    def crash(self) -> None:
        """What was in memory is gone: nothing is flushed, nothing is said."""
        self.input.close()
        self.checkpoint.close()
        self.start()

    def ship_everything(self) -> None:
        self.store.faults.clear()
        for _ in range(4):
            # a copy is waited for, an unfinished name is not: let their times pass
            self.now += 30
            self.input.sweep()
            while self.lane.step():
                continue

    @invariant()
    def nothing_is_stored_twice(self) -> None:
        lines = list(self.store.lines.values())
        assert len(lines) == len(set(lines))

    def teardown(self) -> None:
        if not hasattr(self, "store"):
            return
        try:
            if self.half:
                self.write(1)
            self.ship_everything()
            assert sorted(self.store.lines.values()) == sorted(self.written)
            assert self.lost == []
        finally:
            self.input.close()
            self.checkpoint.close()
            shutil.rmtree(self.folder)


World.TestCase.settings = settings(
    max_examples=60, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestWorld = World.TestCase
