"""The filters that our pipelines use, carried out as Logstash's plugins do it (their Ruby sources say the order).

An option that is not known here is refused, so that a pipeline cannot be proved by what is left out.
"""

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from importlib import import_module
from typing import Any
from zoneinfo import ZoneInfo

from topmast_shipper import patterns

from topmast.logstash.event import Event, path_of
from topmast.logstash.lscl import Plugin


class UnsupportedError(Exception):
    """A filter, an option or a form of one that is not carried out here."""


Options = Mapping[str, Any]
# What every filter has, done when it succeeded; and what says nothing about the event.
_COMMON = {"add_field", "remove_field", "add_tag", "remove_tag", "id", "ecs_compatibility"}


def apply(plugin: Plugin, event: Event) -> None:
    """Change the event as the plugin would. Raises UnsupportedError."""
    known = FILTERS.get(plugin.name)
    options = dict(plugin.options)
    if known is None:
        raise UnsupportedError(f"line {plugin.line}: the filter {plugin.name}")
    run, own = known
    if unknown := options.keys() - own - _COMMON:
        raise UnsupportedError(f"line {plugin.line}: {plugin.name}: the option {sorted(unknown)[0]}")
    if run(options, event):
        _matched(options, event)


def _matched(options: Options, event: Event) -> None:
    for name, value in options.get("add_field", {}).items():
        path, text = path_of(event.format(name)), event.format(value)
        if event.has(path):  # a second value makes a list of the two
            present = event.get(path)
            event.set(path, [*(present if isinstance(present, list) else [present]), text])
        else:
            event.set(path, text)
    for name in _list(options.get("remove_field", [])):
        event.remove(path_of(event.format(name)))
    event.tag(*map(event.format, _list(options.get("add_tag", []))))
    for name in _list(options.get("remove_tag", [])):
        if name in event.fields.get("tags", []):
            event.fields["tags"].remove(name)


def _list(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value]


def _mutate(options: Options, event: Event) -> bool:
    """In Logstash's order of operations, whatever the order in which they are written."""
    for old, new in options.get("rename", {}).items():
        source = path_of(event.format(old))
        if event.has(source):
            event.set(path_of(event.format(new)), event.remove(source))
    for name, value in options.get("update", {}).items():
        if event.has(path_of(name)):
            event.set(path_of(name), event.format(value))
    for name, value in options.get("replace", {}).items():
        event.set(path_of(name), event.format(value))
    for name, kind in options.get("convert", {}).items():
        if event.get(path_of(name)) is not None:
            event.set(path_of(name), _CONVERT[kind](event.get(path_of(name))))
    triples = options.get("gsub", [])
    for field, pattern, text in zip(*[iter(triples)] * 3, strict=True):
        if isinstance(value := event.get(path_of(field)), str):
            event.set(path_of(field), _gsub(pattern, text, value))
    for name in _list(options.get("lowercase", [])):
        if isinstance(value := event.get(path_of(name)), str):
            event.set(path_of(name), value.lower())
    for name in _list(options.get("strip", [])):
        if isinstance(value := event.get(path_of(name)), str):
            event.set(path_of(name), value.strip())
    for source, target in options.get("copy", {}).items():
        if event.has(path_of(source)):
            event.set(path_of(target), event.get(path_of(source)))
    return True


_CONVERT: Mapping[str, Callable[[Any], Any]] = {
    "integer": lambda value: int(float(value)),
    "float": float,
    "string": str,
}


def _gsub(pattern: str, text: str, value: str) -> str:
    found = import_module("onigurumacffi").compile(pattern)
    out, at = [], 0
    while at <= len(value) and (match := found.search(value, at)) is not None:
        out += [value[at : match.start()], text]
        if match.end() == match.start():
            out.append(value[match.start() : match.start() + 1])
            at = match.end() + 1
        else:
            at = match.end()
    return "".join(out) + value[at:]


def _json(options: Options, event: Event) -> bool:
    source = event.get(path_of(options["source"]))
    if source is None:
        return False
    try:
        parsed = json.loads(source)
    except (TypeError, ValueError):
        if options.get("skip_on_invalid_json") != "true":
            event.tag(*_list(options.get("tag_on_failure", ["_jsonparsefailure"])))
        return False
    if "target" not in options:
        raise UnsupportedError("json without target: it would overwrite whatever the line names")
    event.set(path_of(options["target"]), parsed)
    return True


