"""redis-py, without the OpenTelemetry SDK that it imports where one is installed.

redis-py 7 and later import `opentelemetry.metrics` and `opentelemetry.sdk.metrics` at their own import, to measure
themselves when they are asked to. Nobody asks them to here: it is 20 MB of a process that watches a Redis.
An application's own client is imported as ever: this is for processes of ours.
"""

import importlib
import sys
from types import ModuleType

# Their absence is what redis-py is prepared for; None in sys.modules is how Python says it.
_UNUSED = ("opentelemetry.metrics", "opentelemetry.sdk.metrics")


def load() -> ModuleType:
    """Return the module `redis`. Raises ImportError when there is none. Not from two threads at the same time."""
    if "redis" in sys.modules:
        return sys.modules["redis"]
    absent = [name for name in _UNUSED if name not in sys.modules]
    sys.modules.update(dict.fromkeys(absent))  # type: ignore[arg-type]  # typeshed knows modules only
    try:
        return importlib.import_module("redis")
    finally:
        for name in absent:
            del sys.modules[name]
