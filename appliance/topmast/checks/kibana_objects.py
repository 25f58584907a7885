"""Kibana's objects: the data view covers our data streams, and every field that a search names is in their template.

Kibana imports a search for a field that does not exist without a word: it finds nothing, for ever.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from topmast.check import Check, Spot, Tree

_VIEW, _SEARCH = "index-pattern", "search"
# KQL: a field stands before a colon or a comparison, outside of quotes.
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')
_CLAUSE = re.compile(r"([\w@.*-]+)\s*(:|<=|>=|<|>)")
_ORDERED = frozenset({"long", "integer", "short", "byte", "double", "float", "date"})


def run(tree: Tree) -> Iterator[Spot]:
    templates = [
        template
        for path, text in tree.documents.items()
        if path.suffix == ".json" and path.parent.name == "templates"
        for template in [_loaded(text)]
        if isinstance(template.get("template"), dict)
    ]
    fields = {
        name: kind
        for each in templates
        for name, kind in fields_of(each["template"].get("mappings", {}).get("properties", {}))
    }
    patterns = {pattern for each in templates for pattern in each.get("index_patterns", [])}
    for path, text in tree.documents.items():
        if path.suffix != ".ndjson":
            continue
        objects = [(number, _loaded(line)) for number, line in enumerate(text.splitlines(), 1)]
        views = {str(each.get("id")) for _, each in objects if each.get("type") == _VIEW}
        seen: set[str] = set()
        for number, each in objects:
            name = f"{each.get('type')} {each.get('id')}"
            if name in seen:
                yield Spot(path, number, f"{name} stands twice: the second one is imported over the first")
            seen.add(name)
            for message in _problems(each, views, fields, patterns):
                yield Spot(path, number, f"{name}: {message}")


def fields_of(properties: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    """Yield every field of a mapping's `properties` by its dotted name, with its type."""
    for key, each in properties.items():
        if "properties" in each:
            yield from fields_of(each["properties"], f"{above}{key}.")
        else:
            yield above + key, str(each.get("type"))


def clauses(query: str) -> list[tuple[str, str]]:
    """Return the fields of a KQL query, each with its operator (`:`, `<`, `>=`, …)."""
    return _CLAUSE.findall(_QUOTED.sub('""', query))


def _problems(
    each: Mapping[str, Any], views: set[str], fields: Mapping[str, str], patterns: set[str]
) -> Iterator[str]:
    kind, said = each.get("type"), each.get("attributes")
    if kind not in (_VIEW, _SEARCH) or not isinstance(said, dict) or not each.get("id"):
        yield f"not a data view or a saved search with an id: only {_VIEW} and {_SEARCH} are provisioned"
        return
    if not each.get("coreMigrationVersion") or not each.get("typeMigrationVersion"):
        yield "coreMigrationVersion and typeMigrationVersion are missing: a newer Kibana cannot tell how old it is"
    if kind == _VIEW:
        missed = patterns - set(str(said.get("title")).split(","))
        if missed:
            yield f"the data view leaves out {', '.join(sorted(missed))}: their lines are in no search"
        named = [str(said.get("timeFieldName")), *_loaded(said.get("fieldFormatMap"))]
    else:
        source = _loaded(said.get("kibanaSavedObjectMeta", {}).get("searchSourceJSON"))
        query = source.get("query", {})
        if query.get("language") != "kuery":
            yield "its query is no KQL: language is kuery"
        asked = clauses(str(query.get("query")))
        named = [name for name, _ in asked] + [str(name) for name in said.get("columns", [])]
        named += [str(pair[0]) for pair in said.get("sort", [])]
        for name, operator in asked:
            if operator != ":" and fields.get(name, "long") not in _ORDERED:
                yield f"{name} {operator}: a {fields[name]} has no order"
        references = {ref.get("name"): ref for ref in each.get("references", [])}
        view = references.get(source.get("indexRefName"), {})
        if view.get("id") not in views:
            yield "its data view is not in the file: the import refuses a missing reference"
    for name in dict.fromkeys(named):
        if name not in fields:
            yield f"{name}: no such field in the index template: it would find nothing"


def _loaded(text: object) -> dict[str, Any]:
    """Return the JSON object; empty for what is none."""
    try:
        value = json.loads(str(text))
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


CHECK = Check(name="kibana_objects", summary="Kibana's data view and searches name fields that exist", run=run)
