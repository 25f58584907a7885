"""The wire: golden bytes, round trips, and what is refused."""

import subprocess
import sys
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from topmast_shipper.lumberjack import (
    Ack,
    Acknowledgements,
    Compressed,
    ForeignError,
    Frame,
    FrameError,
    Json,
    Window,
    decode,
    encode_ack,
    encode_window,
    inflate,
)
from topmast_shipper.testing_lumberjack_modes import GOLDEN, Golden

DOCUMENTS = st.lists(st.binary(min_size=1, max_size=5000), min_size=1, max_size=40)


def flat(data: bytes) -> list[Frame]:
    """All frames of the bytes, compressed ones opened."""
    frames, used = decode(data)
    assert used == len(data)
    return [each for frame in frames for each in (flat(inflate(frame)) if isinstance(frame, Compressed) else [frame])]


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda each: each.name)
def test_golden_bytes_say_what_they_say(golden: Golden) -> None:
    numbered = [Json(sequence, document) for sequence, document in enumerate(golden.documents, 1)]

    assert flat(golden.client) == [Window(len(golden.documents)), *numbered]


@pytest.mark.parametrize("golden", GOLDEN[:2], ids=lambda each: each.name)
def test_a_plain_window_is_these_bytes(golden: Golden) -> None:
    assert encode_window(golden.documents, compress=False) == golden.client


def test_without_isal_a_compressed_window_says_the_same() -> None:
    program = (
        "import sys; sys.modules['isal'] = None\n"
        "from topmast_shipper.lumberjack import encode_window\n"
        "from topmast_shipper.testing_lumberjack_modes import GOLDEN\n"
        "sys.stdout.write(encode_window(GOLDEN[2].documents).hex())"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert flat(bytes.fromhex(done.stdout)) == flat(GOLDEN[2].client)


def test_a_compressed_window_is_one_window_and_one_compressed_frame() -> None:
    frames, _ = decode(encode_window([b"{}"] * 100))

    assert [type(frame) for frame in frames] == [Window, Compressed]


def test_no_documents_make_the_empty_window() -> None:
    assert encode_window([]) == bytes.fromhex("32 57 00000000")


def test_an_acknowledgement_is_these_bytes() -> None:
    assert encode_ack(0x01020304) == bytes.fromhex("32 41 01020304")


@given(DOCUMENTS, st.booleans())
def test_what_is_encoded_is_decoded(documents: list[bytes], compress: bool) -> None:
    numbered = [Json(sequence, document) for sequence, document in enumerate(documents, 1)]

    assert flat(encode_window(documents, compress)) == [Window(len(documents)), *numbered]


@pytest.mark.parametrize("count", [1, 2047, 2048, 2049, 10_000])
def test_sequence_numbers_begin_at_one_in_windows_of_any_size(count: int) -> None:
    frames = flat(encode_window([b"{}"] * count))

    assert [frame.sequence for frame in frames if isinstance(frame, Json)] == list(range(1, count + 1))


def test_a_window_that_servers_refuse_is_not_made() -> None:
    with pytest.raises(ValueError, match="10001 events"):
        encode_window([b"{}"] * 10_001)


@given(DOCUMENTS, st.data())
def test_frames_may_come_in_pieces(documents: list[bytes], data: st.DataObject) -> None:
    stream = encode_window(documents, compress=False)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    frames: list[Frame] = []
    buffer = b""

    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        buffer += stream[start:end]
        found, used = decode(buffer)
        frames += found
        buffer = buffer[used:]

    assert (frames, buffer) == (flat(stream), b"")


@pytest.mark.parametrize(
    ("data", "error"),
    [
        pytest.param(b"1W\0\0\0\1", ForeignError, id="version 1"),
        pytest.param(b"2X\0\0\0\1", ForeignError, id="an unknown type"),
        pytest.param(b"HTTP/1.1 400", ForeignError, id="another protocol"),
        pytest.param(b"2J\0\0\0\1\0\0\0\0", FrameError, id="an empty payload"),
        pytest.param(b"2C\xff\xff\xff\xff", FrameError, id="a payload of 4 GB"),
    ],
)
def test_what_is_no_frame_is_refused(data: bytes, error: type[FrameError]) -> None:
    with pytest.raises(error):
        decode(data)


def test_whole_frames_before_a_bad_one_are_not_lost() -> None:
    assert decode(b"2A\0\0\0\1oops") == ([Ack(1)], 6)


@given(st.binary(max_size=200))
def test_any_bytes_decode_or_are_refused(data: bytes) -> None:
    try:
        _, used = decode(data)
    except FrameError:
        return

    assert used <= len(data)


@pytest.mark.parametrize(
    "payload",
    [
        pytest.param(b"not zlib", id="no zlib stream"),
        pytest.param(zlib.compress(b"a" * 50)[:-2], id="torn"),
        pytest.param(zlib.compress(b"a")[:-1] + b"\0", id="a wrong checksum"),
        pytest.param(zlib.compress(b"a" * 50, wbits=-15), id="raw deflate"),
        pytest.param(zlib.compress(b"a") + b"more", id="something behind it"),
        pytest.param(zlib.compress(b"a" * 1001), id="larger than allowed"),
    ],
)
def test_a_compressed_frame_that_is_none_is_refused(payload: bytes) -> None:
    with pytest.raises(FrameError):
        inflate(Compressed(payload), max_bytes=1000)


@given(st.lists(st.integers(0, 9), max_size=20), st.data())
def test_answers_count_however_they_are_cut(sequences: list[int], data: st.DataObject) -> None:
    stream = b"".join(map(encode_ack, sequences))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    answers = Acknowledgements(9)

    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        answers.feed(stream[start:end])

    assert answers.settled == max(sequences, default=0)
    assert answers.keep_alives == sequences.count(0)
    assert answers.complete == (9 in sequences)


def test_half_an_answer_behind_the_last_is_waited_for() -> None:
    answers = Acknowledgements(2)

    answers.feed(encode_ack(2) + b"2A\0")

    assert not answers.complete
    answers.feed(b"\0\0\0")
    assert answers.complete


def test_an_answer_to_more_than_was_sent_is_refused_and_what_came_before_counts() -> None:
    answers = Acknowledgements(5)

    with pytest.raises(FrameError, match="acknowledges 6 of 5 events"):
        answers.feed(encode_ack(3) + encode_ack(6))

    assert answers.settled == 3


@pytest.mark.parametrize("data", [b"2W\0\0\0\1", b"1A\0\0\0\1", b"H", b"\x15\x03\x03\0\2\2"])
def test_an_answer_that_is_none_is_refused_at_its_first_bytes(data: bytes) -> None:
    with pytest.raises(ForeignError):
        Acknowledgements(5).feed(data)
