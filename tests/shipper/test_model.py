"""Whatever happens to the files, the sink and the process, in whatever order: every line is stored, once.

The model is where each line that was written is; the clock is the test's. A line counts as lost only if it could
still be read when it was unread: what was deleted or truncated while no shipper had it open, and is nowhere else, is
not.
"""

import gzip
import resource
import shutil
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from hypothesis import settings
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
from topmast_shipper.rooms import Left, Setting
from topmast_shipper.signatures import Signatures
from topmast_shipper.telemetry import Telemetry


class Store:
    """What a store with keys holds; outlives every shipper. Fails as it is told to, after it has stored or before."""

    def __init__(self) -> None:
        self.lines: dict[str, str] = {}
        self.faults: list[tuple[int, bool]] = []
        self.meanwhile: Callable[[], object] = lambda: None

    def send(self, window: Sequence[Event]) -> Receipt:
        self.meanwhile()
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
        self.left: dict[str, Left] = {}
        self.written: list[str] = []
        self.half = ""
        self.rotations = 0
        self.files: dict[Path, list[str]] = {}
        self.held: list[list[str]] = []
        self.unreadable: set[str] = set()
        (self.folder / "pods").mkdir()
        self.link = self.folder / "current"
        self.lead_elsewhere()
        self.start()

    def start(self) -> None:
        self.checkpoint = Checkpoint(self.folder / "state")
        self.build()

    def build(self) -> None:
        telemetry = Telemetry(Signatures(self.folder / "signatures"))
        setting = Setting(
            base=self.folder,
            data=self.folder / "state",
            checkpoint=self.checkpoint,
            sinks=("store",),
            inputs=("app",),
            lost=lambda _reason, _size: None,
            clock=lambda: self.now,
            left=self.left,
        )
        self.input: Any = INPUT.build({"name": "app", "paths": ["app.log*", "current"]}, setting)
        letters, signal = DeadLetters(self.folder), Signal()
        self.lane = Lane(
            "store", self.store, [self.input], self.checkpoint, letters, telemetry, signal,
            window_events=4, backoff=Backoff(0, 0),
        )  # fmt: skip

    def end(self) -> None:
        self.input.close()
        for each in self.left.values():
            each.close()
        self.left.clear()
        self.checkpoint.close()

    @rule(count=st.integers(1, 6))
    def write(self, count: int) -> None:
        with self.log.open("a") as file:
            for _ in range(count):
                line = self.half or f"line {len(self.written)} "
                file.write(("" if self.half else line) + "end\n")
                self.wrote(self.log, line + "end")
                self.half = ""

    def wrote(self, path: Path, line: str) -> None:
        self.written.append(line)
        self.files.setdefault(path, []).append(line)

    @rule(count=st.integers(1, 3))
    def write_behind_the_link(self, count: int) -> None:
        for _ in range(count):
            line = f"line {len(self.written)} there"
            with self.link.open("a") as file:
                file.write(line + "\n")
            self.wrote(self.link.resolve(), line)

    def lead_elsewhere(self) -> None:
        self.rotations += 1
        target = self.folder / "pods" / f"{self.rotations}.log"
        target.touch()
        following = self.folder / "following"
        following.symlink_to(target)
        following.rename(self.link)

    @precondition(lambda self: set(self.files.get(self.link.resolve(), ())) & set(self.store.lines.values()))
    @rule()
    def swap_the_link(self) -> None:
        """No pattern matches any more where it led; a shipper that has stored something of it knows it."""
        self.lead_elsewhere()

    @precondition(lambda self: not self.half)
    @rule()
    def write_half(self) -> None:
        self.half = f"line {len(self.written)} "
        with self.log.open("a") as file:
            file.write(self.half)

    def rotated(self) -> Path:
        self.rotations += 1
        path = self.folder / f"app.log.{self.rotations}"
        self.files[path] = self.files.pop(self.log, [])
        return path

    @precondition(lambda self: self.log.exists() and not self.half)
    @rule()
    def rotate(self) -> None:
        self.log.rename(self.rotated())

    @precondition(lambda self: self.log.exists() and not self.half)
    @rule()
    def copy_and_truncate(self) -> None:
        shutil.copyfile(self.log, self.rotated())
        with self.log.open("r+") as file:
            file.truncate(0)

    def others(self) -> list[Path]:
        return [path for path in self.files if path not in (self.log, self.link.resolve())]

    @precondition(lambda self: any(path.suffix != ".gz" for path in self.others()))
    @rule(data=st.data())
    def compress(self, data: st.DataObject) -> None:
        path = data.draw(st.sampled_from([each for each in self.others() if each.suffix != ".gz"]))
        packed = path.with_name(path.name + ".gz")
        packed.write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
        self.files[packed] = self.files.pop(path)

    @precondition(lambda self: not self.half)
    @rule(again=st.booleans())
    def delete(self, again: bool) -> None:
        """Remove everything, once it is shipped; perhaps something else takes the name at once."""
        self.ship_everything()
        for path in self.folder.glob("app.log*"):
            path.unlink()
            self.files.pop(path, None)
        if again:
            self.log.touch()

    @precondition(lambda self: any(path.suffix != ".gz" for path in self.others()))
    @rule(data=st.data(), reloaded=st.booleans())
    def delete_what_is_open(self, data: st.DataObject, reloaded: bool) -> None:
        self.input.sweep()
        path = data.draw(st.sampled_from([each for each in self.others() if each.suffix != ".gz"]))
        path.unlink()
        self.held.append(self.files.pop(path))
        if reloaded:
            self.reload()

    @precondition(lambda self: self.others())
    @rule(data=st.data())
    def delete_while_nobody_is_there(self, data: st.DataObject) -> None:
        path = data.draw(st.sampled_from(self.others()))
        self.stop()
        path.unlink()
        self.lose(self.files.pop(path))
        self.start()

    @precondition(lambda self: self.log.exists() and not self.half)
    @rule(again=st.integers(0, 3))
    def truncate_while_nobody_is_there(self, again: int) -> None:
        self.stop()
        with self.log.open("r+") as file:
            file.truncate(0)
        self.lose(self.files.pop(self.log, []))
        if again:
            self.write(again)
        self.start()

    def lose(self, lines: list[str]) -> None:
        """These lines were in a file that is gone, and perhaps are elsewhere or stored."""
        there = {line for each in [*self.files.values(), *self.held] for line in each}
        self.unreadable |= set(lines) - there - set(self.store.lines.values())

    @rule(steps=st.integers(1, 3))
    def fill_the_disk(self, steps: int) -> None:
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
        try:
            self.now += 0.5
            with suppress(OSError):
                self.input.sweep()
            for _ in range(steps):
                self.lane.step()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)

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
    def reload(self) -> None:
        """What is held goes on, and no line of it is lost."""
        self.input.close()
        self.build()

    @rule()
    def crash(self) -> None:
        """What was in memory is gone: nothing is flushed, nothing is said."""
        self.stop()
        self.start()

    def stop(self) -> None:
        self.end()
        held, self.held = self.held, []
        for lines in held:
            self.lose(lines)

    def ship_everything(self) -> None:
        self.store.faults.clear()
        for _ in range(6):
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
            assert set(self.store.lines.values()) == set(self.written) - self.unreadable
        finally:
            self.end()
            shutil.rmtree(self.folder)


World.TestCase.settings = settings(max_examples=60, stateful_step_count=25)
TestWorld = World.TestCase
