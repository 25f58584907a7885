"""Log records that break formatters: what is in them, times the way it gets in (SHIPPING.md section 1.8).

Each kind is one call of a logger. What it wrote is found again by its number, in the field `labels.kind`.
"""

import array
import collections
import dataclasses
import datetime
import decimal
import enum
import fractions
import io
import logging
import pathlib
import re
import threading
import types
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NoReturn

from topmast_shipper import context

MARK = "labels.kind"


class HostileError(Exception):
    """What a value raises when it is looked at."""


class BrokenText:
    def __repr__(self) -> NoReturn:
        raise HostileError("no text")

    __str__ = __repr__


class WrongText:
    def __str__(self) -> str:
        return 7  # type: ignore[return-value] # the very fault

    __repr__ = __str__


class RecursiveText:
    def __repr__(self) -> str:
        return repr(self)


class LongText:
    def __str__(self) -> str:
        return "x" * 5_000_000


class SurrogateText:
    def __str__(self) -> str:
        return "\udce4\ud800"


class BrokenAttributes:
    def __getattribute__(self, name: str) -> Any:
        raise HostileError(name)


class BrokenMapping(Mapping[str, int]):
    def __getitem__(self, key: str) -> int:
        raise HostileError(key)

    def __iter__(self) -> Iterator[str]:
        raise HostileError("no keys")

    def __len__(self) -> int:
        return 3


class BrokenDict(dict[str, int]):
    def items(self) -> Any:
        raise HostileError("no items")

    __iter__ = items


class BrokenList(list[int]):
    def __iter__(self) -> Any:
        raise HostileError("no iteration")

    def __len__(self) -> int:
        raise HostileError("no length")


class BrokenHash:
    def __hash__(self) -> int:
        return 1

    def __eq__(self, other: object) -> bool:
        raise HostileError("no comparison")


class BrokenFloat(float):
    def __float__(self) -> float:
        raise HostileError("no number")

    def __repr__(self) -> str:
        raise HostileError("no text")


class BrokenInt(int):
    def __str__(self) -> str:
        raise HostileError("no text")

    __repr__ = __str__


class OwnText(str):
    def __str__(self) -> str:
        raise HostileError("no text")

    __slots__ = ()


class BrokenTextError(Exception):
    def __str__(self) -> str:
        raise HostileError("no text")


class Colour(enum.Enum):
    RED = float("nan")


@dataclasses.dataclass
class Held:
    value: Any = None
    other: Any = None


@dataclasses.dataclass
class SelfHeld:
    me: Any = None


def _self_held() -> SelfHeld:
    held = SelfHeld()
    held.me = held
    return held


def _cycle() -> dict[str, Any]:
    value: dict[str, Any] = {"list": []}
    value["list"].append(value)
    return value


def _deep(levels: int, kind: type = list) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value] if kind is list else {"a": value}
    return value


def _shared(levels: int, kind: str) -> Any:
    """Return a value of 2**levels leaves that takes `levels` small objects."""
    value: Any = ["leaf"]
    for _ in range(levels):
        value = {"list": [value, value], "dict": {"a": value, "b": value}, "held": Held(value, value)}[kind]
    return value


def _generator() -> Iterator[int]:
    yield 1
    raise HostileError("in the middle")


