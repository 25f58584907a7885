"""Records of one shape: one regular expression tells them, and their documents are pieces of the lines.

An application writes few shapes: the same names in the same order with the same kinds of values. That a line has a
shape says that it is JSON, has no name twice and no number without end. What goes where is learnt by sending a
record of marks down the road of `swift`, so that both roads give the same document.
"""

import json
import re
from collections.abc import Sequence
from typing import Any

import orjson

from topmast_shipper.event import Origin, Position
from topmast_shipper.swift import Swift
from topmast_shipper.template import Run, Template

# A number that every reader has room for; a longer one takes another road.
_INTEGER = r"-?+(?!0\d)\d{1,18}+"
_NUMBER = _INTEGER + r"(?:\.\d{1,17}+)?+(?:[eE][+-]?\d{1,2})?+"
_CONSTANT = "(?:true|false|null)"
# The inside of a string: of a line without a backslash, and with (RFC 8259 section 7; surrogates in pairs only).
PLAIN = '[^"]*+'
ESCAPED = (
    r'[^"\\]*+(?:\\(?:["\\/bfnrt]|u(?![dD][89a-fA-F])[0-9a-fA-F]{4}'
    r'|u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})[^"\\]*+)*+'
)
# What stands for kinds of values; a time and a level are looked at afterwards, a backslash is in neither.
_FIXED = {
    "time": r'[^"]{19}\.\d{3}(?:\d{3})?Z',
    "level": '[^"]*+',
    "service": r'[^"\\]++',
    "version": r'[^"\\]++',
    "constant": _CONSTANT,
    "integer": _INTEGER,
    "number": _NUMBER,
}
# Groups of their own, with nothing before or behind them.
_ALONE = ("level", "service")
_SPECIAL = {"@timestamp": "", "log.level": "level", "service.name": "service", "ecs.version": "version"}
_NAME = re.compile(r"[A-Za-z0-9_@.-]+")
_KIND = {str: "string", int: "integer", float: "number", bool: "constant", type(None): "constant"}
_STYLES = ((",", ":"), (", ", ": "))

# Marks stand between two characters of the private use area; those of whole values and those inside quotes.
_MARK = re.compile("\ue000([a-z0-9]+)\ue001")
_WHOLE = re.compile('"(\ue000v[0-9]+\ue001)"')
_TIME = "2026-11-22T21:15:00.500Z"
_READ_AT = 1_795_382_160.0
_START = 987_654_321_098
_END = Position("\ue000id\ue001", 0, 0)
_LEVEL = re.compile('(level": ?)"info"')
_MAX_TEMPLATES = 256


def skeleton(value: object) -> Any:
    """Return the names in their order and the kinds of the values; None for what no shape is made of."""
    if type(value) is dict:
        inner = tuple((name, skeleton(each)) for name, each in value.items())
        return None if any(kind is None or not _NAME.fullmatch(name) for name, kind in inner) else inner
    if type(value) is list:
        return "list" if all(type(each) in _KIND for each in value) else None
    return _KIND.get(type(value))


