"""replay.py: dead letters go the normal road once more, under the ids they had."""

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from topmast_shipper.checkpoint import Checkpoint
from topmast_shipper.component import Receipt
from topmast_shipper.config import parse
from topmast_shipper.dead_letters import DeadLetters
from topmast_shipper.event import Event
from topmast_shipper.inputs.file import INPUT
from topmast_shipper.pipeline import Lane, Signal
from topmast_shipper.replay import HandedOver, ReplayInput, hand_over, letter_of
from topmast_shipper.retry import Backoff
from topmast_shipper.rooms import Setting
from topmast_shipper.shipper import Shipper
from topmast_shipper.signatures import Signatures
from topmast_shipper.telemetry import Telemetry
from topmast_shipper.testing import event, events


class Store:
    """A sink that takes everything."""

    def __init__(self) -> None:
        self.stored: dict[str, dict[str, Any]] = {}

    def send(self, window: Sequence[Event]) -> Receipt:
        self.stored |= {each.id: each.document for each in window}
        return Receipt(len(window))

    def close(self) -> None:
        """Nothing is open."""


@pytest.fixture
def setting(tmp_path: Path) -> Iterator[Setting]:
    checkpoint = Checkpoint(tmp_path)
    yield Setting(tmp_path, tmp_path, checkpoint, ("store",), ("test",), lambda _reason, _bytes: None, lambda: 1e6)
    checkpoint.close()


def shipped(sink: Store, setting: Setting) -> list[str]:
    """Let a lane send what is there; return what is still in the folder of the sink."""
    source = INPUT.build({"name": "test", "paths": ["none"], "parser": "json_lines", "service": "shop"}, setting)
    replay = ReplayInput("store", {"test": source}, setting)
    telemetry = Telemetry(Signatures(setting.data / "signatures"))
    lane = Lane(
        "store", sink, [replay], setting.checkpoint, DeadLetters(setting.data), telemetry, Signal(),
        backoff=Backoff(0, 0),
    )  # fmt: skip
    replay.sweep()
    while lane.step():
        continue
    replay.sweep()
    replay.close()
    return [path.name for path in (setting.data / "replay" / "store").iterdir()]


def buried(folder: Path, *those: Event, sink: str = "store") -> DeadLetters:
    letters = DeadLetters(folder)
    for each in those:
        letters.add(sink, each, "poison")
    return letters


def test_the_same_event_is_sent_under_its_old_id(setting: Setting) -> None:
    sink, one = Store(), event(3)._replace(line=b'{"message": "line 3", "level": "error"}')
    letters = buried(setting.data, one)

    found = hand_over(setting.data, ["store"])

    assert found == HandedOver({"store": 1}, {}, 0)
    assert letters.path.read_bytes() == b""
    assert shipped(sink, setting) == []
    assert list(sink.stored) == [one.id]
    document = sink.stored[one.id]
    assert (document["message"], document["log"]["level"]) == ("line 3", "error")
    assert document["log"]["file"] == {"path": "/var/log/test.log"}
    assert document["service"] == {"name": "shop"}


def test_many_in_their_order_and_a_file_of_ones_own_is_left_as_it_is(setting: Setting) -> None:
    sink = Store()
    letters = buried(setting.data, *events(2000))
    saved = letters.path.rename(setting.data / "saved.ndjson")
    before = saved.read_bytes()

    hand_over(setting.data, ["store"], saved)
    left = shipped(sink, setting)

    assert left == []
    assert list(sink.stored) == [each.id for each in events(2000)]
    assert saved.read_bytes() == before


