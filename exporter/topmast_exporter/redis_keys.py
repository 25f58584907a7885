"""The biggest and the hottest keys of a Redis or Valkey, by a sample: on demand, never at a scrape.

SCAN with COUNT 500 (half a millisecond of the server each), then MEMORY USAGE and TYPE of each key in one round trip;
OBJECT FREQ answers only where maxmemory-policy is one of the LFU ones.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from topmast_exporter.redis_namespaces import SCAN_COUNT


@dataclass(frozen=True)
class Key:
    """One key of the sample."""

    name: str
    kind: str
    bytes: int
    frequency: int | None
    """The logarithmic access counter of LFU (0 to 255); None where the server keeps none."""


@dataclass(frozen=True)
class Keys:
    """What was found."""

    database_keys: int
    looked_at: int
    biggest: tuple[Key, ...]
    hottest: tuple[Key, ...]
    """Empty where the server keeps no frequencies."""
    refused: str
    """Why MEMORY USAGE or SCAN was refused, "" when it was not."""


def look(client: Any, sample: int, top: int) -> Keys:
    """Return the biggest and hottest of at most about `sample` keys. Raises redis.RedisError.

    `client` is a redis.Redis that answers in bytes.
    """
    from redis.exceptions import ResponseError

    cursor, seen, found, refused = 0, 0, dict[bytes, Key](), ""
    total = int(client.dbsize())
    while not refused:
        try:
            cursor, names = client.scan(cursor, count=min(SCAN_COUNT, sample))
        except ResponseError as error:
            refused = str(error)
            break
        seen += len(names)
        answers = _ask(client, names)
        for place, name in enumerate(names):
            kind, size, frequency = answers[3 * place : 3 * place + 3]
            if isinstance(size, Exception):
                refused = str(size)
                break
            if size is not None:  # else it expired since the SCAN
                known = None if isinstance(frequency, Exception) or frequency is None else int(frequency)
                found[name] = Key(_text(name), _text(kind), int(size), known)
        if cursor == 0 or seen >= sample:
            break
    biggest = sorted(found.values(), key=lambda key: (-key.bytes, key.name))[:top]
    counted = [key for key in found.values() if key.frequency is not None]
    hottest = sorted(counted, key=lambda key: (-(key.frequency or 0), key.name))[:top]
    return Keys(total, seen, tuple(biggest), tuple(hottest), refused)


def _ask(client: Any, names: list[bytes]) -> list[Any]:
    pipeline = client.pipeline(transaction=False)
    for name in names:
        pipeline.execute_command("TYPE", name)
        pipeline.execute_command("MEMORY USAGE", name)
        pipeline.execute_command("OBJECT FREQ", name)
    answers: list[Any] = pipeline.execute(raise_on_error=False)
    return answers


def _text(value: object) -> str:
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    return "".join(one if one.isprintable() else "�" for one in text)[:200]


def as_json(keys: Keys) -> Mapping[str, Any]:
    """Return what `topmast redis keys --json` prints."""

    def listed(some: tuple[Key, ...]) -> list[dict[str, Any]]:
        return [{"key": one.name, "type": one.kind, "bytes": one.bytes, "frequency": one.frequency} for one in some]

    return {
        "database_keys": keys.database_keys,
        "looked_at": keys.looked_at,
        "biggest": listed(keys.biggest),
        "hottest": listed(keys.hottest),
        "refused": keys.refused or None,
    }
