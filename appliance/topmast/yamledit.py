"""Change one value of a YAML text and leave every other byte as its author wrote it.

The places come from the parser's marks, only the span of the change is written anew, and the result is parsed again
and compared with what it must say: an edit that would change anything else is refused. What needs no such care is
written in flow style (`{threshold: 0.9, for: 15m}`).
"""

import json
import re
from collections.abc import Mapping
from typing import Any

import yaml

from topmast import yamltext

Path = tuple[str, ...]
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_./-]*\Z")
_DURATION = re.compile(r"([0-9]+(ms|s|m|h|d|w|y))+\Z")


class CannotEditError(ValueError):
    """The text has a shape (an alias, a tag, a key in two places) that is better changed by hand."""


def put(text: str, path: Path, value: Any) -> str:
    """Return the text with `value` at `path`; mappings on the way are made. Raises CannotEditError, NotYamlError."""
    wanted = _loaded(text)
    inner = wanted
    for depth, key in enumerate(path[:-1], 1):
        if inner.get(key) is None:
            inner[key] = {}
        inner = inner[key]
        if not isinstance(inner, dict):
            raise CannotEditError(f"{'.'.join(path[:depth])}: not a mapping")
    inner[path[-1]] = value
    root = _root(text)
    if root is None:
        return _checked(_joined(text, _block(path[0], _nested(path[1:], value), 0, _newline(text))), wanted)
    node, depth = root, 0
    while depth < len(path) and isinstance(node, yaml.MappingNode) and (found := _find(node, path[depth])):
        node, depth = found[1], depth + 1
    if depth == len(path):
        return _checked(_spliced(text, node, _flow(value)), wanted)
    return _checked(_entered(text, node, path[depth], _nested(path[depth + 1 :], value), path[:depth]), wanted)


def append(text: str, path: Path, item: Mapping[str, Any]) -> str:
    """Return the text with an item more in the list at `path`. Raises CannotEditError, NotYamlError."""
    wanted = _loaded(text)
    inner = wanted
    for key in path[:-1]:
        inner = inner.get(key) or {}
    listed = inner.get(path[-1])
    if not listed:
        return put(text, path, [dict(item)])
    listed.append(dict(item))
    node = _at(text, path)
    if node.flow_style:
        return _checked(_into_flow(text, node, _flow(item)), wanted)
    line = " " * node.start_mark.column + "- " + _flow(item)
    return _checked(_after(text, _end(text, node), line), wanted)


def remove(text: str, path: Path, index: int | None = None) -> str:
    """Return the text without what is at `path` (or without that item of the list there).

    A mapping or list that is left empty goes too, and what holds it. Raises CannotEditError, NotYamlError, KeyError
    when nothing is there.
    """
    wanted = _loaded(text)
    holders = [wanted]
    for key in path if index is not None else path[:-1]:
        holders.append(holders[-1][key])
    last: Any = path[-1] if index is None else index
    holders[-1][last]  # nothing there is a KeyError before anything changes
    if len(holders) > 1 and len(holders[-1]) == 1:
        return remove(text, path if index is not None else path[:-1])
    del holders[-1][last]
    node = _at(text, path if index is not None else path[:-1])
    if isinstance(node, yaml.MappingNode):
        spans = [(key.start_mark.index, _end(text, value)) for key, value in node.value]
        place = next(n for n, (key, _) in enumerate(node.value) if key.value == last)
    else:
        spans = [(item.start_mark.index, _end(text, item)) for item in node.value]
        place = int(last)
    start, end = spans[place]
    if node.flow_style:
        if place + 1 < len(spans):
            end = spans[place + 1][0]
        elif place:
            start = spans[place - 1][1]
        return _checked(text[:start] + text[end:], wanted)
    start = text.rfind("\n", 0, start) + 1
    return _checked(text[:start] + text[_line_end(text, end) :].removeprefix("\r").removeprefix("\n"), wanted)


def _entered(text: str, node: yaml.Node, key: str, value: Any, above: Path) -> str:
    """Return the text with a new key in a mapping that may be flow, block, or nothing yet (`alerts:`)."""
    if isinstance(node, yaml.MappingNode) and node.flow_style:
        return _into_flow(text, node, f"{_key(key)}: {_flow(value)}")
    if isinstance(node, yaml.MappingNode):
        return _after(text, _end(text, node), _block(key, value, node.value[0][0].start_mark.column, _newline(text)))
    if isinstance(node, yaml.ScalarNode) and node.value in ("", "null", "~") and above:
        if node.value:
            return _spliced(text, node, _flow({key: value}))
        holder = _at(text, above[:-1])
        column = _find(holder, above[-1])[0].start_mark.column if not holder.flow_style else None
        if column is None:
            return _spliced(text, node, " " + _flow({key: value}))
        return _after(text, node.start_mark.index, _block(key, value, column + 2, _newline(text)))
    raise CannotEditError(f"{'.'.join(above) or 'the file'}: not a mapping")


