"""The dashboards: Grafana's own JSON files, ours and the user's, read anew on every request."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

# A name is a file's stem: never a path.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_. -]{0,99}\Z")
MAX_BYTES = 4 * 1024 * 1024


class UnknownDashboardError(Exception):
    """No folder holds a dashboard of that name; the message names those there are."""


class BrokenDashboardError(Exception):
    """The file is no dashboard; the message is `FILE: what is wrong`."""


def find(folders: Sequence[Path]) -> dict[str, Path]:
    """Return every dashboard file by name, sorted; a later folder wins over an earlier one."""
    found = {path.stem: path for folder in folders for path in sorted(folder.glob("*.json"))}
    return {name: found[name] for name in sorted(found) if _NAME.match(name)}


def listing(folders: Sequence[Path]) -> list[dict[str, Any]]:
    """Return name, title, description and tags of every dashboard; a broken file is listed with its error."""
    entries = []
    for name, path in find(folders).items():
        own = path.parent == folders[-1]
        try:
            model = parse(path)
        except BrokenDashboardError as error:
            entries.append({"name": name, "title": name, "own": own, "error": str(error)})
            continue
        entries.append(
            {
                "name": name,
                "title": str(model.get("title") or name),
                "description": str(model.get("description") or ""),
                "uid": str(model.get("uid") or ""),
                "tags": [str(tag) for tag in model.get("tags") or []],
                "own": own,
            }
        )
    return entries


def read(folders: Sequence[Path], name: str) -> dict[str, Any]:
    """Return the dashboard of that name or uid. Raises UnknownDashboardError or BrokenDashboardError."""
    found = find(folders)
    if name in found:
        return parse(found[name])
    by_uid = next((entry["name"] for entry in listing(folders) if name and entry.get("uid") == name), None)
    if by_uid is None:
        raise UnknownDashboardError(f"no dashboard {name[:80]!r}; there are {', '.join(found) or 'none'}")
    return parse(found[by_uid])


def parse(path: Path) -> dict[str, Any]:
    """Return the file's model. Raises BrokenDashboardError when it is too large, no JSON or no dashboard."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise BrokenDashboardError(f"{path.name}: larger than {MAX_BYTES // 1024 // 1024} MiB")
        model = json.loads(path.read_bytes())
    except OSError as error:
        raise BrokenDashboardError(f"{path.name}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise BrokenDashboardError(f"{path.name}: not JSON: {error}") from error
    # An export from Grafana's API wraps the model.
    if isinstance(model, dict) and isinstance(model.get("dashboard"), dict):
        model = model["dashboard"]
    if not isinstance(model, dict) or not isinstance(model.get("panels"), list):
        raise BrokenDashboardError(f"{path.name}: no dashboard: it has no list of panels")
    return model