def test_what_nobody_can_send_stays(setting: Setting) -> None:
    letters = buried(setting.data, event(1), sink="gone")
    with letters.path.open("a") as file:
        file.write("what?\n")
    before = letters.path.read_bytes()

    assert hand_over(setting.data, ["store"]) == HandedOver({}, {"gone": 1}, 1)
    assert letters.path.read_bytes() == before


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(b"\xff" * 3_600_000, id="no UTF-8, five bytes for one"),
        pytest.param(b"\1" * (4 << 20), id="control characters, six bytes for one"),
    ],
)
def test_a_long_letter_is_sent(setting: Setting, line: bytes) -> None:
    sink, one = Store(), event(3)._replace(line=line)
    buried(setting.data, event(1), one, event(4))

    hand_over(setting.data, ["store"])

    assert shipped(sink, setting) == []
    assert list(sink.stored) == [event(1).id, one.id, event(4).id]
    assert sink.stored[one.id]["message"] == one.message


def test_a_file_with_something_that_is_no_letter_is_kept_and_counted(setting: Setting) -> None:
    sink = Store()
    lost: list[tuple[str, int]] = []
    setting = replace(setting, lost=lambda reason, size: lost.append((reason, size)))
    buried(setting.data, *events(3))
    hand_over(setting.data, ["store"])
    handed = next((setting.data / "replay" / "store").iterdir())
    damaged = handed.read_bytes().replace(b'"line 1"', b'"line\n1"')
    handed.write_bytes(damaged)

    left = shipped(sink, setting)

    assert list(sink.stored) == [event(0).id, event(2).id]
    assert left == [f"{handed.stem}.unreadable"]
    assert handed.with_suffix(".unreadable").read_bytes() == damaged
    assert lost == [("damaged", sum(map(len, damaged.split(b"\n")[2:4])) + 2)]
    assert shipped(sink, setting) == left
    assert len(lost) == 1


def test_nothing_to_send_is_nothing(setting: Setting) -> None:
    assert hand_over(setting.data, ["store"]) == HandedOver({}, {}, 0)


def test_a_kill_in_the_middle_sends_the_rest(setting: Setting) -> None:
    sink = Store()
    buried(setting.data, *events(10))
    hand_over(setting.data, ["store"])
    source = ReplayInput("store", {}, setting)
    source.sweep()
    telemetry = Telemetry(Signatures(setting.data / "signatures"))
    args = (setting.checkpoint, DeadLetters(setting.data), telemetry, Signal())
    Lane("store", sink, [source], *args, window_events=4).step()
    source.close()
    assert len(sink.stored) == 4

    shipped(sink, setting)

    assert list(sink.stored) == [each.id for each in events(10)]


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda letter: letter.pop("id"), id="no id"),
        pytest.param(lambda letter: letter.update(id="x" * 32), id="no position"),
        pytest.param(lambda letter: letter.update(sink="../up"), id="a path"),
        pytest.param(lambda letter: letter.update(offset="0"), id="no offset"),
    ],
)
def test_what_is_no_letter(tmp_path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    letter = json.loads(buried(tmp_path, event()).path.read_text())
    assert letter_of(json.dumps(letter).encode()) == letter
    change(letter)

    assert letter_of(json.dumps(letter).encode()) is None


def test_a_shipper_at_work_takes_them_and_no_other_sink_gets_them(tmp_path: Path) -> None:
    sinks = [{"file": {"name": name, "path": str(tmp_path / name)}} for name in ("one", "two")]
    shipper = Shipper(parse({"listen": "", "data": "data", "sinks": sinks}, base=tmp_path))
    thread = threading.Thread(target=shipper.run)
    thread.start()
    buried(tmp_path / "data", event(7), sink="two")

    hand_over(tmp_path / "data", ["one", "two"])
    pause = threading.Event()
    for _ in range(300):
        if (tmp_path / "two").exists() and (tmp_path / "two").read_bytes().endswith(b"\n"):
            break
        pause.wait(0.1)
    shipper.stop()
    thread.join(30)

    assert json.loads((tmp_path / "two").read_text())["event"]["id"] == event(7).id
    assert not (tmp_path / "one").exists() or (tmp_path / "one").read_bytes() == b""
