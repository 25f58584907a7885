"""What a Redis command means to a cache: its operation, where its key stands, what its answer says.

Command syntax: https://redis.io/docs/latest/commands/. A command that is not here has no namespace and no operation:
it only says that the server answers.
"""

from dataclasses import dataclass
from enum import Enum


class Kind(Enum):
    """What is counted for a command."""

    LOOKUP = "lookup"  # one key; an empty answer is a miss
    LOOKUPS = "lookups"  # many keys, an answer for each
    WRITE = "write"
    EXPIRE = "expire"
    TOUCH = "touch"
    DELETE = "delete"  # the answer is how many there were
    OTHER = "other"


# A member of an Enum costs a lookup of its own, and these are asked for at every command.
LOOKUP, LOOKUPS, DELETE = Kind.LOOKUP, Kind.LOOKUPS, Kind.DELETE


@dataclass(frozen=True, slots=True)
class Command:
    """One command."""

    operation: str
    kind: Kind
    value: int = 0
    """The place of the value written in its arguments; 0 = none."""
    key: int = 1


COMMANDS: dict[str, Command] = {
    "GET": Command("get", Kind.LOOKUP),
    "GETEX": Command("get", Kind.LOOKUP),
    "GETDEL": Command("get", Kind.LOOKUP),
    "MGET": Command("mget", Kind.LOOKUPS),
    "HGET": Command("hget", Kind.LOOKUP),
    "HMGET": Command("hget", Kind.LOOKUP),
    "HGETALL": Command("hget", Kind.LOOKUP),
    "JSON.GET": Command("get", Kind.LOOKUP),
    "SMEMBERS": Command("range", Kind.LOOKUP),
    "LRANGE": Command("range", Kind.LOOKUP),
    "ZRANGE": Command("range", Kind.LOOKUP),
    "SET": Command("set", Kind.WRITE, value=2),
    "SETNX": Command("set", Kind.WRITE, value=2),
    "SETEX": Command("set", Kind.WRITE, value=3),
    "PSETEX": Command("set", Kind.WRITE, value=3),
    "GETSET": Command("set", Kind.WRITE, value=2),
    "APPEND": Command("set", Kind.WRITE, value=2),
    "MSET": Command("set", Kind.WRITE),
    "HSET": Command("hset", Kind.WRITE, value=3),
    "HMSET": Command("hset", Kind.WRITE),
    "HSETNX": Command("hset", Kind.WRITE, value=3),
    "JSON.SET": Command("set", Kind.WRITE, value=3),
    "LPUSH": Command("push", Kind.WRITE, value=2),
    "RPUSH": Command("push", Kind.WRITE, value=2),
    "SADD": Command("push", Kind.WRITE, value=2),
    "ZADD": Command("push", Kind.WRITE),
    "INCR": Command("incr", Kind.WRITE),
    "INCRBY": Command("incr", Kind.WRITE),
    "INCRBYFLOAT": Command("incr", Kind.WRITE),
    "DECR": Command("incr", Kind.WRITE),
    "DECRBY": Command("incr", Kind.WRITE),
    "HINCRBY": Command("incr", Kind.WRITE),
    "EXPIRE": Command("expire", Kind.EXPIRE),
    "PEXPIRE": Command("expire", Kind.EXPIRE),
    "EXPIREAT": Command("expire", Kind.EXPIRE),
    "PEXPIREAT": Command("expire", Kind.EXPIRE),
    "PERSIST": Command("expire", Kind.EXPIRE),
    "TOUCH": Command("touch", Kind.TOUCH),
    "DEL": Command("delete", Kind.DELETE),
    "UNLINK": Command("delete", Kind.DELETE),
    "EXISTS": Command("exists", Kind.OTHER),
    "TTL": Command("ttl", Kind.OTHER),
    "PTTL": Command("ttl", Kind.OTHER),
    "HDEL": Command("hset", Kind.OTHER),
    "EVAL": Command("eval", Kind.OTHER, key=3),
    "EVALSHA": Command("eval", Kind.OTHER, key=3),
}

# What METRICS.md calls a write of a kind.
WRITE_OPERATIONS = {Kind.WRITE: "set", Kind.EXPIRE: "expire", Kind.TOUCH: "touch"}

REASONS = ("timeout", "connection", "protocol", "serialization", "oom", "other")


def is_miss(answer: object) -> bool:
    """Return whether a lookup found nothing: no value, or an empty (or all-empty) collection."""
    if answer is None:
        return True
    if type(answer) is bytes or type(answer) is str:
        return False
    if isinstance(answer, list):
        return all(one is None for one in answer)
    return isinstance(answer, dict | set) and not answer


def size_of(value: object) -> int:
    """Return how many bytes a value is on the wire, 0 when that would take work to know."""
    if type(value) is bytes or isinstance(value, bytearray | memoryview):
        return len(value)
    if isinstance(value, str):
        return len(value) if value.isascii() else len(value.encode("utf-8", "replace"))
    if isinstance(value, int | float):
        return len(str(value))
    return 0


def reason_of(error: BaseException) -> str:
    """Return why a command failed: one of REASONS, by the names of redis-py's exceptions (and Python's)."""
    names = {kind.__name__ for kind in type(error).__mro__}
    if "TimeoutError" in names:
        return "timeout"
    if "OutOfMemoryError" in names or ("ResponseError" in names and str(error).startswith("OOM")):
        return "oom"
    if names & {"ConnectionError", "OSError", "ClusterDownError"}:
        return "connection"
    if "DataError" in names:
        return "serialization"
    if names & {"ResponseError", "InvalidResponse"}:
        return "protocol"
    return "other"