# Name, and what makes a new one. Those that would never end elsewhere begin with "endless".
VALUES: tuple[tuple[str, Callable[[], Any]], ...] = (
    ("NaN", lambda: float("nan")),
    ("infinity", lambda: float("inf")),
    ("minus infinity", lambda: float("-inf")),
    ("2**63", lambda: 2**63),
    ("2**70", lambda: 2**70),
    ("-2**70", lambda: -(2**70)),
    ("5,000 digits", lambda: 10**5000),
    ("a number of 1e308", lambda: 1e308),
    ("a broken float", lambda: BrokenFloat(1.5)),
    ("a broken int", lambda: BrokenInt(7)),
    ("a complex number", lambda: complex(1, float("nan"))),
    ("a decimal NaN", lambda: decimal.Decimal("sNaN")),
    ("a fraction", lambda: fractions.Fraction(1, 3)),
    ("a lone surrogate", lambda: "\ud800"),
    ("surrogates in the wrong order", lambda: "a\udc00\ud800b"),
    ("undecodable bytes as text", lambda: b"\xff\xfe".decode("utf-8", "surrogateescape")),
    ("NUL", lambda: "a\0b"),
    ("control characters", lambda: "".join(map(chr, range(32)))),
    ("an escape sequence", lambda: "\x1b[31mred\x1b[0m"),
    ("line separators", lambda: "a\u2028b\u2029c\x85d"),
    ("newlines", lambda: "a\r\nb\n"),
    ("quotes and backslashes", lambda: '"}\\"\\\\,{"'),
    ("emoji", lambda: "👩‍👩‍👧‍👦" * 3),
    ("a text of 3 MB", lambda: "x" * 3_000_000),
    ("3 MB of quotes", lambda: '"' * 3_000_000),
    ("a text of its own class", lambda: OwnText("text")),
    ("percent signs", lambda: "100% %s %d %(x)s %"),
    ("braces", lambda: "{} {0} {x!r}"),
    ("bytes", lambda: b"\xff\0\x80"),
    ("a bytearray", lambda: bytearray(b"\xff")),
    ("a memoryview", lambda: memoryview(b"\xff")),
    ("an array", lambda: array.array("d", [float("nan")])),
    ("a broken __repr__", BrokenText),
    ("a __str__ that is no text", WrongText),
    ("a __repr__ without end", RecursiveText),
    ("a __str__ of 5 MB", LongText),
    ("a __str__ of surrogates", SurrogateText),
    ("broken attributes", BrokenAttributes),
    ("a broken mapping", BrokenMapping),
    ("a broken dict", lambda: BrokenDict(a=1)),
    ("a broken list", lambda: BrokenList([1])),
    ("a broken comparison", BrokenHash),
    ("a class", lambda: BrokenText),
    ("a module", lambda: types),
    ("a function", lambda: _cycle),
    ("a lambda", lambda: lambda: None),
    ("a generator", _generator),
    ("a lock", threading.Lock),
    ("a file", io.StringIO),
    ("a compiled pattern", lambda: re.compile("x")),
    ("a set", lambda: {1, "a"}),
    ("a set of broken ones", lambda: {BrokenHash()}),
    ("a frozenset of NaN", lambda: frozenset({float("nan")})),
    ("a deque", lambda: collections.deque([1])),
    ("a counter", lambda: collections.Counter("aab")),
    ("a defaultdict", lambda: collections.defaultdict(list, {1: [2]})),
    ("a range", lambda: range(10**9)),
    ("an exception", lambda: ValueError(BrokenText())),
    ("an exception without text", BrokenTextError),
    ("an exception group", lambda: ExceptionGroup("g", [ValueError(1), BrokenTextError()])),
    ("an enum of NaN", lambda: Colour.RED),
    ("a dataclass", lambda: Held(BrokenText(), float("nan"))),
    ("a dataclass that holds itself", _self_held),
    ("a date of the year 1", lambda: datetime.datetime(1, 1, 1)),
    ("a time with a zone", lambda: datetime.time(1, tzinfo=datetime.UTC)),
    ("a time span", lambda: datetime.timedelta(days=10**6)),
    ("a UUID", lambda: uuid.UUID(int=0)),
    ("a path", lambda: pathlib.PurePosixPath("/a\udcff")),
    ("a cycle", _cycle),
    ("1,200 lists deep", lambda: _deep(1200)),
    ("1,200 dicts deep", lambda: _deep(1200, dict)),
    ("100,000 lists deep", lambda: _deep(100_000)),
    ("200,000 numbers", lambda: list(range(200_000))),
    ("20,000 fields", lambda: {f"field_{number}": number for number in range(20_000)}),
    ("a tuple as a name", lambda: {(1, 2): 3}),
    ("None as a name", lambda: {None: 1, True: 2, 1.5: 3, float("nan"): 4}),
    ("a surrogate as a name", lambda: {"\ud800": 1}),
    ("a broken name", lambda: {BrokenText(): 1}),
    ("names that are the same as text", lambda: {1: "a", "1": "b"}),
    ("bytes as a name", lambda: {b"\xff": 1}),
    ("endless: lists that share", lambda: _shared(64, "list")),
    ("endless: dicts that share", lambda: _shared(64, "dict")),
    ("endless: dataclasses that share", lambda: _shared(64, "held")),
)


