"""One query of the PostgreSQL collector and what becomes of its rows."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from topmast_exporter.collector import Reading

Row = Mapping[str, Any]

OTHER = "_other"
# An application may put anything into application_name; user names are the users' own.
MAX_OPEN_VALUES = 20


@dataclass(frozen=True)
class Group:
    """One query and what becomes of its rows."""

    name: str
    sql: Callable[[int], str]
    """The query for a server_version_num."""
    parse: Callable[[Reading, Sequence[Row]], None]
    every_seconds: float = 0.0
    """0: at each refresh. Else its age is told in topmast_pg_group_age_seconds."""


def bounded(values: Iterable[str], limit: int = MAX_OPEN_VALUES) -> Callable[[str], str]:
    """Return a function that keeps the first `limit` values in sorted order, and makes `_other` of the others."""
    kept = set(sorted(set(values))[:limit])
    return lambda value: value if value in kept else OTHER
