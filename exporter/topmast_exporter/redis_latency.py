"""How long each command takes, by LATENCY HISTOGRAM (Redis 7.0, Valkey), under redis_exporter's name.

A server that does not know the command has no histograms; one that refuses it is said to.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from topmast_exporter.collector import Reading

NAME = "redis_commands_latencies_usec"
TEXT = "Time of each command in microseconds, since the server's start or CONFIG RESETSTAT."
# Of Redis's 400 commands an application uses 60 at most; each has up to 30 buckets.
MAX_COMMANDS = 100
OTHER = "_other"


def read_into(reading: Reading, answer: Any, spent: Mapping[str, float]) -> None:
    """Add the histograms of an answer. `spent` is the microseconds of each command, from INFO.

    A bucket without an observation of its own is left out, as the server and redis_exporter do.
    """
    if isinstance(answer, Exception):
        if "unknown subcommand" not in str(answer).lower():
            reading.leave_out("LATENCY HISTOGRAM", str(answer))
        return
    commands = sorted(_commands(answer).items())
    for command, (calls, buckets) in commands[:MAX_COMMANDS]:
        reading.histogram(NAME, TEXT, buckets, calls, spent.get(command), cmd=command)
    rest = commands[MAX_COMMANDS:]
    if rest:
        bounds = sorted({bound for _, (_, buckets) in rest for bound in buckets})
        summed = {bound: sum(_at(buckets, bound) for _, (_, buckets) in rest) for bound in bounds}
        calls = sum(calls for _, (calls, _) in rest)
        reading.histogram(NAME, TEXT, summed, calls, sum(spent.get(name, 0.0) for name, _ in rest), cmd=OTHER)


def _commands(answer: Sequence[Any]) -> dict[str, tuple[int, dict[float, int]]]:
    """Return command: (calls, upper bound in microseconds: calls up to it).

    RESP 2: [command, [calls, 100, histogram_usec, [1, 78, 2, 91, ...]], ...].
    """
    found = {}
    for name, details in zip(answer[::2], answer[1::2], strict=False):
        fields = dict(zip(details[::2], details[1::2], strict=False))
        pairs = fields.get(b"histogram_usec", [])
        buckets = {float(bound): int(count) for bound, count in zip(pairs[::2], pairs[1::2], strict=False)}
        found[name.decode("utf-8", "replace")] = (int(fields.get(b"calls", 0)), buckets)
    return found


def _at(buckets: Mapping[float, int], bound: float) -> int:
    """Return how many calls took up to `bound`: a bucket that is left out has what the one before it has."""
    return max((count for upper, count in buckets.items() if upper <= bound), default=0)