def _raised(value: Any) -> BaseException:
    try:
        raise ValueError(value)
    except ValueError as error:
        return error


def _chained(value: Any) -> BaseException:
    try:
        try:
            raise BrokenTextError(value)
        except BrokenTextError as error:
            error.add_note("\ud800")
            raise KeyError(value) from error
    except KeyError as error:
        return error


def _bound(log: logging.Logger, value: Any, mark: Mapping[str, Any]) -> None:
    with context.bound({"bound": value}):
        log.info("bound", extra=mark)


def _made(**fields: Any) -> Callable[[logging.Logger, Any, Mapping[str, Any]], None]:
    """Return a way in by a record that somebody else made, with a field of the record's own replaced."""

    def way(log: logging.Logger, value: Any, mark: Mapping[str, Any]) -> None:
        told = {"name": "made", "msg": "made", "levelno": 20, "levelname": "INFO", **mark}
        log.handle(logging.makeLogRecord({**told, **dict.fromkeys(fields, value)}))

    return way


# Each takes a logger, a value and the fields that mark the record. `safe`: logging itself looks at nothing.
WAYS: tuple[tuple[str, Callable[[logging.Logger, Any, Mapping[str, Any]], None]], ...] = (
    ("as an extra", lambda log, value, mark: log.info("extra", extra={**mark, "value": value})),
    ("in a list", lambda log, value, mark: log.info("list", extra={**mark, "value": [1, value, 2]})),
    ("in a dict", lambda log, value, mark: log.info("dict", extra={**mark, "value": {"a": {"b": value}}})),
    ("in a dataclass", lambda log, value, mark: log.info("held", extra={**mark, "value": Held(value)})),
    ("as an argument", lambda log, value, mark: log.info("an argument: %s", value, extra=mark)),
    ("as an argument's repr", lambda log, value, mark: log.info("a repr: %r", value, extra=mark)),
    ("as a number that is none", lambda log, value, mark: log.info("a number: %d", value, extra=mark)),
    ("as an argument too many", lambda log, value, mark: log.info("none", value, value, extra=mark)),
    ("as the message", lambda log, value, mark: log.info(value, extra=mark)),
    ("under a taken name", lambda log, value, mark: log.info("t", extra={**mark, "log": value, "error": value})),
    ("under the time's name", lambda log, value, mark: log.info("t", extra={**mark, "@timestamp": value})),
    ("in an exception", lambda log, value, mark: log.error("e", exc_info=_raised(value), extra=mark)),
    ("in a chain of exceptions", lambda log, value, mark: log.error("e", exc_info=_chained(value), extra=mark)),
    ("in the context", _bound),
    ("as the record's own time", _made(created=None)),
    ("as the record's own place", _made(lineno=None, pathname=None, filename=None, funcName=None)),
    ("as the record's own thread", _made(threadName=None, process=None)),
    ("as the record's own text of an exception", _made(exc_text=None, stack_info=None)),
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Kind:
    """One kind of hostile record."""

    number: int
    name: str
    log: Callable[[logging.Logger], None]

    @property
    def endless(self) -> bool:
        return "endless" in self.name


def kinds() -> list[Kind]:
    """Return every value in every way."""
    found: list[Kind] = []
    for value_name, make in VALUES:
        for way_name, way in WAYS:
            number = len(found)

            def log(logger: logging.Logger, make: Any = make, way: Any = way, number: int = number) -> None:
                way(logger, make(), {MARK: number})

            found.append(Kind(number, f"{value_name}, {way_name}", log))
    return found
