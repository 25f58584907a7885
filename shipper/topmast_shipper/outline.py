"""Documents of one outline: the same names in the same order, with the same kinds of values between them.

One regular expression finds what the store asks for, without taking the document apart. Documents are the shipper's
own JSON: no line break is in them, and no name twice.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import orjson

from topmast_shipper import ecs, store

# As it stands where there is no backslash (a line break in a string is no JSON).
_STRING = rb'[^"]*+'
# Whole numbers that Python reads as whole, and writes the same way; others are no words.
_WHOLE = rb"(?!-0)-?\d{1,18}+"
_FRACTION = rb"-?\d++(?=[.eE])[-+.\deE]++"
_CONSTANT = rb"(?:true|false|null)"
_TOKEN = re.compile(
    rb'"(?P<name>[^"]*+)"\s*:|"(?P<string>[^"]*+)"|(?P<number>-?\d[-+.\deE]*+)|(?P<constant>true|false|null)'
    rb"|(?P<open>[{\[])|(?P<close>[}\]])"
)


class Columns(NamedTuple):
    """What documents say, one value each."""

    statuses: list[int | None]
    """`http.response.status_code`, where it is a whole number."""
    messages: list[str]
    words: list[str]
    """The words and whole numbers of the other fields (`store.worded`)."""


def read(document: bytes) -> tuple[int | None, str, str]:
    """Return the status, the message and the words, read as JSON. Raises ValueError or KeyError."""
    fields = orjson.loads(document)
    return _status(fields), fields["message"], store.worded(fields)


class Outline:
    """What documents have in common with one of them, and where they differ."""

    def __init__(self, document: bytes) -> None:
        """Learn from a document of at most WORDED_CHARACTERS without a backslash."""
        self._message = self._status = -1
        self._words: list[int] = []
        self._groups = 0
        # with an empty group behind, one group alone comes as a tuple, too
        self.source = b"^" + b"".join(self._patterns(document)) + b"()$"

    @cached_property
    def expression(self) -> re.Pattern[bytes]:
        return re.compile(self.source, re.MULTILINE)

    def fits(self, document: bytes) -> bool:
        """Return whether the expression finds in the document what is read in it as JSON."""
        match = self.expression.fullmatch(document)
        if match is None or self._message < 0:
            return False
        return [tuple(row) for row in zip(*self.columns([match.groups()]), strict=True)] == [read(document)]

    def columns(self, parts: Sequence[tuple[bytes, ...]]) -> Columns:
        """Return what documents say, by the groups of the expression in each."""
        groups = list(zip(*parts, strict=True))
        words = zip(*(groups[at] for at in self._words), strict=True) if self._words else [()] * len(parts)
        return Columns(
            [None] * len(parts) if self._status < 0 else list(map(int, groups[self._status])),
            list(map(bytes.decode, groups[self._message])),
            list(map(bytes.decode, map(b"\n".join, words))),
        )

    def _patterns(self, document: bytes) -> Iterator[bytes]:
        """Yield the expression's pieces, and note which group is what."""
        at, name, path = 0, "", list[str]()
        for token in _TOKEN.finditer(document):
            yield re.escape(document[at : token.start()])
            at = token.end()
            kind = token.lastgroup
            if kind == "name":
                name = token["name"].decode()
            elif kind == "open":
                path.append(name)
                name = ""  # in a list, nothing has one
            elif kind == "close":
                path.pop()
                name = ""
            if kind in ("name", "open", "close"):
                yield re.escape(token[0])
            elif kind == "string":
                yield b'"' + self._value(_STRING, (*path[1:], name)) + b'"'
            elif kind == "number" and re.fullmatch(_WHOLE, token[0]):
                yield self._value(_WHOLE, (*path[1:], name))
            else:
                yield _FRACTION if kind == "number" else _CONSTANT
        yield re.escape(document[at:])

    def _value(self, pattern: bytes, path: Sequence[str]) -> bytes:
        """Return the pattern of a value, as a group when it is asked for."""
        if tuple(path) == ("message",):
            self._message = self._groups
        elif store.is_worded(path):
            self._words.append(self._groups)
        else:
            return pattern
        if tuple(path) == ("http", "response", "status_code") and pattern is _WHOLE:
            self._status = self._groups
        self._groups += 1
        return b"(" + pattern + b")"


def _status(document: Mapping[str, Any]) -> int | None:
    """Return `http.response.status_code` when it is a whole number."""
    if "http" not in document:
        return None
    try:
        status = document["http"]["response"]["status_code"]
    except (KeyError, TypeError):
        status = ecs.get(document, "http.response.status_code")
    return status if type(status) is int else None
