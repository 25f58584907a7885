"""A block: some usage events with their prices, packed by column. What one commit stores is one of these.

    | "TMB1" | u32 length of the header | header, JSON | columns | u32 CRC-32 of all before it |     (little endian)

The header has `groups`, one list for all events of the same words (WORDS of a UsageEvent, as booked, then the price's
status and reason, then how many events), and `columns`, one pair for each of COLUMNS: its kind and the bytes that it
takes, its values in the order of the groups. Kinds: `0` all 0, `I` u32, `q` i64, `J` JSON. -1 in a column means that
it was not said. Ids are a JSON list at the end of the columns.
"""

import json
import struct
import sys
import zlib
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from topmast_exporter.pricing.price import COMPONENTS, Price
from topmast_exporter.pricing.tokens import FIELDS, Tokens
from topmast_exporter.usage_event import WORDS, UsageEvent

COLUMNS = ("at_ms", "duration_ns", "first_token_ns", "caller_cost", *FIELDS, *(f"cost_{one}" for one in COMPONENTS))
UNSAID = -1

_MAGIC = b"TMB1"
_TOKENS = slice(COLUMNS.index(FIELDS[0]), COLUMNS.index(FIELDS[-1]) + 1)
_COSTS = slice(len(COLUMNS) - len(COMPONENTS), len(COLUMNS))
_LENGTH = struct.Struct("<I")
_encode = json.JSONEncoder(separators=(",", ":")).encode

Words = tuple[Any, ...]
"""WORDS of an event, with its dimensions as they are booked, and the status and reason of its price."""
_STATUS, _REASON = -2, -1
PLACES = {name: place for place, name in enumerate(UsageEvent._fields[WORDS])}
"""Where a word is in Words."""

Column = Sequence[int] | None
"""None: 0 for each event."""


class BlockError(ValueError):
    """The bytes are not those that were written."""


class Stored(NamedTuple):
    """An event of a block. Its dimensions are as they were booked: pseudonyms where they have to be."""

    event: UsageEvent
    price: Price


@dataclass
class _Part:
    """Events of the same words."""

    ids: list[str] = field(default_factory=list)
    pieces: list[tuple[int, Sequence[Column]]] = field(default_factory=list)
    """(how many, COLUMNS)"""


class Builder:
    """Collects events; `pack` makes them a block."""

    def __init__(self) -> None:
        self.events = 0
        self.first_ms, self.last_ms = 2**63 - 1, -(2**63)
        self.dearest = 0
        """The most that one of them cost, in pico-USD."""
        self._parts: dict[Words, _Part] = {}

    def add(self, words: Words, ids: Sequence[str], columns: Sequence[Column], dearest: int) -> None:
        """Add events of the same words: their ids, COLUMNS, and the most that one of them cost."""
        part = self._parts.get(words)
        if part is None:
            part = self._parts[words] = _Part()
        part.ids += ids
        part.pieces.append((len(ids), columns))
        at = columns[0] or (0,)
        self.first_ms, self.last_ms = min(self.first_ms, min(at)), max(self.last_ms, max(at))
        self.events += len(ids)
        self.dearest = max(self.dearest, dearest)

    def row(self) -> tuple[int, int, int, float, bytes]:
        """Return a row of the ledger: first and last time (ms), how many, the dearest, the block."""
        return self.first_ms, self.last_ms, self.events, float(self.dearest), self.pack()

    def pack(self) -> bytes:
        """Return the block."""
        groups, ids = [], []
        pieces: list[tuple[int, Sequence[Column]]] = []
        for words, part in self._parts.items():
            groups.append((*words, len(part.ids)))
            ids += part.ids
            pieces += part.pieces
        counts = [count for count, _ in pieces]
        packed = [_packed(column, counts) for column in zip(*(columns for _, columns in pieces), strict=True)]
        header = _json({"groups": groups, "columns": [(kind, len(data)) for kind, data in packed]})
        body = b"".join((_MAGIC, _LENGTH.pack(len(header)), header, *(data for _, data in packed), _texts(ids)))
        return body + _LENGTH.pack(zlib.crc32(body))


