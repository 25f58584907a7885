"""pipeline.py: what moves the checkpoint, what is tried again, what is buried."""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from threading import Event as Moment

import pytest
from topmast_shipper.checkpoint import Checkpoint
from topmast_shipper.component import Block, Cursor, Line, Receipt, Refusal, Source
from topmast_shipper.dead_letters import DeadLetters
from topmast_shipper.errors import PermanentError, PlaceError, TransientError
from topmast_shipper.event import Event, Origin
from topmast_shipper.intake import Intake
from topmast_shipper.parsers import plain
from topmast_shipper.pipeline import Lane, Lanes, Signal
from topmast_shipper.retry import Backoff
from topmast_shipper.signatures import Signatures
from topmast_shipper.telemetry import Telemetry


class Lines:
    """A source and the input around it: lines of ten bytes."""

    name = "test"
    service = "shop"
    open_files = 0
    stream = "0123456789abcdef"
    generation = 0
    origin = Origin("test", "/var/log/test.log")

    def __init__(self, count: int) -> None:
        self.size = count * 10
        self.blank_from = 1 << 30
        """Lines from this number on are blank."""

        self.beside: list[Source] = []

    def sources(self) -> Sequence[Source]:
        return [self, *self.beside]

    def read(self, cursor: Cursor, max_bytes: int, max_lines: int) -> Block | None:
        first = cursor.offset // 10
        last = min(self.size // 10, first + max_lines)
        if first >= self.blank_from and last > first:
            return Block([], last * 10, b" " * last * 10, 0)
        last = min(last, self.blank_from)
        lines = [Line(b"%d" % number, number * 10, number * 10 + 10) for number in range(first, last)]
        return Block(lines, last * 10, b"x" * last * 10, 0) if lines else None

    def events(self, source: Source, lines: Sequence[Line], now: float) -> list[Event]:
        return Intake(plain.parse).events(source, lines, now)

    def sweep(self) -> bool:
        return False

    def folders(self) -> Sequence[str]:
        return ()

    def close(self) -> None:
        """Nothing is open."""


class Fake:
    """A sink that does what the test says for the n-th call, else takes everything."""

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.sizes: list[int] = []
        self.answers: list[Receipt | Exception] = []
        self.poison: set[str] = set()
        self.refuses: set[str] = set()
        self.down = False

    def send(self, window: Sequence[Event]) -> Receipt:
        self.sizes.append(len(window))
        mapping = tuple(Refusal(at, "mapping") for at, event in enumerate(window) if event.message in self.refuses)
        answer = self.answers.pop(0) if self.answers else Receipt(len(window), mapping)
        if self.down or any(event.message in self.poison for event in window):
            answer = TransientError("fake: reset before any ack")
        if isinstance(answer, Exception):
            raise answer
        refused = {each.index for each in answer.refused}
        settled = window[: answer.settled]
        self.taken += [event.message for number, event in enumerate(settled) if number not in refused]
        return answer

    @property
    def stored(self) -> list[str]:
        """What a store that knows events by their ids has, in the order in which it got them."""
        return list(dict.fromkeys(self.taken))

    def close(self) -> None:
        """Nothing is open."""


class Eager(Fake):
    """One that waits for answers, while its lane reads the next window."""

    def __init__(self) -> None:
        super().__init__()
        self.meanwhile: Callable[[], object] = lambda: None

    def send(self, window: Sequence[Event]) -> Receipt:
        self.meanwhile()
        return super().send(window)


class Large(Fake):
    """One that takes windows of its own size."""

    window_events = 6


class Bench:
    """A lane, and everything around it that a test looks at."""

    def __init__(self, folder: Path, count: int, window_events: int | None, sink: Fake) -> None:
        self.sink = sink
        self.source = Lines(count)
        self.checkpoint = Checkpoint(folder)
        self.telemetry = Telemetry(Signatures(folder / "signatures"))
        self.signal = Signal()
        self.letters = folder / "dead-letters.ndjson"
        self.lane = Lane(
            "fake",
            self.sink,
            [self.source],
            self.checkpoint,
            DeadLetters(folder),
            self.telemetry,
            self.signal,
            window_events=window_events,
            backoff=Backoff(0, 0),
        )

    def steps(self, most: int = 200) -> None:
        for _ in range(most):
            if not self.lane.step():
                return

    @property
    def offset(self) -> int:
        return self.checkpoint.cursor("fake", self.source.stream, 0).offset

    def buried(self) -> list[tuple[str, str]]:
        lines = self.letters.read_text().splitlines() if self.letters.exists() else []
        return [(letter["message"], letter["reason"]) for letter in map(json.loads, lines)]

    def metric(self, name: str, **labels: str) -> float:
        for family in self.telemetry.collect():
            for sample in family.samples:
                if sample.name == name and sample.labels == labels:
                    return sample.value
        return 0


@pytest.fixture(params=[Fake, Eager], ids=["window by window", "reading on"])
def bench(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Callable[..., Bench]]:
    made: list[Bench] = []

    def make(count: int = 10, window_events: int = 4) -> Bench:
        made.append(Bench(tmp_path, count, window_events, request.param()))
        return made[-1]

    yield make
    for each in made:
        each.checkpoint.close()


def numbers(count: int) -> list[str]:
    return [str(number) for number in range(count)]


def test_everything_goes_in_windows_and_in_order(bench: Callable[..., Bench]) -> None:
    at = bench(10)

    at.steps()

    assert at.sink.taken == numbers(10)
    assert at.sink.sizes == [4, 4, 2]
    assert at.offset == 100


def test_only_a_receipt_moves_the_checkpoint(bench: Callable[..., Bench]) -> None:
    at = bench(4)
    at.sink.answers = [TransientError("fake: no")]

    at.lane.step()
    assert at.offset == 0
    at.lane.step()

    assert at.offset == 40
    assert at.sink.taken == numbers(4)


class Slow(Fake):
    """One whose first answer comes when it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.free = Moment(), Moment()

    def send(self, window: Sequence[Event]) -> Receipt:
        if not self.asked.is_set():
            self.asked.set()
            self.free.wait(30)
        return super().send(window)


def test_a_lane_that_was_left_behind_does_not_move_the_checkpoint_back(tmp_path: Path) -> None:
    sink = Slow()
    at = Bench(tmp_path, 40, 8, sink)
    lanes = Lanes([at.lane], at.signal)
    lanes.start()
    assert sink.asked.wait(30)

    ended = lanes.stop(0.01)
    letters = DeadLetters(tmp_path)
    following = Lane("fake", Fake(), [at.source], at.checkpoint, letters, at.telemetry, Signal(), window_events=8)
    while following.step():
        pass
    before = at.offset
    sink.free.set()
    lanes.stop()

    assert (ended, before, at.offset) == (False, 400, 400)


def test_the_checkpoint_passes_no_blank_lines_before_what_stands_in_front_of_them(
    bench: Callable[..., Bench],
) -> None:
    at = bench(12)
    at.source.blank_from = 4
    at.sink.answers = [TransientError("fake: no")]

    at.lane.step()
    assert at.offset == 0
    at.steps()

    assert at.sink.taken == numbers(4)
    assert at.offset == 120


def test_what_comes_while_the_last_window_is_on_its_way_is_read_at_once(bench: Callable[..., Bench]) -> None:
    at = bench(4)
    at.lane.step()
    at.source.size += 20

    assert at.lane.step()

    assert at.sink.taken == numbers(6)


def test_a_window_that_was_read_ahead_is_read_once(bench: Callable[..., Bench]) -> None:
    at = bench(10)
    at.sink.answers = [TransientError("fake: no"), Receipt(1), TransientError("fake: no"), Receipt(2)]

    at.steps()

    assert at.sink.taken == numbers(10)
    assert at.metric("shipper_events_read_total", input="test") == 10


def test_what_a_receipt_leaves_out_is_sent_again(bench: Callable[..., Bench]) -> None:
    at = bench(4)
    at.sink.answers = [Receipt(1)]

    at.lane.step()
    assert at.offset == 10
    at.steps()

    assert at.sink.taken == numbers(4)
    assert at.sink.sizes == [4, 3]


def test_a_receipt_for_nothing_is_a_failure(bench: Callable[..., Bench]) -> None:
    at = bench(4)
    at.sink.answers = [Receipt(0)]

    at.steps()

    assert at.sink.taken == numbers(4)
    assert at.metric("shipper_send_errors_total", sink="fake", reason="transient") == 1


def test_a_refused_event_is_buried_with_its_reason(bench: Callable[..., Bench]) -> None:
    at = bench(4)
    at.sink.answers = [Receipt(4, (Refusal(2, "mapping"),))]

    at.steps()

    assert at.sink.taken == ["0", "1", "3"]
    assert at.buried() == [("2", "mapping")]
    assert at.offset == 40
    assert at.metric("shipper_events_refused_total", sink="fake", reason="mapping") == 1
    assert at.metric("shipper_events_sent_total", sink="fake") == 3


@pytest.mark.parametrize(
    "poison",
    [
        pytest.param(["0"], id="the first"),
        pytest.param(["5"], id="in the middle"),
        pytest.param(["10"], id="the last"),
        pytest.param(["5", "6", "7"], id="side by side"),
        pytest.param(["0", "1"], id="the first two"),
        pytest.param(["2", "4", "10"], id="here and there"),
    ],
)
def test_poisonous_events_are_found_and_buried(bench: Callable[..., Bench], poison: list[str]) -> None:
    at = bench(11, window_events=8)
    at.sink.poison = set(poison)

    at.steps()

    assert at.buried() == [(each, "poison") for each in poison]
    assert set(at.sink.stored) == set(numbers(11)) - set(poison)
    assert at.offset == 110
    assert at.metric("shipper_events_sent_total", sink="fake") == 11 - len(poison)


def test_the_first_event_is_not_buried_until_another_shows_that_the_sink_is_well(bench: Callable[..., Bench]) -> None:
    at = bench(1, window_events=4)
    at.sink.poison = {"0"}
    at.steps(50)
    assert at.buried() == []

    at.source.size += 10
    at.steps(50)

    assert at.buried() == [("0", "poison")]
    assert at.sink.stored == ["1"]


@pytest.mark.parametrize("calls", range(1, 40))
def test_a_sink_that_was_down_gets_everything_in_order_and_what_it_refuses_is_buried(
    bench: Callable[..., Bench], calls: int
) -> None:
    at = bench(20, window_events=8)
    at.sink.refuses = {"0", "1", "7"}
    at.sink.down = True
    at.steps(calls)
    assert (at.buried(), at.offset) == ([], 0)

    at.sink.down = False
    at.steps()

    assert at.buried() == [("0", "mapping"), ("1", "mapping"), ("7", "mapping")]
    assert at.sink.taken == [each for each in numbers(20) if each not in at.sink.refuses]
    assert at.offset == 200


@pytest.mark.parametrize("calls", range(1, 40))
def test_an_event_that_failed_for_a_while_is_taken_or_buried(bench: Callable[..., Bench], calls: int) -> None:
    at = bench(20, window_events=8)
    at.sink.poison = {"5"}
    at.steps(calls)
    at.sink.poison = set()

    at.steps()

    buried = [message for message, _ in at.buried()]
    assert sorted([*at.sink.stored, *buried], key=int) == numbers(20)
    assert at.sink.stored == [each for each in numbers(20) if each not in buried]


def test_one_failure_beside_a_sink_that_is_well_buries_nothing(bench: Callable[..., Bench]) -> None:
    at = bench(5, window_events=1)
    lost = TransientError("fake: reset before any ack")
    # "0" is taken; "1" fails four times, then "0" is taken again, then "1" is
    at.sink.answers = [Receipt(1), lost, lost, lost, lost, Receipt(1), Receipt(1)]

    at.steps()

    assert (at.buried(), at.sink.taken) == ([], ["0", "0", "1", "2", "3", "4"])


def test_a_place_without_room_blames_no_event_and_its_windows_stay_whole(bench: Callable[..., Bench]) -> None:
    at = bench(16, window_events=8)
    at.sink.answers = [PlaceError("fake: no space left")] * 30

    at.steps()

    assert (at.buried(), at.sink.taken) == ([], numbers(16))
    assert set(at.sink.sizes) == {8}


def test_a_busy_file_fills_no_window_after_the_other(bench: Callable[..., Bench]) -> None:
    at = bench(1_000, window_events=8)
    quiet = Lines(1)
    quiet.stream = "fedcba9876543210"
    at.source.beside = [quiet]

    at.steps(3)

    assert at.checkpoint.cursor("fake", quiet.stream, 0).offset == 10


def test_a_sink_that_refuses_for_good_blames_no_event(bench: Callable[..., Bench]) -> None:
    at = bench(8, window_events=8)
    at.signal.stop()  # else the lane waits 30 s after this error
    at.sink.answers = [PermanentError("fake: not authorized")] * 20
    at.steps(20)

    at.steps()

    assert at.buried() == []
    assert at.sink.taken == numbers(8)
    assert set(at.sink.sizes) == {8}


def test_a_fault_of_the_sink_is_a_failure_like_another(bench: Callable[..., Bench]) -> None:
    at = bench(4)
    at.sink.answers = [KeyError("log")]

    at.steps()

    assert at.sink.taken == numbers(4)
    assert at.metric("shipper_send_errors_total", sink="fake", reason="internal") == 1


def test_what_cannot_be_buried_holds_up_the_window(bench: Callable[..., Bench]) -> None:
    """A full disk is back-pressure: nothing moves on that was not kept."""
    at = bench(2)
    at.letters.mkdir()
    at.sink.answers = [Receipt(2, (Refusal(0, "mapping"),))]

    at.lane.step()

    assert at.offset == 0


def test_log_events_are_counted_when_they_are_settled(bench: Callable[..., Bench]) -> None:
    at = bench(3)
    at.sink.answers = [TransientError("fake: no")]

    at.steps()

    assert at.metric("log_events_total", service="_unknown", level="info") == 3
    assert at.metric("shipper_events_read_total", input="test") == 3


def test_a_sink_that_takes_larger_windows_gets_them(tmp_path: Path) -> None:
    at = Bench(tmp_path, 15, None, Large())

    at.steps()

    assert at.sink.sizes == [6, 6, 3]
