"""How often each source may ask: an allowance by address, refilled as time passes.

A flood from one address is answered 429 and costs the others nothing. The addresses kept are bounded: beyond that,
who has been quiet the longest is forgotten, and begins anew with a whole allowance.
"""

import time
from collections import OrderedDict
from collections.abc import Callable

from topmast_exporter.web import HttpError, Scope

PER_SECOND = 100.0
BURST = 200.0
MAX_SOURCES = 4_096


class Turns:
    """The allowances of a listener's sources."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` gives seconds; one that is set back holds nobody up."""
        self._clock = clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, scope: Scope) -> None:
        """Take one turn of the request's address. Raises HttpError 429 with Retry-After when it has none left."""
        source = str((scope.get("client") or ("",))[0])
        now = self._clock()
        left, since = self._left.pop(source, (BURST, now))
        left = min(BURST, left + max(0.0, now - since) * PER_SECOND)
        allowed = left >= 1.0
        self._left[source] = (left - 1.0 if allowed else left, now)
        if len(self._left) > MAX_SOURCES:
            self._left.popitem(last=False)
        if not allowed:
            raise HttpError(429, "too many requests from this address", [(b"retry-after", b"1")])

    def __len__(self) -> int:
        """Return how many addresses are kept."""
        return len(self._left)
