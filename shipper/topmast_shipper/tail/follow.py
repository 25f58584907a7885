"""What one file input follows, and how patiently."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from topmast_shipper.component import Written
from topmast_shipper.tail.grouping import Framing


@dataclass(frozen=True)
class Follow:
    """The options of an input, as far as its files are concerned."""

    input: str
    patterns: tuple[str, ...]
    service: str = ""
    exclude: tuple[str, ...] = ()
    written: tuple[Written, ...] = ()
    """What the shipper writes itself, and no pattern means."""
    max_line_bytes: int = 1 << 20
    rotate_wait_seconds: float = 5.0
    """A rotated file is finished when nothing was appended for so long."""
    close_quiet_seconds: float = 300.0
    """A file that was read to its end and did not change for so long gives its descriptor back."""
    framing: Framing | None = None
    """What lines are one event; None when each is."""
    max_open_files: int = 256
    hold_deleted_seconds: float = 86400.0
    """A deleted file that some sink has not got is kept open, and its disk space taken, for so long at most."""
    hold_deleted_bytes: int = 1 << 30
    """All of them together keep no more than this unread."""


def absolute(patterns: Sequence[str], base: Path) -> tuple[str, ...]:
    """Return the patterns with relative ones taken from `base`."""
    return tuple(str(base / pattern) for pattern in patterns)
