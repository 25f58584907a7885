"""The engines' own files against JSON Schemas: keys that the engine refuses, values of another kind, secrets.

The schemas stand in topmast/schemas/, one a kind of file, written as YAML so that they can cite their sources.
Beside JSON Schema's words they have: `x-files`, `x-folders` and `x-keys` (which files they are for: by name, by
folder, or by the keys that stand in them), `x-engine` (who refuses), `x-flat` (dotted and nested keys are the same)
and `x-secret` (the value is never told).
"""

import difflib
import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from topmast import check, yamltext
from topmast.check import Check, Spot, Tree
from topmast.errors import ConfigError

_KINDS = {
    "array": "a list",
    "boolean": "true or false",
    "integer": "a whole number",
    "number": "a number",
    "object": "a mapping",
    "string": "text",
    "null": "nothing",
}
_NAMES = {list: "a list", bool: "true or false", int: "a number", float: "a number", dict: "a mapping", str: "text"}


def run(tree: Tree) -> Iterator[Spot]:
    for path, text in tree.documents.items():
        if path.suffix not in check.YAML:
            continue
        value = check.load_yaml(text)
        if path.name == "topmast.yml":
            yield from _topmast(path, value)
        schema = _schema(path, value)
        if schema is None:
            continue
        lines = yamltext.lines(yamltext.compose(text))
        if schema.get("x-flat"):
            value, lines = _flat(value, lines)
        for error in jsonschema.Draft202012Validator(schema).iter_errors(value):
            for place, message in _told(error, schema):
                yield Spot(path, _line(lines, place), message)


@cache
def schemas() -> Mapping[str, dict[str, Any]]:
    """Return every schema by its name."""
    folder = resources.files("topmast") / "schemas"
    return {
        each.name.removesuffix(".yml"): yaml.safe_load(each.read_text(encoding="utf-8"))
        for each in sorted(folder.iterdir(), key=lambda each: each.name)
        if each.name.endswith(".yml")
    }


def _schema(path: Path, value: Any) -> dict[str, Any] | None:
    """Return the schema of a file: by its folder, its name, or, for files of a user's own, by what stands in it."""
    folder = path.parent.as_posix()
    by_folder = [
        each for each in schemas().values() if any(folder.endswith(end) for end in each.get("x-folders", ()))
    ]
    by_name = [each for each in schemas().values() if path.name in each.get("x-files", ())]
    by_keys = [
        each
        for each in schemas().values()
        if isinstance(value, dict) and each.get("x-keys") and set(each["x-keys"]) <= value.keys()
    ]
    return next(iter([*by_folder, *by_name, *by_keys]), None)


def _topmast(path: Path, value: Any) -> Iterator[Spot]:
    """Check a configuration of ours against the schema that every start checks it against."""
    from topmast import config  # the whole configuration: only where there is one to look at

    try:
        config.check(value, "topmast.yml")
    except ConfigError as error:
        yield Spot(path, 1, str(error))


def _flat(value: Any, lines: Mapping[yamltext.Path, int]) -> tuple[Any, dict[yamltext.Path, int]]:
    """Return settings with dotted keys, nested ones too, and the lines by the new keys."""
    if isinstance(value, list):
        flat, placed = [], dict(lines)
        for index, item in enumerate(value):
            inner = {path[1:]: line for path, line in lines.items() if path[:1] == (index,)}
            done, found = _flat(item, inner)
            flat.append(done)
            placed.update({(index, *path): line for path, line in found.items()})
        return flat, placed
    if not isinstance(value, dict):
        return value, dict(lines)
    settings: dict[str, Any] = {}
    placed = {(): lines.get((), 1)}

    def walk(mapping: Mapping[Any, Any], path: yamltext.Path) -> None:
        for key, each in mapping.items():
            if isinstance(each, dict) and each:
                walk(each, (*path, key))
            else:
                name = ".".join(map(str, (*path, key)))
                settings[name] = each
                placed[name,] = _line(lines, (*path, key))

    walk(value, ())
    return settings, placed


def _told(error: jsonschema.ValidationError, schema: Mapping[str, Any]) -> Iterator[tuple[yamltext.Path, str]]:
    """Yield where and what: one for every unknown key, else one."""
    place: yamltext.Path = tuple(error.absolute_path)
    rule: Mapping[str, Any] = error.schema if isinstance(error.schema, Mapping) else {}
    remedy = rule.get("description", "")
    where = _where(place)
    wants: Any = error.validator_value
    if error.validator == "additionalProperties" and wants is False:
        known = list(rule.get("properties", {}))
        for key in sorted(_unknown(error.instance, rule), key=str):
            near = difflib.get_close_matches(str(key), known, n=1)
            hint = f"; did you mean {near[0]}?" if near else "; remove it"
            yield (*place, key), f"{_where((*place, key))[:120]}: unknown key: {schema['x-engine']} refuses it{hint}"
    elif error.validator == "required":
        missing = error.message.split("'")[1]
        yield place, f"{where}: {missing} is missing: {remedy or 'add it'}"
    elif rule.get("x-secret") or error.validator == "not":
        yield place, f"{where}: {remedy}"
    elif error.validator == "type":
        kinds = wants if isinstance(wants, list) else [wants]
        wanted = " or ".join(_KINDS[kind] for kind in kinds)
        is_ = "empty" if error.instance is None else _NAMES.get(type(error.instance), "something else")
        yield place, f"{where}: it is {is_}: {remedy or f'write {wanted}'}"
    elif error.validator == "enum":
        one_of = ", ".join(str(each) for each in wants)
        yield place, f"{where}: {_cut(error.instance)}: {remedy or f'write one of {one_of}'}"
    else:
        yield place, f"{where}: {_cut(error.instance)}: {remedy or error.message[:120]}"


def _unknown(instance: Any, rule: Mapping[str, Any]) -> set[Any]:
    patterns = [re.compile(pattern) for pattern in rule.get("patternProperties", {})]
    return {
        key
        for key in instance
        if key not in rule.get("properties", {}) and not any(pattern.search(str(key)) for pattern in patterns)
    }


def _where(place: yamltext.Path) -> str:
    """Return a path as a person writes it: `scrape_configs[2].params`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place)
    return text.lstrip(".") or "the file"


def _line(lines: Mapping[yamltext.Path, int], place: yamltext.Path) -> int:
    while place not in lines and place:
        place = place[:-1]
    return lines.get(place, 1)


def _cut(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:79] + "…"


CHECK = Check(
    name="schemas", summary="the engines' own files have the keys and values that the engines take", run=run
)
