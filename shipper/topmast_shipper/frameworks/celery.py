"""A Celery worker's records in the same form, with the task's name and id in each: `connect("shop-worker")`.

Call it where the app is made, before the worker starts. Source: signals setup_logging, task_prerun, task_postrun.
"""

from contextvars import Token
from typing import Any

from celery import signals  # type: ignore[import-untyped] # it has no types

from topmast_shipper import context
from topmast_shipper.logging import configure_logging


def connect(service: str = "", **options: Any) -> None:
    """Configure logging when the worker does, and name each task in its records. `options`: of configure_logging."""
    running: dict[str, Token[context.Bound]] = {}

    def configure(**_: Any) -> None:
        configure_logging(service, **options)

    def begin(task_id: str, task: Any, **_: Any) -> None:
        running[task_id] = context.bind({"celery.task.id": task_id, "celery.task.name": task.name})

    def end(task_id: str, **_: Any) -> None:
        token = running.pop(task_id, None)
        if token is not None:
            context.reset(token)

    # whoever receives setup_logging keeps Celery from setting handlers up by itself
    signals.setup_logging.connect(configure, weak=False)
    signals.task_prerun.connect(begin, weak=False)
    signals.task_postrun.connect(end, weak=False)