def _into_flow(text: str, node: yaml.Node, entry: str) -> str:
    close = node.end_mark.index - 1
    before = text[node.start_mark.index + 1 : close].rstrip()
    separator = "" if not before else " " if before.endswith(",") else ", "
    head = text[: node.start_mark.index + 1] + before
    return head + separator + entry + text[close:]


def _after(text: str, index: int, line: str) -> str:
    end = _line_end(text, index)
    return text[:end] + _newline(text) + line + text[end:]


def _spliced(text: str, node: yaml.Node, value: str) -> str:
    if isinstance(node, yaml.CollectionNode) and not node.flow_style:
        raise CannotEditError("a block stands where one value was expected")
    return text[: node.start_mark.index] + value + text[node.end_mark.index :]


def _end(text: str, node: yaml.Node) -> int:
    """Return where the last thing that a node says ends; a block's own mark is at the next key."""
    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        return _end(text, last[1] if isinstance(last, tuple) else last)
    return (
        len(text[: node.end_mark.index].rstrip())
        if getattr(node, "style", None) in ("|", ">")
        else node.end_mark.index
    )


def _line_end(text: str, index: int) -> int:
    end = text.find("\n", index)
    end = len(text) if end < 0 else end
    return end - 1 if text[end - 1 : end] == "\r" and end > index else end


def _block(key: str, value: Any, indent: int, newline: str) -> str:
    """Return `key: value` as lines: what holds more than scalars in block style, the rest in flow style."""
    margin = " " * indent
    if isinstance(value, dict) and any(isinstance(each, dict | list) for each in value.values()):
        inner = newline.join(_block(name, each, indent + 2, newline) for name, each in value.items())
        return f"{margin}{_key(key)}:{newline}{inner}"
    if isinstance(value, list) and value:
        return f"{margin}{_key(key)}:{newline}" + newline.join(f"{margin}  - {_flow(each)}" for each in value)
    return f"{margin}{_key(key)}: {_flow(value)}"


def _flow(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_key(str(key))}: {_flow(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_flow, value)) + "]"
    if isinstance(value, str):
        return value if _is_plain(value) else json.dumps(value, ensure_ascii=False)
    return f"{value:.12f}".rstrip("0").rstrip(".") if isinstance(value, float) else json.dumps(value)


def _key(text: str) -> str:
    return text if _is_plain(text) else json.dumps(text, ensure_ascii=False)


def _is_plain(text: str) -> bool:
    """Return whether a text means itself without quotes (`yes` and `null` do not)."""
    plain = _PLAIN.match(text) or _DURATION.match(text) or re.match(r"__?[a-z_]+\Z", text)
    return bool(plain) and yaml.safe_load(text) == text


def _nested(path: Path, value: Any) -> Any:
    for key in reversed(path):
        value = {key: value}
    return value


def _joined(text: str, block: str) -> str:
    newline = _newline(text)
    return (text if not text or text.endswith("\n") else text + newline) + block + newline


def _newline(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


def _root(text: str) -> yaml.Node | None:
    yamltext.compose(text)  # refuses what is dangerous to walk over
    # PyYAML's own parser: its marks count characters.
    root: yaml.Node | None = yaml.compose(text, Loader=yaml.SafeLoader)
    return None if isinstance(root, yaml.ScalarNode) and root.value == "" else root


def _loaded(text: str) -> Any:
    value = yamltext.load(text)
    if value is not None and not isinstance(value, dict):
        raise CannotEditError("the file is no mapping")
    return _alone(value or {})


def _alone(value: Any) -> Any:
    """Return a copy in which nothing is shared: an alias's other place must not change with it."""
    if isinstance(value, dict):
        return {key: _alone(each) for key, each in value.items()}
    return [_alone(each) for each in value] if isinstance(value, list) else value


def _at(text: str, path: Path) -> Any:
    node: Any = _root(text)
    for key in path:
        node = _find(node, key)[1]
    return node


def _find(node: Any, key: str) -> Any:
    return next((pair for pair in node.value if pair[0].value == key), None)


def _checked(text: str, wanted: Mapping[str, Any]) -> str:
    try:
        got = yamltext.load(text)
    except yamltext.NotYamlError as error:
        raise CannotEditError(str(error)) from error
    if (got or {}) != wanted:
        raise CannotEditError("the edit would change more than it should")
    return text
