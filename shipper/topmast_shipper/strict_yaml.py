"""YAML in which a key stands once: PyYAML takes the last of several and is silent."""

from typing import Any

import yaml

LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The quickest that is there."""


def load(text: bytes) -> Any:
    """Return the value of a document. Raises yaml.YAMLError, also for a key that stands twice."""
    loader = LOADER(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        _refuse_a_key_twice(node)
        return loader.construct_document(node)
    finally:
        loader.dispose()


def _refuse_a_key_twice(root: yaml.Node) -> None:
    waiting, seen = [root], {id(root)}
    while waiting:
        node = waiting.pop()
        below: list[yaml.Node] = []
        if isinstance(node, yaml.MappingNode):
            keys: set[tuple[str, str]] = set()
            for key, value in node.value:
                below += (key, value)
                if not isinstance(key, yaml.ScalarNode):
                    continue
                if (key.tag, key.value) in keys:
                    problem = f"the key {key.value[:80]!r} stands twice: remove one"
                    raise yaml.MarkedYAMLError(problem=problem, problem_mark=key.start_mark)
                keys.add((key.tag, key.value))
        elif isinstance(node, yaml.SequenceNode):
            below = node.value
        # an anchor is looked at once, however often it is named
        fresh = [each for each in below if id(each) not in seen]
        seen.update(map(id, fresh))
        waiting += fresh
