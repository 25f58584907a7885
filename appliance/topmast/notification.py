"""The channels of `notify:` in topmast.yml: what each may say, and what it must. Their secrets are in files."""

from collections.abc import Mapping
from typing import Any

# What each channel may say, and what it must.
CHANNELS: Mapping[str, tuple[frozenset[str], frozenset[str]]] = {
    "slack": (frozenset({"api_url_file"}), frozenset({"api_url_file"})),
    "pagerduty": (frozenset({"routing_key_file", "url"}), frozenset({"routing_key_file"})),
    "email": (
        frozenset({"smarthost", "from", "to", "username", "password_file", "require_tls"}),
        frozenset({"smarthost", "from", "to"}),
    ),
    "webhook": (frozenset({"url"}), frozenset({"url"})),
    "heartbeat": (frozenset({"url"}), frozenset({"url"})),
}
# What would break out of the line that it is rendered into.
_TEXT = {"type": "string", "minLength": 1, "pattern": "^[^'\"\\r\\n]*$"}
_VALUES: Mapping[str, Mapping[str, Any]] = {
    "url": {**_TEXT, "pattern": "^https?://[^'\"\\r\\n]+$"},
    "require_tls": {"type": "boolean"},
}

SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        channel: {
            "type": "object",
            "additionalProperties": False,
            "properties": {key: _VALUES.get(key, _TEXT) for key in sorted(allowed)},
            "required": sorted(needed),
        }
        for channel, (allowed, needed) in CHANNELS.items()
    },
}
