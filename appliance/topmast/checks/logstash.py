"""Logstash's pipelines: what `logstash -t` passes and a running Logstash loses, refuses or slows down by."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from topmast_shipper import patterns

from topmast import check
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

# Milliseconds; the plugin's own default of 30,000 lets one line hold a worker for half a minute.
MAX_GROK_TIMEOUT = 1000
# Removed from the beats, http, tcp inputs and the elasticsearch output with Logstash 9.
_OBSOLETE_TLS = {
    "ssl": "ssl_enabled",
    "cacert": "ssl_certificate_authorities",
    "ssl_verify_mode": "ssl_client_authentication",
    "ssl_certificate_verification": "ssl_verification_mode",
    "ssl_verify": "ssl_verification_mode",
    "ssl_cert": "ssl_certificate",
    "ssl_extra_chain_certs": "ssl_certificate",
    "verify_mode": "ssl_client_authentication",
    "keystore": "ssl_keystore_path",
    "truststore": "ssl_truststore_path",
    "tls_min_version": "ssl_supported_protocols",
}
# The order in which mutate works, whatever the order in which its options are written.
_MUTATE = (
    *("coerce", "rename", "update", "replace", "convert", "gsub", "uppercase", "capitalize", "lowercase", "strip"),
    *("split", "join", "merge", "copy"),
)
_GROK_NAME = re.compile(r"%\{(\w+)[:}]")
_DATED = re.compile(r"%\{\+[^}]*[yY]{2}")


def run(tree: Tree) -> Iterator[Spot]:
    read: dict[Path, list[Section]] = {}
    for path, text in tree.documents.items():
        if path.suffix != ".conf" or not re.search(r"^\s*(input|filter|output)\s*\{", text, re.MULTILINE):
            continue
        try:
            read[path] = parse(text)
        except LsclError as error:
            yield Spot(path, error.line, error.message)
    known = patterns.own() if tree.ours else None
    for path, sections in read.items():
        for section in sections:
            for line, message in _section(section, known):
                yield Spot(path, line, message)
    yield from _settings(tree, read)


def _section(section: Section, known: Mapping[str, str] | None) -> Iterator[tuple[int, str]]:
    for plugin in section.plugins():
        yield from _anywhere(plugin)
        if seen := _BY_NAME.get((section.kind, plugin.name)):
            yield from ((plugin.line, message) for message in seen(plugin))
        if plugin.name == "grok" and known is not None:
            names = {name for each in _expressions(plugin) for name in _GROK_NAME.findall(each)}
            for name in sorted(names - known.keys()):
                yield plugin.line, f"grok: no pattern {name} in patterns/; `logstash -t` does not tell"
    yield from _conditions(section.body)
    if section.kind == "input":
        yield from _unacknowledged(section)


def _unacknowledged(section: Section) -> Iterator[tuple[int, str]]:
    """A sender that is told of nothing needs no other way in, but there must be one for what matters."""
    plugins = list(section.plugins())
    if not {each.name for each in plugins} & {"beats", "http"}:
        for each in plugins:
            if each.name == "tcp":
                yield each.line, "tcp: not acknowledged: a beats or http input beside it for what must not be lost"


def _anywhere(plugin: Plugin) -> Iterator[tuple[int, str]]:
    for name, value in plugin.options:
        if name in _OBSOLETE_TLS:
            yield plugin.line, f"{plugin.name}: {name} is gone since Logstash 9: {_OBSOLETE_TLS[name]}"
        if name == "host" and value == "0.0.0.0" and plugin.get("ssl_enabled") != "true":  # noqa: S104 - refused
            yield plugin.line, f"{plugin.name}: listens to everybody without TLS: ssl_enabled => true, or no host"
        for text in _texts(value):
            if re.search(r"\[(?!@)\w+\.[\w.]+\]", text) and plugin.name != "grok":
                yield plugin.line, f"{plugin.name}: {text:.60}: a field with a dot in its name; nested it is [a][b]"


def _beats(plugin: Plugin) -> Iterator[str]:
    codec = plugin.get("codec")
    if (codec.name if isinstance(codec, Plugin) else codec) == "multiline":
        yield "beats: the plugin refuses the multiline codec: put lines together where they are read"
    if plugin.get("ssl_enabled") != "true":
        yield "beats: no TLS: ssl_enabled => true with a certificate and a key"


def _udp(_plugin: Plugin) -> Iterator[str]:
    yield "udp: neither acknowledged nor kept by the queue: beats is both"


_RANDOM = (
    "a random id makes two documents of a line that is sent again: a hash by fingerprint, or the sender's event.id"
)


def _uuid(_plugin: Plugin) -> Iterator[str]:
    yield f"uuid: {_RANDOM}"


def _fingerprint(plugin: Plugin) -> Iterator[str]:
    # Its other methods hash; this one looks at no field.
    if plugin.get("method") == "UUID":
        yield f"fingerprint: method UUID: {_RANDOM}"


def _ruby(plugin: Plugin) -> Iterator[str]:
    if re.search(r"SecureRandom|randomUUID|\brand\b", " ".join(_texts(plugin.get("code") or ""))):
        yield f"ruby: {_RANDOM}"


def _elasticsearch(plugin: Plugin) -> Iterator[str]:
    index = plugin.get("index")
    if isinstance(index, str) and _DATED.search(index):
        yield "elasticsearch: an index of each day: data_stream => true rolls over by itself"


def _grok(plugin: Plugin) -> Iterator[str]:
    for expression in _expressions(plugin):
        if not expression.startswith((r"\A", "^")):
            yield f"grok: {expression:.60} is not anchored: a line that does not match is tried from every position"
    timeout = plugin.get("timeout_millis")
    if not isinstance(timeout, float) or not 0 < timeout <= MAX_GROK_TIMEOUT:
        yield f"grok: timeout_millis => {MAX_GROK_TIMEOUT} or less; the default lets one line hold a worker for 30 s"
    if plugin.get("tag_on_failure") is None:
        yield "grok: tag_on_failure of its own, or nobody can tell which filter failed"


def _mutate(plugin: Plugin) -> Iterator[str]:
    fields: list[tuple[str, set[str]]] = []
    for name, value in plugin.options:
        if name not in _MUTATE:
            continue
        touched = set(_texts(value))
        for earlier, theirs in fields:
            if _MUTATE.index(earlier) > _MUTATE.index(name) and theirs & touched:
                yield f"mutate: {name} works before {earlier}, which is written first: two mutates keep the order"
        fields.append((name, touched))
        if name in ("replace", "update") and isinstance(value, dict) and {"host", "[host]"} & value.keys():
            yield "mutate: host is an object in ECS: [host][name]"


def _expressions(plugin: Plugin) -> list[str]:
    match = plugin.get("match")
    return [text for each in match.values() for text in _texts(each)] if isinstance(match, dict) else []


_BY_NAME: Mapping[tuple[str, str], Callable[[Plugin], Iterator[str]]] = {
    ("input", "beats"): _beats,
    ("input", "udp"): _udp,
    ("filter", "uuid"): _uuid,
    ("filter", "fingerprint"): _fingerprint,
    ("filter", "ruby"): _ruby,
    ("filter", "grok"): _grok,
    ("filter", "mutate"): _mutate,
    ("output", "elasticsearch"): _elasticsearch,
}


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


def _conditions(body: Sequence[Statement]) -> Iterator[tuple[int, str]]:
    for each in body:
        if isinstance(each, Branch):
            for condition, inner in each.arms:
                if condition is not None:
                    yield from _condition(condition, frozenset())
                yield from _conditions(inner)


def _condition(condition: Condition, present: frozenset[tuple[str, ...]]) -> Iterator[tuple[int, str]]:
    """`present` are the fields that an `and` in front has asked for."""
    if isinstance(condition, Negation):
        yield from _condition(condition.of, present)
    elif isinstance(condition, Combination):
        yield from _condition(condition.left, present)
        known = present | _asked(condition.left) if condition.operator == "and" else present
        yield from _condition(condition.right, known)
    elif isinstance(condition, Selector):
        if any("." in part for part in condition.path):
            yield (
                condition.line,
                f"[{']['.join(condition.path)}]: a field with a dot in its name; nested it is [a][b]",
            )
    elif isinstance(condition, Comparison):
        for side in (condition.left, condition.right):
            if isinstance(side, Selector):
                yield from _condition(side, present)
                if condition.operator in ("<", "<=", ">", ">=") and side.path not in present:
                    name = f"[{']['.join(side.path)}]"
                    yield (
                        condition.line,
                        f"{condition.operator} drops an event without {name}: if {name} and {name} …",
                    )


def _asked(condition: Condition) -> frozenset[tuple[str, ...]]:
    if isinstance(condition, Selector):
        return frozenset({condition.path})
    if isinstance(condition, Combination) and condition.operator == "and":
        return _asked(condition.left) | _asked(condition.right)
    return frozenset()


def _settings(tree: Tree, read: Mapping[Path, list[Section]]) -> Iterator[Spot]:
    """What only the files together show."""
    drains = any(p.name == "dead_letter_queue" for sections in read.values() for s in sections for p in s.plugins())
    for path, text in tree.named("/logstash.yml"):
        said = check.load_yaml(text)
        if not isinstance(said, dict):
            continue
        if said.get("queue.type") != "persisted":
            yield Spot(
                path,
                check.line_of(text, "queue.type"),
                "queue.type: persisted, or what was acknowledged dies with it",
            )
        if said.get("dead_letter_queue.enable") and read and not drains:
            line = check.line_of(text, "dead_letter_queue.enable")
            yield Spot(path, line, "no pipeline reads the dead-letter queue: it fills, then drops")
    for path, text in tree.named("/pipelines.yml"):
        said = check.load_yaml(text)
        for each in said if isinstance(said, list) else []:
            name = str(each.get("path.config", "")) if isinstance(each, dict) else ""
            if "*" in name:
                yield Spot(
                    path, check.line_of(text, name), f"{name}: files of one pipeline are one: outputs run for all"
                )
            if isinstance(each, dict) and each.get("queue.type") == "memory":
                yield Spot(path, check.line_of(text, "queue.type: memory"), "a queue in memory dies with Logstash")


CHECK = Check(name="logstash", summary="Logstash's filters lose, refuse and hold up nothing", run=run)