def _grok(options: Options, event: Event) -> bool:
    overwrite = {patterns.field_name(name) for name in _list(options.get("overwrite", []))}
    for field, expressions in options["match"].items():
        text = event.get(path_of(field))
        if not isinstance(text, str):
            continue
        for expression in _list(expressions):
            fields = _compiled(expression).match(text)
            if fields is None:
                continue
            for name, value in fields.items():
                if value != "":
                    _captured(event, tuple(name.split(".")), value, name in overwrite)
            return True
    event.tag(*_list(options.get("tag_on_failure", ["_grokparsefailure"])))
    return False


def _captured(event: Event, path: tuple[str, ...], value: Any, overwrite: bool) -> None:
    """A field that is there already becomes a list of both, unless grok is told to overwrite it."""
    present = event.get(path)
    if present is None or overwrite:
        event.set(path, value)
    else:
        event.set(path, [*(present if isinstance(present, list) else [present]), value])


@lru_cache(maxsize=256)
def _compiled(expression: str) -> patterns.Grok:
    if not (expression.startswith((r"\A", "^")) and expression.endswith((r"\z", "$"))):
        raise UnsupportedError(f"grok without anchors: {expression:.80}")
    inner = expression.removeprefix(r"\A").removeprefix("^").removesuffix(r"\z").removesuffix("$")
    return patterns.compile_pattern("EXPRESSION", {**patterns.own(), "EXPRESSION": inner})


def _date(options: Options, event: Event) -> bool:
    name, *forms = options["match"]
    value = event.get(path_of(name))
    if value is None:
        return False
    for form in forms:
        moment = _moment(str(value), form, options.get("timezone"))
        if moment is not None:
            text = moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
            event.set(path_of(options.get("target", "@timestamp")), text)
            return True
    event.tag(*_list(options.get("tag_on_failure", ["_dateparsefailure"])))
    return False


_JODA = {
    "yyyy": "%Y",
    "MMM": "%b",
    "MM": "%m",
    "dd": "%d",
    "HH": "%H",
    "mm": "%M",
    "ss": "%S",
    "SSS": "%f",
    "Z": "%z",
}


def _moment(text: str, form: str, zone: str | None) -> datetime | None:
    try:
        if form in ("UNIX", "UNIX_MS"):
            return datetime.fromtimestamp(float(text) / (1000 if form == "UNIX_MS" else 1), UTC)
        if form == "ISO8601":
            # four digits and a T, or a space: a bare number is none
            if re.match(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T ]|\Z)", text) is None:
                return None
            found = datetime.fromisoformat(text.replace(",", "."))
        else:
            found = datetime.strptime(text, re.sub("|".join(_JODA), lambda part: _JODA[part[0]], form))
    except (ValueError, OverflowError, OSError):
        return None
    if found.tzinfo is not None:
        return found
    if zone is None:
        raise UnsupportedError(f"date {form}: a time without a zone needs the option timezone")
    return found.replace(tzinfo=ZoneInfo(zone))


def _fingerprint(options: Options, event: Event) -> bool:
    if (options.get("method"), options.get("concatenate_sources")) != ("SHA256", "true"):
        raise UnsupportedError("fingerprint: another method than SHA256 over all sources")
    parts = [f"|{name}|{event.get(path_of(name))}" for name in sorted(options["source"])]
    event.set(path_of(options["target"]), hashlib.sha256(("".join(parts) + "|").encode()).hexdigest())
    return True


def _prune(options: Options, event: Event) -> bool:
    """Of the outermost names only; @metadata is none of them."""
    allowed = [re.compile(each) for each in _list(options["whitelist_names"])]
    for name in [each for each in event.fields if each != "@metadata"]:
        if not any(each.search(name) for each in allowed):
            del event.fields[name]
    return True


FILTERS: Mapping[str, tuple[Callable[[Options, Event], bool], Sequence[str] | set[str]]] = {
    "mutate": (_mutate, {"rename", "update", "replace", "convert", "gsub", "lowercase", "strip", "copy"}),
    "json": (_json, {"source", "target", "skip_on_invalid_json", "tag_on_failure"}),
    "grok": (_grok, {"match", "patterns_dir", "overwrite", "tag_on_failure", "timeout_millis"}),
    "date": (_date, {"match", "target", "timezone", "locale", "tag_on_failure"}),
    "fingerprint": (_fingerprint, {"source", "concatenate_sources", "method", "target"}),
    "prune": (_prune, {"whitelist_names"}),
}
