"""Records of one shape: one regular expression tells them, and their documents are pieces of the lines.

An application writes few shapes: the same names in the same order with the same kinds of values. That a line has a
shape says that it is JSON, has no name twice and no number without end. What goes where is learnt by sending a
record of marks down the road of `swift`, so that both roads give the same document.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import repeat
from operator import add
from typing import Any, Generic, NamedTuple, TypeVar

import orjson

from topmast_shipper import timestamps
from topmast_shipper.ecs import FUTURE_MICROSECONDS, LEVELS, level_of
from topmast_shipper.event import Origin, Position
from topmast_shipper.swift import Swift

# A number that every reader has room for; a longer one takes another road.
_NUMBER = r"-?(?:0|[1-9]\d{0,17}+)(?:\.\d{1,17}+)?+(?:[eE][+-]?\d{1,2})?+"
_CONSTANT = "(?:true|false|null)"
# The inside of a string: of a line without a backslash, and with (RFC 8259 section 7; surrogates in pairs only).
PLAIN = '[^"]*'
ESCAPED = (
    r'[^"\\]*+(?:\\(?:["\\/bfnrt]|u(?![dD][89a-fA-F])[0-9a-fA-F]{4}'
    r'|u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})[^"\\]*+)*+'
)
# Values that are looked at, so apart from their neighbours, and what they must be to go this road.
_LOOKED_AT = {
    "second": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d",
    "fraction": r"\.(?:\d{3}|\d{6})Z",
    "level": r"[A-Za-z]{1,15}",
    "service": r'[^"\\]+',
    "message": "",
}
_FIXED = {**_LOOKED_AT, "version": r'[^"\\]+', "constant": _CONSTANT, "number": _NUMBER}
_SPECIAL = {"@timestamp": "", "log.level": "level", "service.name": "service", "ecs.version": "version"}
_NAME = re.compile(r"[A-Za-z0-9_@.-]+")
_KIND = {str: "string", int: "number", float: "number", bool: "constant", type(None): "constant"}
_STYLES = ((",", ":"), (", ", ": "))

# Marks stand between two characters of the private use area; those of whole values and those inside quotes.
_MARK = re.compile("\ue000([a-z0-9]+)\ue001")
_WHOLE = re.compile('"(\ue000v[0-9]+\ue001)"')
_TIME = "2026-11-22T21:15:00.500Z"
_READ_AT = 1_795_382_160.0
_START = 987_654_321_098
_END = Position("\ue000id\ue001", 0, 0)
_LEVEL = re.compile('(level": ?)"info"')
_LEVEL_BYTES = {level: level.encode() for level in LEVELS}
_MAX_MEMORY = 4096

Value = TypeVar("Value")


def skeleton(value: object) -> Any:
    """Return the names in their order and the kinds of the values; None for what no shape is made of."""
    if type(value) is dict:
        inner = tuple((name, skeleton(each)) for name, each in value.items())
        return None if any(kind is None or not _NAME.fullmatch(name) for name, kind in inner) else inner
    if type(value) is list:
        return "list" if all(type(each) in _KIND for each in value) else None
    return _KIND.get(type(value))


class Place(NamedTuple):
    """Where the lines of one read are from."""

    prefix: str
    """Stream and generation, as ids begin."""
    origin: Origin
    starts: Sequence[int]
    ends: Sequence[int]
    now: int
    """Microseconds since 1970."""

    def of(self, at: Sequence[int]) -> "Place":
        """Return the place of some of the lines."""
        return self._replace(starts=[self.starts[each] for each in at], ends=[self.ends[each] for each in at])


class Columns(NamedTuple):
    """The documents of lines of one shape, and what is known of them."""

    at: Sequence[int]
    """Which lines of the read."""
    documents: list[bytes]
    times: list[int]
    levels: list[str]
    services: list[str]
    messages: list[bytes]


class _Known(Generic[Value]):
    """Values that come again and again, understood once. Threads may share it: the worst is to think twice."""

    def __init__(self, understand: Callable[[bytes], Value]) -> None:
        self._understand = understand
        self._known: dict[bytes, Value] = {}

    def __call__(self, values: Iterable[bytes]) -> Mapping[bytes, Value]:
        """Return what these values mean, and others do."""
        known = self._known
        if len(known) > _MAX_MEMORY:
            known = self._known = {}
        for each in set(values) - known.keys():
            known[each] = self._understand(each)
        return known


class Memory:
    """What the shapes of one input have understood."""

    def __init__(self) -> None:
        self.seconds = _Known[int](lambda text: timestamps.parse(text.decode() + "Z") or 0)
        """Microseconds; 0 for what is no time."""
        self.fractions = _Known[int](lambda text: int(text[1:-1].ljust(6, b"0")))
        self.levels = _Known[str](lambda text: level_of(text.decode()) or "")
        self.services = _Known[str](bytes.decode)


class Shape:
    """One shape: its two expressions, and a template of the document for every origin."""

    def __init__(self, sample: bytes, origin: Origin) -> None:
        """Learn from a record. Raises ValueError when records of its shape need a longer road."""
        fields = orjson.loads(sample)
        kinds = skeleton(fields)
        if not isinstance(kinds, tuple) or "\ue000" in origin.path + origin.service:
            raise ValueError("not an object with usual names and values")
        self._kinds: dict[str, str] = {}
        self._marked = self._mark(fields, "", any(name.startswith("error") for name in fields))
        self._templates: dict[Origin, _Template | None] = {}
        for self._style in _STYLES:
            self._source = _MARK.split(self._text(self._marked))
            self._runs = self._side_by_side(self._document(origin))
            self.escaped = self._expression(ESCAPED)
            if self.escaped.fullmatch(sample):
                self.plain = self._expression(PLAIN)
                return
        raise ValueError("not written as usual")

    def template(self, origin: Origin) -> "_Template | None":
        """Return how documents of lines from there are put together; None when they need a longer road."""
        if origin not in self._templates:
            if len(self._templates) >= _MAX_MEMORY:
                self._templates.clear()
            try:
                document = self._document(origin)
            except ValueError:
                document = []
            same = document and self._side_by_side(document) == self._runs
            self._templates[origin] = _Template(document, self._runs, origin) if same else None
        return self._templates[origin]

    def _mark(self, value: object, name: str, has_error: bool) -> Any:
        """Return the value with marks for its leaves, and note the kind of each."""
        if isinstance(value, dict):
            before = name + "." if name else ""
            return {key: self._mark(each, before + key, has_error) for key, each in value.items()}
        if name in ("@timestamp", "log.level", "message", *_SPECIAL) and type(value) is not str:
            raise ValueError(f"{name} is no text")
        if name == "@timestamp":
            self._kinds |= {"second": "second", "fraction": "fraction"}
            return _TIME
        if name == "log.level":
            self._kinds["level"] = "level"
            return "info"
        kind = skeleton(value)
        mark = f"{'s' if kind == 'string' else 'v'}{len(self._kinds)}"
        if name in _SPECIAL:
            mark = kind = _SPECIAL[name]
        elif name == "message" and not has_error:
            mark = "message"
        self._kinds[mark] = kind
        return f"\ue000{mark}\ue001"

    def _text(self, record: object) -> str:
        """Return the record as the application writes JSON, the marks of whole values without quotes."""
        text = json.dumps(record, separators=self._style, ensure_ascii=False)
        text = text.replace(_TIME, "\ue000second\ue001\ue000fraction\ue001")
        return _WHOLE.sub(r"\1", _LEVEL.sub('\\1"\ue000level\ue001"', text))

    def _document(self, origin: Origin) -> list[str]:
        """Return the document of the record of marks: text, mark, text, …, text."""
        event = Swift().complete(b"", _END, _START, origin, _READ_AT, json.loads(json.dumps(self._marked)))
        if event is None:
            raise ValueError("a record for a longer road")
        text = self._text(event.document).replace(_END.key, "\ue000id\ue001")
        document = _MARK.split(text.replace(str(_START), "\ue000offset\ue001"))
        if sorted(document[1::2]) != sorted([*self._source[1::2], "id", "offset"]):
            raise ValueError("a name that looks like one of ours")
        return document

    def _side_by_side(self, document: Sequence[str]) -> list[tuple[str, ...]]:
        """Return the marks of the source in its order, those together that the document has together, too."""
        between = {(document[at], document[at + 2]): document[at + 1] for at in range(1, len(document) - 2, 2)}
        runs: list[tuple[str, ...]] = []
        before = ""
        for at in range(1, len(self._source), 2):
            mark = self._source[at]
            together = between.get((before, mark)) == self._source[at - 1]
            if together and mark not in _LOOKED_AT and before not in _LOOKED_AT:
                runs[-1] += (mark,)
            else:
                runs.append((mark,))
            before = mark
        return runs

    def _expression(self, inside: str) -> re.Pattern[bytes]:
        scalar = f'(?:"{inside}"|{_NUMBER}|{_CONSTANT})'
        patterns = {**_FIXED, "string": inside, "message": inside, "list": rf"\[(?:{scalar}(?:, ?{scalar})*+)?+\]"}
        first, last = {run[0] for run in self._runs}, {run[-1] for run in self._runs}
        parts = [re.escape(self._source[0])]
        for mark, text in zip(self._source[1::2], self._source[2::2], strict=True):
            opened, closed = "(" if mark in first else "", ")" if mark in last else ""
            parts.append(f"{opened}{patterns[self._kinds[mark]]}{closed}{re.escape(text)}")
        return re.compile(f"^{''.join(parts)}$".encode(), re.MULTILINE)


class _Template:
    """How the documents of one shape and one origin are put together: groups of the expression, text, numbers."""

    def __init__(self, document: Sequence[str], runs: Sequence[tuple[str, ...]], origin: Origin) -> None:
        self._service = origin.service
        self._group = {run[0]: number for number, run in enumerate(runs)}
        self._pieces: list[list[str]] = [["text", document[0]]]
        length = {run[0]: len(run) for run in runs}
        at = 1
        while at < len(document):
            mark = document[at]
            at += 2 * length.get(mark, 1)
            text = document[at - 1]
            if mark in self._group:
                self._pieces += [["group", mark], ["text", text]]
            elif self._pieces[-1][0] == "text":
                # a number is written together with the text around it
                self._pieces[-1] = [mark, self._pieces[-1][1], text]
            else:
                self._pieces.append([mark, "", text])

    def columns(self, at: Sequence[int], parts: Sequence[tuple[bytes, ...]], place: Place, memory: Memory) -> Columns:
        """Return the documents of these lines, but of those whose time or level needs a longer road."""
        groups = list(zip(*parts, strict=True))
        second, level = self._group["second"], self._group["level"]
        seconds, levels = memory.seconds(groups[second]), memory.levels(groups[level])
        latest = place.now + FUTURE_MICROSECONDS - 1_000_000
        late = {each for each in set(groups[second]) if not 0 < seconds[each] <= latest}
        strange = {each for each in set(groups[level]) if not levels[each]}
        if late or strange:
            kept = [
                number for number, row in enumerate(parts) if row[second] not in late and row[level] not in strange
            ]
            if not kept:
                return Columns((), [], [], [], [], [])
            return self.columns([at[each] for each in kept], [parts[each] for each in kept], place.of(kept), memory)
        fractions = memory.fractions(groups[self._group["fraction"]])
        micros = map(fractions.__getitem__, groups[self._group["fraction"]])
        said = list(map(levels.__getitem__, groups[level]))
        return Columns(
            at,
            self._documents(groups, said, place),
            list(map(add, map(seconds.__getitem__, groups[second]), micros)),
            said,
            self._services(groups, memory),
            list(groups[self._group["message"]]) if "message" in self._group else [b""] * len(parts),
        )

    def _documents(self, groups: Sequence[Sequence[bytes]], levels: Sequence[str], place: Place) -> list[bytes]:
        columns: list[Iterable[bytes]] = []
        for what, *texts in self._pieces:
            if what == "text":
                columns.append(repeat(texts[0].encode()))
            elif what == "group":
                column = groups[self._group[texts[0]]]
                columns.append(column if texts[0] != "level" else [_LEVEL_BYTES[level] for level in levels])
            else:
                before, after = (text.replace("%", "%%") for text in texts)
                number = "%d" if what == "offset" else f"{place.prefix}%012x"
                numbers = place.starts if what == "offset" else place.ends
                columns.append(map(f"{before}{number}{after}".encode().__mod__, numbers))
        return list(map(b"".join, zip(*columns, strict=False)))

    def _services(self, groups: Sequence[Sequence[bytes]], memory: Memory) -> list[str]:
        if "service" not in self._group:
            return [self._service] * len(groups[0])
        said = groups[self._group["service"]]
        return list(map(memory.services(said).__getitem__, said))
