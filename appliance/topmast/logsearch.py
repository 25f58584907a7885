"""A query of `topmast logs` over the embedded store: what of it cannot be read is told, the rest is searched."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from topmast_shipper import search
from topmast_shipper.errors import StateError

Documents = list[dict[str, Any]]


@dataclass(frozen=True)
class Search:
    """One query over a stretch of time. Raises QueryError, and StateError when the whole store cannot be read."""

    store: Path
    query: str
    tell: Callable[[str], None]
    """Is told once of each file of the store that the answers leave out, with the reason."""
    since: datetime | None = None
    until: datetime | None = None
    left_out: dict[str, None] = field(default_factory=dict)

    def is_there(self) -> bool:
        try:
            return self.store.is_dir()
        except PermissionError:
            return True  # somebody's: the search says so

    def newest(self, limit: int) -> Documents:
        """Return the newest matches, oldest first."""
        return self._oldest_first(self.since, self.until, limit)

    def from_then_on(self, since: datetime, limit: int) -> Documents:
        """Return the matches from then on, oldest first, however long a time was asked for."""
        return self._oldest_first(since, None, limit)

    def count(self) -> int:
        return search.count(self.store, self.query, self.since, self.until, self._left_out)

    def histogram(self, bucket_seconds: int) -> list[dict[str, Any]]:
        return search.histogram(self.store, self.query, bucket_seconds, self.since, self.until, self._left_out)

    def values(self, name: str) -> list[tuple[str, int]]:
        """Return the most frequent values of a field with their counts."""
        return search.facets(self.store, self.query, [name], self.since, self.until, told=self._left_out)[name]

    def messages(self) -> Iterator[tuple[str, str, str]]:
        """Yield level, service and message of every match, in no order."""
        return search.messages(self.store, self.query, self.since, self.until, self._left_out)

    def around(self, document: Mapping[str, Any], lines: int) -> tuple[Documents, Documents]:
        """Return so many documents before and after a match, oldest first."""
        before, after = search.around(self.store, document, lines, lines, self._left_out)
        return [json.loads(line) for line in before], [json.loads(line) for line in after]

    def _oldest_first(self, since: datetime | None, until: datetime | None, limit: int) -> Documents:
        found = search.lines(self.store, self.query, since, until, limit, self._left_out)
        return [json.loads(line) for line in reversed(found)]

    def _left_out(self, error: StateError) -> None:
        said = str(error)
        if said not in self.left_out:
            self.left_out[said] = None
            self.tell(said)