class Shape:
    """One shape: its two expressions, and a template of the document for every origin."""

    def __init__(self, sample: bytes, origin: Origin) -> None:
        """Learn from a record. Raises ValueError when records of its shape need a longer road."""
        fields = orjson.loads(sample)
        kinds = skeleton(fields)
        if not isinstance(kinds, tuple) or "\ue000" in origin.path + origin.service:
            raise ValueError("not an object with usual names and values")
        self._kinds: dict[str, str] = {}
        self._marked = self._mark(fields, "")
        self._bare = not any(name.startswith("error") for name in fields) and sample.count(b'"message"') == 1
        self._templates: dict[Origin, Template | None] = {}
        for self._style in _STYLES:
            self._source = _MARK.split(self._text(self._marked))
            self._runs, between, _ = _runs(self._source, self._document(origin))
            self.escaped = self._expression(between, ESCAPED)
            if self.escaped.fullmatch(sample):
                self.plain = self._expression(between, PLAIN)
                return
        raise ValueError("not written as usual")

    def template(self, origin: Origin) -> Template | None:
        """Return how documents of lines from there are put together; None when they need a longer road."""
        if origin not in self._templates:
            if len(self._templates) >= _MAX_TEMPLATES:
                self._templates.clear()
            self._templates[origin] = self._template(origin)
        return self._templates[origin]

    def _template(self, origin: Origin) -> Template | None:
        try:
            document = self._document(origin)
        except ValueError:
            return None
        runs, _, texts = _runs(self._source, document)
        if runs != self._runs:
            return None
        return Template(_pieces(document, runs, texts), runs, origin, self._bare)

    def _mark(self, value: object, name: str) -> Any:
        """Return the value with marks for its leaves, and note the kind of each."""
        if isinstance(value, dict):
            before = name + "." if name else ""
            return {key: self._mark(each, before + key) for key, each in value.items()}
        if name in ("@timestamp", "log.level", "message", *_SPECIAL) and type(value) is not str:
            raise ValueError(f"{name} is no text")
        if name == "@timestamp":
            self._kinds["time"] = "time"
            return _TIME
        if name == "log.level":
            self._kinds["level"] = "level"
            return "info"
        kind = skeleton(value)
        mark = f"{'s' if kind == 'string' else 'v'}{len(self._kinds)}"
        if name in _SPECIAL:
            mark = kind = _SPECIAL[name]
        self._kinds[mark] = kind
        return f"\ue000{mark}\ue001"

    def _text(self, record: object) -> str:
        """Return the record as the application writes JSON, the marks of whole values without quotes."""
        text = json.dumps(record, separators=self._style, ensure_ascii=False)
        text = text.replace(_TIME, "\ue000time\ue001")
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

    def _expression(self, between: Sequence[str], inside: str) -> re.Pattern[bytes]:
        """Return what a line must be; its groups are the runs."""
        scalar = f'(?:"{inside}"|{_NUMBER}|{_CONSTANT})'
        patterns = {**_FIXED, "string": inside, "list": rf"\[(?:{scalar}(?:, ?{scalar})*+)?+\]"}
        parts = [re.escape(between[0])]
        at = 0
        for run in self._runs:
            parts.append("(" + re.escape(run.lead))
            for mark in run.marks:
                parts.append(patterns[self._kinds[mark]])
                at += 1
                if mark != run.marks[-1]:
                    parts.append(re.escape(between[at]))
            parts.append(re.escape(run.trail) + ")" + re.escape(between[at]))
        return re.compile(f"^{''.join(parts)}$".encode(), re.MULTILINE)


def _runs(source: Sequence[str], document: Sequence[str]) -> tuple[list[Run], list[str], list[str]]:
    """Return the runs in the order of the source, and the texts of both without what runs have taken of them."""
    together = {(document[at], document[at + 2]): document[at + 1] for at in range(1, len(document) - 2, 2)}
    chosen: list[list[str]] = []
    before = ""
    for at in range(1, len(source), 2):
        mark = source[at]
        apart = mark == "time" or mark in _ALONE or before in _ALONE
        if not apart and together.get((before, mark)) == source[at - 1]:
            chosen[-1].append(mark)
        else:
            chosen.append([mark])
        before = mark
    ours, theirs, runs = list(source[0::2]), list(document[0::2]), list[Run]()
    place = {mark: number for number, mark in enumerate(document[1::2])}
    at = 0
    for marks in chosen:
        first, last, begin, end = at, at + len(marks), place[marks[0]], place[marks[-1]] + 1
        at, lead, trail = last, "", ""
        if marks[0] not in _ALONE:
            lead = _common(ours[first][::-1], theirs[begin][::-1])[::-1]
            ours[first], theirs[begin] = ours[first].removesuffix(lead), theirs[begin].removesuffix(lead)
            trail = _common(ours[last], theirs[end])
            ours[last], theirs[end] = ours[last].removeprefix(trail), theirs[end].removeprefix(trail)
        runs.append(Run(tuple(marks), lead, trail))
    return runs, ours, theirs


def _common(one: str, other: str) -> str:
    """Return what both texts begin with."""
    length = next((at for at, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]), None)
    return min(one, other, key=len) if length is None else one[:length]


def _pieces(document: Sequence[str], runs: Sequence[Run], texts: Sequence[str]) -> list[tuple[str, ...]]:
    """Return what the document is put together from, in its order."""
    length = {run.marks[0]: len(run.marks) for run in runs}
    pieces: list[tuple[str, ...]] = [("text", texts[0])]
    at, marks = 0, document[1::2]
    while at < len(marks):
        mark = marks[at]
        at += length.get(mark, 1)
        if mark in length:
            pieces += [(mark,), ("text", texts[at])]
        else:
            # a number is written together with the text around it
            before = pieces.pop()[1] if pieces[-1][0] == "text" else ""
            pieces.append((mark, before, texts[at]))
    return [piece for piece in pieces if piece != ("text", "")]
