"""Has this error been seen before? By its shape: the message without its values, the frames of its stack.

The fingerprints outlive a restart (one line each in the data folder), so that only a shape never seen before is new.
"""

import re
from collections.abc import Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any

from topmast_shipper import ecs

# What differs between two occurrences of one error: quoted text, identifiers, addresses, numbers.
_VALUES = re.compile(r"\"[^\"]*\"|'[^']*'|\b0x[0-9a-fA-F]+\b|\b[0-9a-fA-F]{8,}(?:-[0-9a-fA-F]{4,})*\b|\d+(?:\.\d+)*")
# The frames of a Python traceback; the line number moves with every release.
_FRAME = re.compile(r'File "([^"]+)", line \d+, in (\S+)')
_MAX_KNOWN = 20_000
_MAX_FAMILIAR = 4096
# Two messages that differ in such digits only have one shape; 0 stays apart, for `0x` begins an address.
_DIGITS = bytes.maketrans(b"23456789", b"11111111")
_SHAPE_CHARACTERS = 300


def shape(document: Mapping[str, Any]) -> str:
    """Return what stays the same between two occurrences of one error."""
    stack = ecs.get(document, "error.stack_trace")
    kind = ecs.get(document, "error.type") or ""
    if isinstance(stack, str) and stack:
        frames = _FRAME.findall(stack)
        last = stack.rstrip().rsplit("\n", 1)[-1].split(":", 1)[0]
        if frames:
            return f"{kind or last}|" + "|".join(f"{path}:{function}" for path, function in frames[-8:])
    return f"{kind}|{_VALUES.sub('#', str(document.get('message', ''))[:_SHAPE_CHARACTERS])}"


class Signatures:
    """The shapes seen so far; bounded, durable, best effort (a lost one is announced once more)."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._known = set(path.read_text().split())
        except OSError:
            self._known = set()
        self._familiar: set[tuple[str, bytes]] = set()

    def is_familiar(self, service: str, message: bytes) -> bool:
        """Return whether an error with this message and nothing more was asked about: at a tenth of the time."""
        return bool(message) and (service, message.translate(_DIGITS)) in self._familiar

    def is_new(self, service: str, document: Mapping[str, Any], message: bytes = b"") -> bool:
        """Return whether this service never had an error of this shape, and remember it.

        `message` is all that the error says, as it stands in the document; empty when there is more.
        """
        if message and b"\\" not in message:  # the digits of an escape are none
            if len(self._familiar) >= _MAX_FAMILIAR:
                self._familiar.clear()
            self._familiar.add((service, message.translate(_DIGITS)))
        hashed = blake2b(f"{service}|{shape(document)}".encode("utf-8", "replace"), digest_size=8).hexdigest()
        if hashed in self._known or len(self._known) >= _MAX_KNOWN:
            return False
        self._known.add(hashed)
        try:
            with self._path.open("a") as file:
                file.write(hashed + "\n")
        except OSError:
            pass  # a full disk: the shape is announced again after a restart, no more
        return True
