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
        self._by_prefix = {pattern.removesuffix("*"): name for name, pattern in patterns.items()}
        # `llm:`, as nearly everybody has it: one lookup
        self.end_at_colon = all(prefix.find(":") == len(prefix) - 1 for prefix in self._by_prefix)
        # else one for each length that there is, the longest first, and not one comparison for each prefix
        self._lengths = sorted({len(prefix) for prefix in self._by_prefix}, reverse=True)
        self.names = (*patterns, OTHER)

    def of(self, key: object) -> str:
        """Return the namespace of a key (text or bytes), `_other` when it has none."""
        if type(key) is not str:
            if isinstance(key, bytes | bytearray | memoryview):
                key = bytes(key[:MAX_PREFIX_CHARACTERS]).decode("utf-8", "replace")
            elif not isinstance(key, str):
                return OTHER
        by_prefix = self._by_prefix
        if self.end_at_colon:
            return by_prefix.get(key[: key.find(":") + 1], OTHER)
        for length in self._lengths:
            name = by_prefix.get(key[:length])
            if name is not None:
                return name
        return OTHER
