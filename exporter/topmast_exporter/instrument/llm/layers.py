"""Nested layers that tell of the same model call: LangChain calls LiteLLM, LiteLLM calls an SDK.

The innermost counts, because it knows the most (attempts, tiers, the provider's own usage). A layer opens around what
it calls; whatever will count inside covers all layers around it, and a covered layer does not count. The layers are
found through a context variable, which threads of asyncio's and LangChain's executors and tasks inherit; what is
covered is a flag on the layer itself, so it is seen wherever the layer ends.
"""

from collections.abc import Mapping
from contextvars import ContextVar

from topmast_exporter.instrument.llm.record import current_labels


class Layer:
    """One layer around a model call."""

    __slots__ = ("around", "covered", "labels")

    def __init__(self, around: "Layer | None") -> None:
        self.around = around
        self.covered = False
        """Whether something inside counts the call."""
        self.labels: Mapping[str, str] = current_labels()


_current: ContextVar[Layer | None] = ContextVar("topmast_llm_layer", default=None)


def enter() -> Layer:
    """Open a layer, which counts unless it is covered; it covers those around it."""
    cover()
    layer = Layer(_current.get())
    _current.set(layer)
    return layer


def leave(layer: Layer) -> None:
    """Close it. In another context than it was opened in, nothing happens there."""
    if _current.get() is layer:
        _current.set(layer.around)


def cover() -> None:
    """Say that what runs here is counted here: no layer around it counts."""
    layer = _current.get()
    while layer is not None and not layer.covered:
        layer.covered = True
        layer = layer.around
