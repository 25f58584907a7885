"""Messages that an Alertmanager sent and gave up before their answer came: it sends them again, and rightly so.

A flush has its group_interval (at the least 10 s: notify.MinTimeout) and is cut off then, whatever is under way; what
was taken in that moment is not known to have been taken. That is its promise, at least once, and it is told by nobody
but its own log: outside, an answer that comes too late looks like one that came in time.
"""

import re
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime

from topmast.drill.judge import Place

# 0.25 writes ts=, 0.28 and later time=; the text is dispatch.go's and notify.go's in both.
_STAMP = re.compile(r"^(?:ts|time)=(\S+) ")
_GIVEN_UP = re.compile(r'(?:err="|; )([^;"]+?)/(\w+)\[\d+\]: notify retry canceled[^;]*?context deadline exceeded')
_MESSAGE = 'msg="Notify for alerts failed"'


def unanswered(log: str, since: datetime) -> Counter[Place]:
    """Return how often each place was given up with a message under way, from a moment on.

    `log` is an Alertmanager's, of the level warn at the least. Several channels of one flush share a line.
    """
    return Counter(place for line in log.splitlines() for place in _of(line, since))


def _of(line: str, since: datetime) -> Iterable[Place]:
    stamp = _STAMP.match(line)
    if stamp is None or _MESSAGE not in line or datetime.fromisoformat(stamp[1]).astimezone(UTC) < since:
        return ()
    return [(receiver, channel) for receiver, channel in _GIVEN_UP.findall(line)]
