"""Logstash's event: nested fields under references such as `[log][level]`, and `%{…}` in texts."""

import re
from copy import deepcopy
from typing import Any

_REFERENCE = re.compile(r"\[([^\[\]]+)\]")
_FORMAT = re.compile(r"%\{([^{}]+)\}")


def path_of(reference: str) -> tuple[str, ...]:
    """Return `[a][b]` and `a` in their parts."""
    return tuple(_REFERENCE.findall(reference)) or (reference,)


class Event:
    """One event. `@metadata` is a field like others that no output writes."""

    def __init__(self, fields: dict[str, Any]) -> None:
        self.fields = deepcopy(fields)
        self.fields.setdefault("@version", "1")
        self.fields.setdefault("@metadata", {})

    def get(self, path: tuple[str, ...]) -> Any:
        """Return the value at the path; None when there is none."""
        at: Any = self.fields
        for part in path:
            if isinstance(at, list) and part.lstrip("-").isdigit():
                at = at[int(part)] if -len(at) <= int(part) < len(at) else None
            elif isinstance(at, dict):
                at = at.get(part)
            else:
                return None
        return at

    def set(self, path: tuple[str, ...], value: Any) -> None:
        """Put the value there. Raises ValueError where a text stands in the way, as Logstash does."""
        at = self.fields
        for part in path[:-1]:
            at = at.setdefault(part, {})
            if not isinstance(at, dict):
                raise ValueError(f"{part} is no object")
        at[path[-1]] = value

    def has(self, path: tuple[str, ...]) -> bool:
        inner = self.get(path[:-1]) if len(path) > 1 else self.fields
        return isinstance(inner, dict) and path[-1] in inner

    def remove(self, path: tuple[str, ...]) -> Any:
        inner = self.get(path[:-1]) if len(path) > 1 else self.fields
        return inner.pop(path[-1], None) if isinstance(inner, dict) else None

    def tag(self, *names: str) -> None:
        for name in names:
            tags = self.fields.setdefault("tags", [])
            if name not in tags:
                tags.append(name)

    def format(self, text: str) -> str:
        """Return the text with `%{field}` filled in; what is not there stays as it is written."""

        def fill(found: re.Match[str]) -> str:
            value = self.get(path_of(found[1]))
            if value is None:
                return found[0]
            return ",".join(map(str, value)) if isinstance(value, list) else str(value)

        return _FORMAT.sub(fill, text)

    def document(self) -> dict[str, Any]:
        """Return what an output writes."""
        return {name: value for name, value in deepcopy(self.fields).items() if name != "@metadata"}
