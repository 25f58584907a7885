"""Whose log a container engine's file is: the container's name, which its lines do not say.

Docker: `ID/ID-json.log` beside `config.v2.json` with `"Name": "/shop-web-1"`, and Compose's service among the
labels. Kubernetes: `/var/log/containers/POD_NAMESPACE_CONTAINER-ID.log` (kubelet's legacy symlinks).
"""

import re
from pathlib import Path
from typing import Any

import orjson

_DOCKER = re.compile(r"(?P<id>[0-9a-f]{64})-json\.log(?:\.\d+)?(?:\.gz)?")
_KUBERNETES = re.compile(r"[^_/]+_[^_/]+_(?P<container>[^_/]+)-[0-9a-f]{64}\.log(?:\..+)?")
_COMPOSE_SERVICE = "com.docker.compose.service"
_MAX_BYTES = 1 << 20


def name_of(path: str) -> str:
    """Return the Compose service, else the container's name; empty for another file, or when nothing says it."""
    file = Path(path)
    if found := _KUBERNETES.fullmatch(file.name):
        return found["container"]
    if _DOCKER.fullmatch(file.name) is None:
        return ""
    try:
        with (file.parent / "config.v2.json").open("rb") as opened:
            config = orjson.loads(opened.read(_MAX_BYTES))
    except (OSError, orjson.JSONDecodeError):
        return ""
    return _name(config)


def _name(config: Any) -> str:
    if not isinstance(config, dict):
        return ""
    inner = config.get("Config")
    labels = inner.get("Labels") if isinstance(inner, dict) else None
    service = labels.get(_COMPOSE_SERVICE) if isinstance(labels, dict) else None
    name = service or config.get("Name")
    return name.removeprefix("/")[:100] if isinstance(name, str) else ""
