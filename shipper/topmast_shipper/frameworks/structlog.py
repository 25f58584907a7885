"""structlog's events as records: `structlog.configure(**configuration())`, or `render` as the last processor.

Source: structlog's own stdlib integration (structlog.stdlib.render_to_log_kwargs), which raises on a field that has
the name of an attribute of LogRecord; here it becomes a label.
"""

import logging
from collections.abc import MutableMapping
from typing import Any

_OWN = frozenset(vars(logging.LogRecord("", 0, "", 0, "", (), None))) | {"message", "asctime", "taskName"}
_ARGUMENTS = ("exc_info", "stack_info", "stacklevel")


def render(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> dict[str, Any]:
    """Return an event as the arguments of a logging call: its text, its fields as extras."""
    told: dict[str, Any] = {name: event.pop(name) for name in _ARGUMENTS if name in event}
    message = event.pop("event", "")
    fields = {f"labels.{name}" if name in _OWN else name: value for name, value in event.items()}
    return {"msg": message, "extra": fields, **told}


def configuration() -> dict[str, Any]:
    """Return what `structlog.configure` takes: structlog's context variables, its levels, then `render`."""
    import structlog

    return {
        "processors": [
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.filter_by_level,
            structlog.stdlib.PositionalArgumentsFormatter(),
            render,
        ],
        "wrapper_class": structlog.stdlib.BoundLogger,
        "logger_factory": structlog.stdlib.LoggerFactory(),
        "cache_logger_on_first_use": True,
    }
