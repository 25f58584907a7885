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

    def match(self, line: str) -> dict[str, Any] | None:
        """Return the fields of a line that fits as a whole; None for another one."""
        found = self.search(line)
        if found is None:
            return None
        fields: dict[str, Any] = {}
        for number, (field, kind) in enumerate(self.groups, start=1):
            # an unmatched group looks like an empty one, but for its place (SHIPPING.md section 3.3)
            if found._begs[number] >= 0 and field not in fields:
                fields[field] = _CONVERT[kind](found.group(number))
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
    return Grok(name, tuple(groups), compiled.match)


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
