"""A search's tree as SQL over one part of the store. Pure; every value is bound, never written into the text.

Sources: SQLite's FTS5 query syntax (sqlite.org/fts5.html, section 3) and json_each.
Bound by whoever runs it: `:first` and `:last`, the range of `n` that the words are looked up in.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count

from topmast_shipper import store, timestamps
from topmast_shipper.ecs import LEVELS, level_of
from topmast_shipper.errors import QueryError
from topmast_shipper.query import And, Compare, Node, Not, Words

# Bounds that every part has; for whoever does not walk in slices.
WHOLE: Mapping[str, int] = {"first": 0, "last": 1 << 62}

_ORDERING = {"<": "<", "<=": "<=", ">": ">", ">=": ">="}
# What unicode61 makes a token of (and the `_` that the store's tokenizer adds).
_TOKEN = re.compile(r"\w")


@dataclass(frozen=True)
class Condition:
    """A WHERE clause over `events e`, its values, and what the words index can tell of it beforehand."""

    sql: str
    values: Mapping[str, object] = field(default_factory=dict)
    match: str = ""
    """An FTS5 expression that every match fulfils; empty when there is none."""
    exact: bool = False
    """`match` is the whole condition."""
    unindexed: str = ""
    """The same condition with fewer look-ups of words, for few rows in a wide range of `n`; empty: `sql` itself."""

    @property
    def plain(self) -> str:
        return self.unindexed or self.sql


def compile_node(node: Node | None) -> Condition:
    """Return the condition of a tree; everything matches None. Raises QueryError for a value that fits no field."""
    return Condition("1") if node is None else _compile(node, _Names())


class _Names:
    """Hands out names for bound values."""

    def __init__(self) -> None:
        self._numbers = count()

    def bind(self, value: object) -> tuple[str, dict[str, object]]:
        name = f"v{next(self._numbers)}"
        return f":{name}", {name: value}


def _compile(node: Node, names: _Names) -> Condition:
    if isinstance(node, Words):
        return _words(node, names)
    if isinstance(node, Compare):
        return _compare(node, names)
    if isinstance(node, Not):
        inner = _compile(node.node, names)
        return Condition(f"NOT ({inner.sql})", inner.values, unindexed=f"NOT ({inner.plain})")
    conditions = [_compile(each, names) for each in node.nodes]
    return _and(conditions, names) if isinstance(node, And) else _or(conditions, names)


def _and(conditions: Sequence[Condition], names: _Names) -> Condition:
    match = " AND ".join(f"({each.match})" for each in conditions if each.match)
    exact = [each for each in conditions if each.exact]
    others = [each for each in conditions if not each.exact]
    # one look-up of several words together, not one of each
    merged = [_lookup(" AND ".join(f"({each.match})" for each in exact), names)] if exact else []
    if not others:
        return merged[0]
    parts = [*merged, *others]
    return Condition(_joined(" AND ", parts), _all(parts), match, unindexed=_joined(" AND ", parts, plain=True))


def _or(conditions: Sequence[Condition], names: _Names) -> Condition:
    match = " OR ".join(f"({each.match})" for each in conditions) if all(each.match for each in conditions) else ""
    if all(each.exact for each in conditions):
        return _lookup(match, names)
    plain = _joined(" OR ", conditions, plain=True)
    return Condition(_joined(" OR ", conditions), _all(conditions), match, unindexed=plain)


def _joined(word: str, conditions: Sequence[Condition], *, plain: bool = False) -> str:
    return word.join(f"({each.plain if plain else each.sql})" for each in conditions)


def _all(conditions: Sequence[Condition]) -> dict[str, object]:
    return {name: value for each in conditions for name, value in each.values.items()}


def _lookup(match: str, names: _Names) -> Condition:
    mark, values = names.bind(match)
    sql = f"e.n IN (SELECT rowid FROM words WHERE words MATCH {mark} AND rowid BETWEEN :first AND :last)"  # noqa: S608 - bound
    return Condition(sql, values, match, exact=True)


def _words(node: Words, names: _Names) -> Condition:
    if not _TOKEN.search(node.text):
        # no word in it, so no index knows it
        mark, values = names.bind(node.text)
        return Condition(f"instr(e.document, {mark}) > 0", values)
    match = _phrase(node.text, node.prefix)
    if not node.field:
        return _lookup(match, names)
    if node.field == "message":
        return _lookup(f"message : {match}", names)
    inside, values = names.bind(f"%{_liked(node.text)}%")
    path, more = names.bind(_path(node.field))
    found = _lookup(f"fields : {match}", names)
    sql = f"{found.sql} AND json_extract(e.document, {path}) LIKE {inside} ESCAPE '\\'"
    return Condition(sql, {**values, **more, **found.values}, found.match)


def _phrase(text: str, prefix: bool) -> str:
    return '"' + text.replace('"', '""') + '"' + (" *" if prefix else "")


def _compare(node: Compare, names: _Names) -> Condition:
    if node.field == "@timestamp":
        return _time(node, names)
    if node.operator == "?":
        path, values = names.bind(_path(node.field))
        return Condition(f"json_type(e.document, {path}) IS NOT NULL", values)
    if node.field == "log.level":
        return _level(node, names)
    if node.field == "http.response.status_code" and "*" not in node.value:
        mark, values = names.bind(_number(node))
        return Condition(f"e.status {_ORDERING.get(node.operator, '=')} {mark}", values)
    if node.field == "service.name" and node.operator in ("=", "=="):
        equal, values = _equal("e.service", node, names)
        return Condition(equal, values)
    return _json(node, names)


def _time(node: Compare, names: _Names) -> Condition:
    if node.operator == "?":
        return Condition("1")
    time = timestamps.parse(node.value)
    if time is None:
        raise QueryError(f"not a time: {node.value[:80]!r}", node.position)
    mark, values = names.bind(time)
    return Condition(f"e.time {_ORDERING.get(node.operator, '=')} {mark}", values)


def _level(node: Compare, names: _Names) -> Condition:
    if "*" in node.value and node.operator == "=":
        equal, values = _equal("e.level", node, names)
        return Condition(equal, values)
    level = level_of(node.value)
    if level is None:
        raise QueryError(f"not a level: {node.value[:80]!r}; there are {', '.join(LEVELS)}", node.position)
    rank = LEVELS.index(level)
    chosen = {
        "<": LEVELS[:rank],
        "<=": LEVELS[: rank + 1],
        ">": LEVELS[rank + 1 :],
        ">=": LEVELS[rank:],
    }.get(node.operator, (level,))
    marks = [names.bind(each) for each in chosen]
    listed = ", ".join(mark for mark, _ in marks)
    return Condition(f"e.level IN ({listed})", {k: v for _, values in marks for k, v in values.items()})


def _json(node: Compare, names: _Names) -> Condition:
    """Compare any other field."""
    path, values = names.bind(_path(node.field))
    if node.operator in _ORDERING:
        number = _number_or_none(node.value)
        mark, more = names.bind(node.value if number is None else number)
        subject = f"json_extract(e.document, {path})"
        kinds = "('text')" if number is None else "('integer', 'real')"
        # in SQLite, text is greater than every number
        sql = f"{subject} {_ORDERING[node.operator]} {mark} AND typeof({subject}) IN {kinds}"
        return Condition(sql, {**values, **more})
    if node.value in ("true", "false"):
        return Condition(f"json_type(e.document, {path}) = '{node.value}'", values)
    test, more = _equal("CAST(j.value AS TEXT)", node, names)
    # a list equals when one of its values does
    sql = f"EXISTS (SELECT 1 FROM json_each(e.document, {path}) j WHERE {test})"  # noqa: S608 - values are bound
    condition = Condition(sql, {**values, **more})
    match = _beforehand(node)
    if not match:
        return condition
    found = _lookup(f"fields : {match}", names)
    return Condition(f"{found.sql} AND {sql}", {**condition.values, **found.values}, found.match, unindexed=sql)


def _beforehand(node: Compare) -> str:
    """Return what the words index can say about an equality; empty when the value may not be in it."""
    if node.operator not in ("=", "==") or node.value in ("true", "false"):
        return ""
    if any(node.field == each or node.field.startswith(each + ".") for each in store.UNWORDED):
        return ""
    text = node.value[:-1] if node.operator == "=" and node.value.endswith("*") else node.value
    if (node.operator == "=" and "*" in text) or not _TOKEN.search(text):
        return ""  # a star in the middle is no word
    if _number_or_none(text) is not None and not text.isdecimal():
        return ""  # of numbers, only whole ones are worded
    return _phrase(text, prefix=text != node.value)


def _equal(subject: str, node: Compare, names: _Names) -> tuple[str, dict[str, object]]:
    if node.operator == "=" and "*" in node.value:
        mark, values = names.bind(_liked(node.value).replace("*", "%"))
        return f"{subject} LIKE {mark} ESCAPE '\\'", values
    mark, values = names.bind(node.value)
    return f"{subject} = {mark} COLLATE NOCASE", values


def _liked(text: str) -> str:
    return re.sub(r"([\\%_])", r"\\\1", text)


def _path(name: str) -> str:
    """Return the JSON path of a dotted name: `$."url"."path"`."""
    return "$" + "".join("." + json.dumps(each) for each in name.split("."))


def _number(node: Compare) -> float:
    number = _number_or_none(node.value)
    if number is None:
        raise QueryError(f"not a number: {node.value[:80]!r}", node.position)
    return number


def _number_or_none(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def column(name: str, names: str = "facet") -> tuple[str, dict[str, object]]:
    """Return the SQL of a field's value and its bound values."""
    columns = {"log.level": "e.level", "service.name": "e.service", "http.response.status_code": "e.status"}
    if name in columns:
        return columns[name], {}
    return f"json_extract(e.document, :{names})", {names: _path(name)}