@dataclass(frozen=True)
class Block:
    """A block that was read."""

    groups: Sequence[tuple[Words, int]]
    """(words, how many)"""
    ids: Sequence[str]
    columns: Sequence[Sequence[int]]

    def parts(self) -> Iterator[tuple[Words, slice]]:
        """Yield the words of each group, and where its events are."""
        start = 0
        for words, count in self.groups:
            yield words, slice(start, start + count)
            start += count

    def stored(self) -> Iterator[Stored]:
        """Yield the events, those of a group after each other."""
        rows = zip(self.ids, *self.columns, strict=True)
        for words, count in self.groups:
            said, status, reason = words[:_STATUS], words[_STATUS], words[_REASON]
            for _ in range(count):
                one, at_ms, duration, first, caller, *amounts = next(rows)
                tokens = amounts[: len(FIELDS)]
                costs = amounts[len(FIELDS) :]
                used = None if tokens[0] == UNSAID else Tokens(*tokens)
                seconds = (None if each == UNSAID else each / 1e9 for each in (duration, first))
                values = (one, at_ms / 1000, *said, used, *seconds, None if caller == UNSAID else caller)
                event = UsageEvent._make(values)
                yield Stored(event, Price(status, (costs[0], costs[1], costs[2], costs[3], costs[4]), reason))

    def into(self, builder: Builder) -> None:
        """Add the events to another block."""
        for words, place in self.parts():
            columns = [column[place] for column in self.columns]
            builder.add(words, self.ids[place], columns, max(self.costs(place)))

    def costs(self, place: slice) -> list[int]:
        """Return what each event of a part cost, in pico-USD."""
        columns = [column[place] for column in self.columns[_COSTS]]
        return [sum(parts) for parts in zip(*columns, strict=True)]

    def column(self, name: str, place: slice) -> Sequence[int]:
        """Return a part of one of COLUMNS."""
        return self.columns[COLUMNS.index(name)][place]


def words_of(event: UsageEvent, price: Price) -> Words:
    """Return the words of an event that is booked as it says."""
    return (*tuple(event)[WORDS], price.status, price.reason)


def row_of(event: UsageEvent, price: Price) -> list[Sequence[int]]:
    """Return COLUMNS of one event."""
    said = (event.duration_seconds, event.time_to_first_token_seconds)
    seconds = [UNSAID if each is None else round(each * 1e9) for each in said]
    caller = UNSAID if event.caller_cost is None else event.caller_cost
    tokens: Sequence[int] = (UNSAID, *(0,) * (len(FIELDS) - 1)) if event.tokens is None else event.tokens
    return [[value] for value in (round(event.at * 1000), *seconds, caller, *tokens, *price.parts)]


def read(body: bytes) -> Block:
    """Return the block of these bytes. Raises BlockError when they are damaged."""
    if len(body) < len(_MAGIC) + 2 * _LENGTH.size:
        raise BlockError("it is too short")
    end = len(body) - _LENGTH.size
    if body[: len(_MAGIC)] != _MAGIC or _LENGTH.unpack_from(body, end)[0] != zlib.crc32(body[:end]):
        raise BlockError("its checksum is wrong")
    start = len(_MAGIC) + _LENGTH.size
    place = start + _LENGTH.unpack_from(body, len(_MAGIC))[0]
    header = json.loads(body[start:place])
    groups = [(tuple(group[:-1]), int(group[-1])) for group in header["groups"]]
    count = sum(each for _, each in groups)
    columns = []
    for kind, length in header["columns"]:
        columns.append(_unpack(kind, body[place : place + length], count))
        place += length
    return Block(groups, json.loads(body[place:end]), columns)


def _packed(pieces: Sequence[Column], counts: Sequence[int]) -> tuple[str, bytes]:
    """Return kind and bytes of a column that lies there in pieces."""
    if not any(pieces):
        return "0", b""
    if len(pieces) == 1:
        return _pack(pieces[0] or ())
    values: list[int] = []
    for piece, count in zip(pieces, counts, strict=True):
        values += [0] * count if piece is None else piece
    return _pack(values)


def _pack(values: Sequence[int]) -> tuple[str, bytes]:
    if not any(values):
        return "0", b""
    for kind in "Iq" if 0 <= values[0] < 2**32 else "q":
        try:
            # an array of `q` takes four times as long
            return kind, struct.pack(f"<{len(values)}{kind}", *values)
        except struct.error:
            continue
    return "J", _json(values)


def _texts(texts: Sequence[str]) -> bytes:
    """Return what _json does: of plain texts in a tenth of the time."""
    joined = '","'.join(texts)
    plain = joined.isascii() and joined.isprintable() and "\\" not in joined
    if plain and joined.count('"') == 2 * (len(texts) - 1):
        return f'["{joined}"]'.encode()
    return _json(texts)


def _unpack(kind: str, data: bytes, count: int) -> Sequence[int]:
    if kind == "0":
        return [0] * count
    if kind == "J":
        numbers: list[int] = json.loads(data)
        return numbers
    values = array(kind)
    values.frombytes(data)
    return _little(values)


def _little(values: "array[int]") -> "array[int]":
    if sys.byteorder == "big":
        values.byteswap()
    return values


def _json(value: object) -> bytes:
    return _encode(value).encode()
