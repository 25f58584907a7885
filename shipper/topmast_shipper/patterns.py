"""Grok patterns under the engine that Logstash uses: Oniguruma. Anchored, bounded, with ECS field names.

The pattern files are monitoring/logstash/patterns/, the ones that Logstash reads in compose mode: `NAME regex`, with
`%{NAME}`, `%{NAME:field}` and `%{NAME:field:int|float}`. Oniguruma's Python binding has no names for groups, but
numbers them in order, and plain groups do not count beside named ones (SHIPPING.md section 3.3).
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from topmast_shipper.errors import ConfigError

# A longer line is no access-log line, and a regular expression's time grows with it.
MAX_LINE_CHARACTERS = 32_768
_MAX_DEPTH = 32
_REFERENCE = re.compile(r"%\{(\w+)(?::([^:}]+))?(?::(int|float))?\}")
_PART = re.compile(r"\[([^\[\]]+)\]")
_CONVERT: dict[str, Callable[[str], Any]] = {"int": int, "float": float, "": str}


@dataclass(frozen=True)
class Grok:
    """A pattern ready to use: what it is called, and what each group is."""

    name: str
    groups: tuple[tuple[str, str], ...]
    """Dotted field and type of each named group, in order."""
    search: Callable[[str], Any]
    regex: str = ""
    """As Oniguruma has it, without the anchors."""
    steps: tuple[tuple[str, Callable[[str], Any]], ...] = ()
    """`groups`, with what makes a value of the text."""

    def match(self, line: str) -> dict[str, Any] | None:
        """Return the fields of a line that fits as a whole; None for another one.

        Also None where Oniguruma gives up: after ten million steps back (its own retry limit).
        """
        try:
            found = self.search(line)
        except (RuntimeError, ValueError):  # OnigError; half a character, which is no UTF-8
            return None
        if found is None:
            return None
        fields: dict[str, Any] = {}
        # places are of bytes; in ASCII these are characters
        begins, ends, data = found._begs, found._ends, found._s_b
        ascii_only = len(data) == len(line)
        number = 0
        for field, convert in self.steps:
            number += 1
            start = begins[number]
            # an unmatched group looks like an empty one, but for its place (SHIPPING.md section 3.3)
            if start < 0 or field in fields:
                continue
            value = line[start : ends[number]] if ascii_only else data[start : ends[number]].decode()
            fields[field] = value if convert is str else convert(value)
        return fields


def compile_pattern(name: str, definitions: Mapping[str, str]) -> Grok:
    """Return the pattern of that name. Raises ConfigError for a name or a regex that is none."""
    groups: list[tuple[str, str]] = []
    regex = _expand(f"%{{{name}}}", definitions, groups, 0)
    try:
        oniguruma = import_module("onigurumacffi")
    except ImportError as error:
        raise ConfigError("grok needs the package onigurumacffi: pip install 'topmast-shipper[grok]'") from error
    try:
        # a line may hold newlines (a traceback): the ends are the text's, not a line's
        compiled = oniguruma.compile(rf"\A(?:{regex})\z")
    except oniguruma.OnigError as error:
        raise ConfigError(f"pattern {name}: {error}") from error
    steps = tuple((field, _CONVERT[kind]) for field, kind in groups)
    return Grok(name, tuple(groups), compiled.match, regex, steps)


def load(folders: Sequence[Path]) -> dict[str, str]:
    """Return name → definition of every file in the folders. Raises ConfigError when two define one name."""
    definitions: dict[str, str] = {}
    for folder in folders:
        if not folder.is_dir():
            raise ConfigError(f"no folder of patterns: {folder}")
        for path in sorted(path for path in folder.iterdir() if path.is_file()):
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
                name, _, definition = line.strip().partition(" ")
                if not name or name.startswith("#"):
                    continue
                if name in definitions or not definition:
                    raise ConfigError(f"{path}:{number}: {name!r} is defined twice, or as nothing")
                definitions[name] = definition.strip()
    return definitions


@cache
def own() -> Mapping[str, str]:
    """Return the patterns that come with Topmast: of the wheel, else of the clone."""
    package = Path(__file__).resolve().parent
    packed = package / "grok_patterns"
    return load([packed if packed.is_dir() else package.parents[1] / "monitoring" / "logstash" / "patterns"])


def field_name(reference: str) -> str:
    """Return `[url][path]` as `url.path`; another name as it is."""
    return ".".join(_PART.findall(reference)) or reference


def _expand(text: str, definitions: Mapping[str, str], groups: list[tuple[str, str]], depth: int) -> str:
    """Return the regex with every reference written out, and note the fields in the order of their groups."""
    if depth > _MAX_DEPTH:
        raise ConfigError(f"patterns that refer to themselves: {text[:80]!r}")

    def write_out(found: re.Match[str]) -> str:
        name, field, kind = found.groups()
        if name not in definitions:
            raise ConfigError(f"no pattern {name!r}")
        if field is None:
            return f"(?:{_expand(definitions[name], definitions, groups, depth + 1)})"
        groups.append((field_name(field), kind or ""))
        number = len(groups)
        return f"(?<n{number}>{_expand(definitions[name], definitions, groups, depth + 1)})"

    return _REFERENCE.sub(write_out, text)


@dataclass(frozen=True)
class Stop:
    """Where a line stopped fitting."""

    position: int
    """So many characters of the line fit."""
    expected: str
    """The piece of the pattern that does not fit there; empty when the line should have ended."""


def stopped(name: str, definitions: Mapping[str, str], line: str) -> Stop:
    """Return how far a line that does not fit goes, in the alternative of the pattern in which it goes farthest."""
    best = Stop(-1, name)
    for alternative in _alternatives(definitions[name], definitions):
        pieces = _pieces(alternative)
        here = Stop(0, pieces[0] if pieces else "")
        for count in range(1, len(pieces) + 1):
            end = _fits("".join(pieces[:count]), definitions, line)
            if end is None:
                break
            here = Stop(end, pieces[count] if count < len(pieces) else "")
        best = max(best, here, key=lambda stop: stop.position)
    return best


def _alternatives(definition: str, definitions: Mapping[str, str]) -> list[str]:
    """Return the alternatives of `(?:%{A}|%{B})`, each written out; the definition itself where it is none."""
    names = re.fullmatch(r"\(\?:(%\{\w+\}(?:\|%\{\w+\})+)\)", definition)
    if names is None:
        return [definition]
    return [
        each
        for name in re.findall(r"%\{(\w+)\}", names[1])
        for each in _alternatives(definitions.get(name, ""), definitions)
    ]


# An escape, a class, a reference or one character, with how often it comes; parentheses are counted by hand.
_PIECE = re.compile(r"(?:%\{[^}]*\}|\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|[^()\\\[])(?:[*+?]|\{[0-9,]+\})?[+?]?")
_TIMES = re.compile(r"(?:[*+?]|\{[0-9,]+\})?[+?]?")


def _pieces(definition: str) -> list[str]:
    """Return a regex cut where it can be cut: outside of parentheses, runs of literal text in one."""
    pieces: list[str] = []
    position = depth = start = 0
    while position < len(definition):
        character = definition[position]
        if character in "()":
            depth += 1 if character == "(" else -1
            position += 1
            if depth == 0:
                times = _TIMES.match(definition, position)
                position = times.end() if times else position
                pieces.append(definition[start:position])
                start = position
            elif depth == 1 and character == "(":
                start = position - 1
            continue
        found = _PIECE.match(definition, position)
        position = found.end() if found else position + 1
        if depth == 0:
            pieces.append(definition[start:position])
            start = position
    return [*pieces, definition[start:]] if start < len(definition) else pieces


def _fits(prefix: str, definitions: Mapping[str, str], line: str) -> int | None:
    """Return where the longest beginning of the line that fits the regex ends; None when none fits."""
    oniguruma = import_module("onigurumacffi")
    try:
        found = oniguruma.compile(rf"\A(?:{_expand(prefix, definitions, [], 0)})").match(line)
    except (RuntimeError, ValueError):
        return None
    return int(found.end()) if found else None
