"""Where relative paths of a configuration begin: in its folder, whatever the working directory is.

An option that is a path says so in its schema, with PATH; what no option names so is text and stays as it is.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

# no system call takes a NUL
PATH: Mapping[str, Any] = {"type": "string", "minLength": 1, "pattern": "^[^\\x00]+$", "format": "path"}


def placed(value: Any, schema: Mapping[str, Any], folder: Path) -> Any:
    """Return the value with each path that its schema knows made absolute; an absolute one stays."""
    if isinstance(value, str):
        return str(folder / value) if schema.get("format") == PATH["format"] else value
    if isinstance(value, Mapping):
        options = schema.get("properties", {})
        return {name: placed(each, options.get(name, {}), folder) for name, each in value.items()}
    if isinstance(value, list):
        return [placed(each, schema.get("items", {}), folder) for each in value]
    return value
