"""What the instruments of one request tell each other: a hook deep inside marks the request it runs in."""

from contextvars import ContextVar
from typing import Protocol


class Marked(Protocol):
    """A request that can be marked as one that called a model."""

    calls_model: bool


current: ContextVar[Marked | None] = ContextVar("topmast_request", default=None)


def mark_model_call() -> None:
    """Say that the request of this context called a language model; outside of a request nothing happens."""
    request = current.get()
    if request is not None:
        request.calls_model = True
