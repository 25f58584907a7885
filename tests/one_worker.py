"""Costly fixtures of which one worker of pytest-xdist has all the tests, so that each is made once.

A worker knows which test uses what; the controller, who hands the tests out, has their ids and nothing else. So such
a fixture's name stands in the ids of its tests, as a parameter: `test_x[@demo]`. Every other test is for whichever
worker has nothing to do. (xdist 3.8 has groups of its own, which pytest 9.1 and newer do not hold: it writes them to
a field of the test that is not read any more.)
"""

import re
from collections.abc import Callable
from typing import Any, Literal

import pytest
from xdist.scheduler import LoadScopeScheduling

_SHARED = re.compile(r"\[.*?(@\w+)")


def shared(name: str, scope: Literal["session", "module"] = "session") -> Callable[..., Any]:
    """Return the decorator of a fixture whose tests stay together."""
    return pytest.fixture(scope=scope, params=[name], ids=[f"@{name}"])


class OneWorkerEach(LoadScopeScheduling):
    """Hand out what is shared as one piece, the largest first, and then each other test by itself."""

    def _split_scope(self, nodeid: str) -> str:
        found = _SHARED.search(nodeid)
        return found[1] if found else nodeid
