"""The local inbox: what Slack, PagerDuty, e-mail and webhooks would have received, one JSON line each.

The file is bounded: when it would pass its size, its newest half stays. It is replaced whole, so that a reader sees
either the old file or the new one.
"""

import json
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

MAX_BYTES = 10 * 1024 * 1024
MAX_TEXT = 16 * 1024
MAX_RAW = 64 * 1024


@dataclass(frozen=True)
class Notification:
    """One message as its channel would have shown it."""

    at: str
    """ISO 8601, UTC."""
    receiver: str
    channel: str
    """slack, pagerduty, email or webhook."""
    status: str
    """firing, resolved, or empty where the message does not say."""
    alerts: tuple[str, ...]
    text: str
    raw: Any = None
    """The body as it came (JSON, or the text of a mail), cut to 64 KiB."""

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "alerts": list(self.alerts)}


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Inbox:
    """The inbox file. One writer, any number of readers, in this process or another."""

    def __init__(self, path: Path, max_bytes: int = MAX_BYTES) -> None:
        self.path = path
        self.max_bytes = max_bytes
        self._writing = threading.Lock()
        self.appended: Counter[str] = Counter()
        """How many were written since the start, by channel."""

    def append(self, notification: Notification) -> None:
        """Write one line. Raises OSError when the state folder cannot be written."""
        line = json.dumps(bounded(notification).to_json(), ensure_ascii=False).encode() + b"\n"
        with self._writing:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if self._size() + len(line) > self.max_bytes:
                self._keep_newest_half()
            # One write of one line: a reader sees all of it or none.
            with self.path.open("ab", buffering=0) as file:
                file.write(line)
            self.appended[notification.channel] += 1

    def newest(self, limit: int, since: datetime | None = None) -> list[dict[str, Any]]:
        """Return at most `limit` notifications, newest first, none older than `since`. No file is an empty inbox."""
        found: list[dict[str, Any]] = []
        for entry in self._newest_first():
            if len(found) >= limit or (since is not None and datetime.fromisoformat(entry["at"]) < since):
                break
            found.append(entry)
        return found

    def version(self) -> str:
        """Return what changes whenever the inbox does, for a reader that polls."""
        try:
            found = self.path.stat()
        except FileNotFoundError:
            return "empty"
        return f"{found.st_ino:x}-{found.st_size:x}"

    def _newest_first(self) -> Iterator[dict[str, Any]]:
        try:
            lines = self.path.read_bytes().split(b"\n")
        except FileNotFoundError:
            return
        # What follows the last newline is a line that is being written.
        for line in reversed(lines[:-1]):
            entry = parse(line)
            if entry is not None:
                yield entry

    def _keep_newest_half(self) -> None:
        content = self.path.read_bytes()[-self.max_bytes // 2 :]
        # The first line is cut somewhere.
        kept = content[content.find(b"\n") + 1 :]
        temporary = self.path.with_suffix(".new")
        temporary.write_bytes(kept)
        temporary.replace(self.path)

    def _size(self) -> int:
        try:
            return self.path.stat().st_size
        except FileNotFoundError:
            return 0


def parse(line: bytes) -> dict[str, Any] | None:
    """Return the notification of one line of the file, or None for a line that is none."""
    try:
        entry = json.loads(line)
        datetime.fromisoformat(entry["at"])
    except (ValueError, TypeError, KeyError):
        return None
    return dict(entry)


def bounded(notification: Notification) -> Notification:
    """Return the notification with its free parts cut, so that one line stays far below the file's bound."""
    raw = notification.raw
    if len(json.dumps(raw, ensure_ascii=False)) > MAX_RAW:
        raw = {"cut": (raw if isinstance(raw, str) else json.dumps(raw, ensure_ascii=False))[:MAX_RAW]}
    return Notification(
        at=notification.at,
        receiver=notification.receiver[:200],
        channel=notification.channel,
        status=notification.status,
        alerts=notification.alerts[:100],
        text=notification.text[:MAX_TEXT],
        raw=raw,
    )
