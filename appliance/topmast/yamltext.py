"""YAML of a stranger's: its tree with every value's line, in bounded time, or one problem with its line.

Two things of YAML are dangerous to who reads it: nesting without end, which ends the C parser's process, and aliases
of aliases, a few lines that stand for billions of values. Both are refused before anything walks over them.
"""

from collections.abc import Iterator
from typing import Any

import yaml
from topmast_exporter import plain_yaml

MAX_DEPTH = 100
"""Ours has eight levels at the most."""
MAX_VALUES = 500_000
"""With aliases written out. The longest rule file that is read at all (2 MB) has fewer of its own."""

# Ten times as fast as PyYAML's own; a PyYAML that was built without libyaml has it not.
_LOADER: Any = plain_yaml.without_dates(getattr(yaml, "CSafeLoader", yaml.SafeLoader))

Path = tuple[str | int, ...]


class NotYamlError(ValueError):
    """The text cannot be read as YAML; `line` says where, the message what and what to do."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line


def compose(text: str) -> yaml.Node | None:
    """Return the tree of the one document in a text, None for an empty one. Raises NotYamlError."""
    try:
        _check_depth(text)
        root: yaml.Node | None = yaml.compose(text, Loader=_LOADER)
    except yaml.YAMLError as error:
        problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "cannot be read"
        raise NotYamlError(_told(error, text), f"not YAML: {problem}; mend the line") from error
    if root is not None:
        _expanded(root, {}, set())
    return root


def load(text: str) -> Any:
    """Return the value of the one document in a text. Raises NotYamlError, also for a tag that is none of YAML's."""
    compose(text)
    try:
        return yaml.load(text, Loader=_LOADER)  # noqa: S506 - it is the safe loader, in C
    except yaml.YAMLError as error:
        problem = getattr(error, "problem", None) or "cannot be read"
        raise NotYamlError(_told(error, text), f"not plain YAML: {problem}; write text") from error
    except ValueError as error:  # a date or a number that there is not
        raise NotYamlError(1, f"not plain YAML: {error}; put the value in quotes") from error


def lines(root: yaml.Node | None) -> dict[Path, int]:
    """Return the line of every value by its path, e.g. ("groups", 0, "name"): its key's, or its dash's."""
    found: dict[Path, int] = {(): 1}
    if root is not None:
        _place(root, (), found)
    return found


def repeated(root: yaml.Node | None) -> Iterator[tuple[int, str, int]]:
    """Yield (line, key, line of the first) for each key that stands twice in one mapping: engines refuse it."""
    waiting, seen = [root] if root is not None else [], set()
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            waiting += node.value
        elif isinstance(node, yaml.MappingNode):
            first: dict[str, int] = {}
            for key, value in node.value:
                waiting.append(value)
                if isinstance(key, yaml.ScalarNode):
                    if key.value in first and key.value != "<<":
                        yield _line(key), key.value, first[key.value]
                    first.setdefault(key.value, _line(key))


def _check_depth(text: str) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=_LOADER):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                line = 1 if event.start_mark is None else event.start_mark.line + 1
                raise NotYamlError(line, f"nested more than {MAX_DEPTH} deep: no configuration is; mend the line")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _expanded(node: yaml.Node, known: dict[int, int], open_: set[int]) -> int:
    """Return how many values a node stands for with its aliases written out."""
    if id(node) in open_:
        raise NotYamlError(_line(node), "an alias inside of what it names: it has no end; write it out")
    if id(node) in known or not isinstance(node, yaml.CollectionNode):
        return known.get(id(node), 1)
    open_.add(id(node))
    size = 1
    for child in node.value:
        for part in child if isinstance(child, tuple) else (child,):
            size += _expanded(part, known, open_)
            if size > MAX_VALUES:
                raise NotYamlError(
                    _line(node), f"its aliases stand for more than {MAX_VALUES} values: write out what is needed"
                )
    open_.discard(id(node))
    known[id(node)] = size
    return size


def _place(node: yaml.Node, path: Path, found: dict[Path, int]) -> None:
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            found[*path, index] = _line(item)
            _place(item, (*path, index), found)
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode):
                found[*path, key.value] = _line(key)
                _place(value, (*path, key.value), found)


def _told(error: yaml.YAMLError, text: str) -> int:
    """Return the line that an error names; what is missing at the end is told of the last one that there is."""
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    return 1 if mark is None else min(mark.line + 1, max(1, len(text.splitlines())))


def _line(node: yaml.Node) -> int:
    return 1 if node.start_mark is None else int(node.start_mark.line) + 1
