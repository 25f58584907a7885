"""The contracts of the three rooms: what an input, a parser and a sink are, and what a sink answers.

Every module of inputs/, parsers/ and sinks/ ends in one `Kind` named INPUT, PARSER or SINK: the schema of its
options (closed; defaults live in the module's dataclass) and how to build it. The folder is the registry.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, NamedTuple, Protocol, TypeVar, runtime_checkable

from topmast_shipper.event import Event, Origin
from topmast_shipper.window import Window


class Line(NamedTuple):
    """One record as it lies in its source, without its terminator."""

    data: bytes
    start: int
    end: int
    flags: tuple[str, ...] = ()


class Cursor(NamedTuple):
    """How far a sink is in one generation, and a fingerprint of the bytes just before it."""

    offset: int = 0
    tail_length: int = 0
    tail_digest: str = ""


class Block(NamedTuple):
    """What one read brought: whole lines, and the bytes they came from (for the fingerprint)."""

    lines: Sequence[Line]
    end: int
    """Reading goes on here: behind the last line, blank ones and holes included."""
    data: bytes = b""
    """Ends at or behind `end`."""
    data_start: int = 0
    knots: Sequence[tuple[int, int]] = ()
    """Where lines lie across each other: no cursor may stand inside."""


class Source(Protocol):
    """One generation of one stream: bytes that only grow, read by position by any number of sinks."""

    @property
    def stream(self) -> str: ...

    @property
    def generation(self) -> int: ...

    @property
    def origin(self) -> Origin: ...

    @property
    def size(self) -> int:
        """Bytes seen so far."""

    def read(self, cursor: Cursor, max_bytes: int, max_lines: int) -> Block | None:
        """Return the next whole lines behind the cursor; None when there is none (yet)."""


class Input(Protocol):
    """Finds sources and says what each line is."""

    @property
    def name(self) -> str: ...

    @property
    def service(self) -> str: ...

    @property
    def open_files(self) -> int: ...

    def sweep(self) -> bool:
        """Look at the world once; return whether there may be something new to read."""

    def sources(self) -> Sequence[Source]:
        """What can be read now, oldest first."""

    def folders(self) -> Iterable[str]:
        """Where a change may announce something new."""

    def events(self, source: Source, lines: Sequence[Line], now: float) -> Sequence[Event]:
        """Return the lines as completed events, one each; `now` is the Unix time they were read at.

        Never raises: what does not parse goes on raw, with the reason.
        """

    def close(self) -> None: ...


class Parser(Protocol):
    """The meaning of one line; pure."""

    def __call__(self, message: str) -> dict[str, Any]:
        """Return the fields, flat (`log.level`), nested, or under old names (`levelname`).

        A line that does not fit returns `message` and `error.type`, `error.message`.
        """


@dataclass(frozen=True)
class Refusal:
    """An event that the sink will never store: its place in the window, and why."""

    index: int
    reason: str


@dataclass(frozen=True)
class Receipt:
    """The first `settled` events of the window are done: stored, or listed in `refused`.

    Only a receipt moves the checkpoint. The rest of the window is sent again.
    """

    settled: int
    refused: tuple[Refusal, ...] = ()


class Sink(Protocol):
    """A store or a wire. Holds no loop, sleep or retry: the pipeline alone knows the order.

    `send` raises TransientError when it got nowhere, PermanentError when a person must act.
    Sending a window again is harmless where the sink can tell (the same `Event.id` is stored once).
    Who needs no more than the documents or the ids takes the columns of `window.of(window)`.
    """

    def send(self, window: Sequence[Event]) -> Receipt: ...

    def check(self) -> str:
        """Go as far as `send` does before the first event: connect, log in, find the folder. Sends nothing.

        Returns what was found, in one sentence; raises as `send`.
        """

    def close(self) -> None: ...


@runtime_checkable
class Waiting(Protocol):
    """What a sink has beside `send` that waits in it, for an answer or a disk: there is something to do meanwhile."""

    meanwhile: Callable[[], Window | None]
    """Called while a window is on its way; returns soon, never raises, and changes nothing of the window.

    It returns the window that will most likely come next, where one was read: a sink may get it ready.
    """


class Written(NamedTuple):
    """Files that are made while the shipper runs: no input reads them."""

    path: Path
    """A file, with what its rotation makes of it; with `names`, a folder."""
    names: tuple[str, ...] = ()
    """Patterns of what in that folder is meant, with all that lies in there."""


@runtime_checkable
class Writing(Protocol):
    """What a sink has beside `send` that writes files of this machine."""

    @property
    def written(self) -> Sequence[Written]: ...


@runtime_checkable
class Roomy(Protocol):
    """What a sink has beside `send` that takes larger windows than a wire does."""

    window_events: int


@runtime_checkable
class Crowded(Protocol):
    """What an input has beside `sweep` that opens a bounded number of sources at once."""

    @property
    def crowded(self) -> bool:
        """Whether sources wait for others to be read to their end: the next look is worth more than usual."""


Built = TypeVar("Built")


def _unasked(_options: Mapping[str, Any]) -> Sequence[str]:
    """Of what the schema says everything of."""
    return ()


@dataclass(frozen=True)
class Kind(Generic[Built]):
    """What a module of a room ends in."""

    name: str
    """The module's name, and the key in the configuration."""
    schema: Mapping[str, Any]
    """JSON Schema of its options: an object, closed."""
    build: Callable[..., Built]
    """Inputs: `build(options, setting)`. Parsers and sinks: `build(options)`. Raises ConfigError."""
    ask: Callable[[Mapping[str, Any]], Sequence[str]] = _unasked
    """Of inputs and sinks: raises ConfigError for what `build` refuses; makes, opens and sends nothing.

    Returns what a person may want to know before it is built, a sentence each.
    """
    look: Callable[[Mapping[str, Any]], str] | None = None
    """Of a sink whose `build` makes something: says what its `check` would, and raises as it, without building."""
