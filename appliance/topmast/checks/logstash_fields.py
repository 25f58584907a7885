"""Logstash's fields: read before they are removed, JSON read as JSON, none stored that only chose an output."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from topmast.check import Check, Spot, Tree
from topmast.logstash.lscl import (
    Branch,
    Combination,
    Comparison,
    Condition,
    LsclError,
    Negation,
    Plugin,
    Section,
    Selector,
    Statement,
    Value,
    parse,
)

# A key and its colon, as JSON writes them, in a pattern where a quote may be escaped.
_JSON_KEY = re.compile(r"""^(?:\\A|\^)?\s*\\?\{\s*\\?"|\\?"[\w.@-]+\\?"\s*(?:\\s\*)?:""")
# The filters that read one field, and under which option they name it.
_SOURCES = {
    "json": "source",
    "kv": "source",
    "csv": "source",
    "xml": "source",
    "useragent": "source",
    "geoip": "source",
}
_MESSAGE = {"message", "[message]"}
_READ = re.compile(r"%\{\[?message\]?\}")


def run(tree: Tree) -> Iterator[Spot]:
    for path, text in tree.documents.items():
        if path.suffix == ".conf" and re.search(r"^\s*(input|filter|output)\s*\{", text, re.MULTILINE):
            try:
                sections = parse(text)
            except LsclError:
                continue  # the check `logstash` tells it
            yield from _file(path, sections)


def _file(path: Path, sections: Sequence[Section]) -> Iterator[Spot]:
    filters = [each for each in sections if each.kind == "filter"]
    for section in filters:
        for plugin in section.plugins():
            if plugin.name == "grok" and any(_JSON_KEY.search(each) for each in _expressions(plugin)):
                yield Spot(path, plugin.line, "grok: reads JSON: the json filter does it whole, in any order of keys")
    body = [each for section in filters for each in section.body]
    for line, reader in _too_late(body, None)[1]:
        yield Spot(path, line, f"{reader}: reads message, which a filter in front has removed")
    yield from _double(path, sections)
    yield from _for_the_way(path, sections)


def _too_late(body: Sequence[Statement], removed: int | None) -> tuple[int | None, list[tuple[int, str]]]:
    """Return the line that has removed `message` for certain by the end, and who reads it after that."""
    found: list[tuple[int, str]] = []
    for each in body:
        if isinstance(each, Branch):
            ends = []
            for _, inner in each.arms:
                end, late = _too_late(inner, removed)
                ends.append(end)
                found += late
            # Only when every arm has removed it and there is no way around them.
            if each.arms[-1][0] is None and all(end is not None for end in ends):
                removed = ends[0]
            continue
        if removed is not None and _reads_message(each):
            found.append((each.line, each.name))
        if _writes_message(each):
            removed = None
        elif _MESSAGE & set(_texts(each.get("remove_field") or [])):
            removed = each.line
    return removed, found


def _reads_message(plugin: Plugin) -> bool:
    if plugin.name in ("grok", "dissect"):
        match = plugin.get("match" if plugin.name == "grok" else "mapping")
        return isinstance(match, dict) and bool(_MESSAGE & match.keys())
    if option := _SOURCES.get(plugin.name):
        # kv reads it when nothing is said.
        return plugin.get(option) in _MESSAGE or (plugin.name in ("kv", "csv") and plugin.get(option) is None)
    if plugin.name == "mutate":
        options = {name: value for name, value in plugin.options if name in ("rename", "copy", "gsub", "split")}
        touched = {text for value in options.values() for text in _first(value)}
        return bool(_MESSAGE & touched) or any(
            _READ.search(text) for _, value in plugin.options for text in _texts(value)
        )
    return False


def _writes_message(plugin: Plugin) -> bool:
    if plugin.name != "mutate":
        return False
    written = {text for name in ("rename", "copy") for text in _second(plugin.get(name))}
    keys = {key for name in ("add_field", "replace") for key in _first(plugin.get(name))}
    return bool(_MESSAGE & (written | keys))


def _double(path: Path, sections: Sequence[Section]) -> Iterator[Spot]:
    """A json codec takes the line apart already; the filter behind it takes apart what may be a field of its own."""
    codecs = [plugin for each in sections if each.kind == "input" for plugin in each.plugins()]
    if not codecs or not all(_is_json(plugin.get("codec")) for plugin in codecs):
        return
    for section in sections:
        for plugin in section.plugins() if section.kind == "filter" else ():
            if plugin.name == "json" and plugin.get("source") in _MESSAGE:
                yield Spot(path, plugin.line, "json: the input's codec has read the line already: one of the two")


def _is_json(codec: Value | None) -> bool:
    name = codec.name if isinstance(codec, Plugin) else codec
    return name in ("json", "json_lines")


def _for_the_way(path: Path, sections: Sequence[Section]) -> Iterator[Spot]:
    """A field of one's own that only chooses an output is stored with every document."""
    made: dict[tuple[str, ...], int] = {}
    removed: set[tuple[str, ...]] = set()
    for section in sections:
        for plugin in section.plugins() if section.kind in ("input", "filter") else ():
            for key in _first(plugin.get("add_field")):
                made.setdefault(_path(key), plugin.line)
            removed |= {_path(text) for text in _texts(plugin.get("remove_field") or [])}
    asked: set[tuple[str, ...]] = set()
    for section in sections:
        if section.kind == "output":
            asked |= _asked(section.body)
    for field in sorted((made.keys() & asked) - removed):
        # One level: what ECS names is nested, and is meant for the document.
        if len(field) == 1 and field != ("@metadata",):
            name = f"[{field[0]}]"
            yield Spot(
                path, made[field], f"{name} chooses an output and is stored with the document: [@metadata]{name}"
            )


def _asked(body: Sequence[Statement]) -> set[tuple[str, ...]]:
    found: set[tuple[str, ...]] = set()
    for each in body:
        if isinstance(each, Branch):
            for condition, inner in each.arms:
                found |= _selectors(condition) | _asked(inner)
    return found


def _selectors(condition: Condition | None) -> set[tuple[str, ...]]:
    if isinstance(condition, Selector):
        return {condition.path}
    if isinstance(condition, Negation):
        return _selectors(condition.of)
    if isinstance(condition, Combination):
        return _selectors(condition.left) | _selectors(condition.right)
    if isinstance(condition, Comparison):
        return {each.path for each in (condition.left, condition.right) if isinstance(each, Selector)}
    return set()


def _path(text: str) -> tuple[str, ...]:
    return tuple(re.findall(r"[^\[\]]+", text))


def _expressions(plugin: Plugin) -> list[str]:
    match = plugin.get("match")
    return [text for each in match.values() for text in _texts(each)] if isinstance(match, dict) else []


def _first(value: Value | None) -> list[str]:
    """Return the keys of a hash, or every string of a list (gsub takes three by three)."""
    if isinstance(value, dict):
        return list(value)
    return list(_texts(value)) if isinstance(value, list) else []


def _second(value: Value | None) -> list[str]:
    return [text for each in value.values() for text in _texts(each)] if isinstance(value, dict) else []


def _texts(value: Value) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)
    elif isinstance(value, dict):
        for key, each in value.items():
            yield key
            yield from _texts(each)


CHECK = Check(name="logstash_fields", summary="Logstash's fields are read before they are removed", run=run)
