"""The namespaces of a cache: what a key belongs to, by its prefix.

METRICS.md: six by default, and `_other` for a key of none. A pattern is a prefix and a star (`llm:*`), because the
redis collector gives the same patterns to SCAN.
"""

from collections.abc import Mapping

from topmast_exporter.admission import OTHER

DEFAULT_NAMESPACES: Mapping[str, str] = {
    "llm_response": "llm:*",
    "embedding": "emb:*",
    "semantic": "sem:*",
    "session": "sess:*",
    "rag": "rag:*",
    "rate_limit": "rl:*",
}

# Of a key: what a prefix may be long.
MAX_PREFIX_CHARACTERS = 64


class Namespaces:
    """Names by prefix; the longest prefix wins."""

    def __init__(self, patterns: Mapping[str, str] = DEFAULT_NAMESPACES) -> None:
        for name, pattern in patterns.items():
            prefix = pattern.removesuffix("*")
            if prefix == pattern or not prefix or len(prefix) > MAX_PREFIX_CHARACTERS or set(prefix) & set("*?[]\\"):
                raise ValueError(f"namespace {name}: a prefix and a star is wanted (llm:*), not {pattern!r}")
        by_length = sorted(patterns.items(), key=lambda item: len(item[1]), reverse=True)
        self._prefixes = tuple((pattern.removesuffix("*"), name) for name, pattern in by_length)
        self.names = (*patterns, OTHER)

    def of(self, key: object) -> str:
        """Return the namespace of a key (text or bytes), `_other` when it has none."""
        if isinstance(key, bytes | bytearray | memoryview):
            key = bytes(key[:MAX_PREFIX_CHARACTERS]).decode("utf-8", "replace")
        if isinstance(key, str):
            for prefix, name in self._prefixes:
                if key.startswith(prefix):
                    return name
        return OTHER
