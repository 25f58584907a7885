"""inputs/syslog.py: datagrams and streams, both framings, both RFCs."""

import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from topmast_shipper.errors import ConfigError
from topmast_shipper.inputs.syslog import INPUT, split
from topmast_shipper.rooms import Setting

OLD = b"<34>Nov 22 21:16:00 web su[77]: 'su root' failed"
NEW = b'<165>1 2026-11-22T21:16:00.003Z web shop 31 ID47 - {"level":"error","msg":"no stock"}'


@pytest.fixture
def make(setting: Setting) -> Iterator[Callable[..., Any]]:
    made = []

    def build(**options: Any) -> Any:
        made.append(INPUT.build({"listen": "127.0.0.1:0", **options}, setting))
        return made[-1]

    yield build
    for each in made:
        each.close()


def address(made: Any) -> tuple[str, int]:
    host, port = made.address.split(":")
    return host, int(port)


def test_datagrams_arrive(make: Callable[..., Any], documents: Any) -> None:
    made = make()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(OLD + b"\n", address(made))
        sender.sendto(NEW, address(made))

    first, second = sorted(documents(made, 2), key=lambda each: each["message"])

    assert (first["message"], first["log"]["level"], first["host"]["name"]) == ("'su root' failed", "critical", "web")
    assert first["service"]["name"] == "su"
    assert (second["message"], second["log"]["level"], second["process"]["pid"]) == ("no stock", "error", 31)
    assert second["@timestamp"] == "2026-11-22T21:16:00.003Z"


@pytest.mark.parametrize("counted", [True, False], ids=["counted in octets", "ended by a newline"])
def test_a_stream_arrives(make: Callable[..., Any], documents: Any, counted: bool) -> None:
    made = make()
    data = b"".join(b"%d %s" % (len(each), each) if counted else each + b"\n" for each in (OLD, NEW))
    with socket.create_connection(address(made), timeout=10) as sender:
        for at in range(0, len(data), 7):
            sender.sendall(data[at : at + 7])

    assert {each["message"] for each in documents(made, 2)} == {"'su root' failed", "no stock"}


def test_what_has_no_end_is_taken_when_the_sender_is_gone(make: Callable[..., Any], documents: Any) -> None:
    made = make()
    with socket.create_connection(address(made), timeout=10) as sender:
        sender.sendall(OLD)

    assert documents(made, 1)[0]["message"] == "'su root' failed"


def test_datagrams_for_a_full_spool_are_counted(
    make: Callable[..., Any], documents: Any, lost: list[tuple[str, int]]
) -> None:
    made = make(max_spool_bytes=1 << 20)
    made.put([b"x" * ((1 << 20) - 10)])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(OLD, address(made))
    documents(made, 1)
    deadline = 200
    while not lost and deadline:
        deadline -= 1
        documents(made, 1)

    assert lost == [("full", len(OLD))]


def test_beyond_this_machine_only_when_the_network_is_ones_own(make: Callable[..., Any]) -> None:
    with pytest.raises(ConfigError, match="private_network"):
        make(listen="0.0.0.0:0")


@pytest.mark.parametrize(
    ("data", "lines", "rest"),
    [
        pytest.param(b"a\nb\r\n\nc", [b"a", b"b"], b"c", id="newlines"),
        pytest.param(b"4 <1>a6 <1>b\nc3 <1", [b"<1>a", b"<1>b\nc"], b"3 <1", id="octets"),
        pytest.param(b"12 monkeys\n", [b"12 monkeys"], b"", id="a number that is no count"),
        pytest.param(b"", [], b"", id="nothing"),
    ],
)
def test_frames(data: bytes, lines: list[bytes], rest: bytes) -> None:
    assert split(data) == (lines, rest)


def test_a_frame_without_end_is_cut() -> None:
    lines, rest = split(b"x" * (1 << 21))

    assert sum(map(len, lines)) + len(rest) == 1 << 21
    assert len(rest) <= 1 << 20
