"""Has this error been seen before? By its shape: the message without its values, the frames of its stack.

The fingerprints outlive a restart (one line each in the data folder), so that only a shape never seen before is new.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

import orjson

from topmast_shipper import ecs

# What differs between two occurrences of one error: quoted text, identifiers, addresses, numbers.
_VALUES = re.compile(r"\"[^\"]*\"|'[^']*'|\b0x[0-9a-fA-F]+\b|\b[0-9a-fA-F]{8,}(?:-[0-9a-fA-F]{4,})*\b|\d+(?:\.\d+)*")
# The frames of a Python traceback; the line number moves with every release.
_FRAME = re.compile(r'File "([^"]+)", line \d+, in (\S+)')
_MAX_KNOWN = 20_000
_MAX_FAMILIAR = 4096
# A message without escapes; their digits would be none.
_MESSAGE = re.compile(rb'"message": ?"([^"\\]*)"')
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

    def is_new(self, service: str, document: bytes, *, bare: bool = False) -> bool:
        """Return whether this service never had an error of this shape, and remember it.

        One that is nothing but its message (`bare`) is known by it at a tenth of the time, once it was asked about.
        """
        said = _MESSAGE.search(document) if bare else None
        if said is not None:
            familiar = (service, said[1].translate(_DIGITS))
            if familiar in self._familiar:
                return False
            if len(self._familiar) >= _MAX_FAMILIAR:
                self._familiar.clear()
            self._familiar.add(familiar)
        return self._is_new(service, orjson.loads(document or b"{}"))

    def news(self, services: Sequence[str], documents: Sequence[bytes], bare: Sequence[bool]) -> Iterator[int]:
        """Yield the places of errors that are new, as `is_new` has it; all columns have one length."""
        if self._are_familiar(services, documents, bare):
            return
        search, familiar = _MESSAGE.search, self._familiar
        for at, (service, document, plain) in enumerate(zip(services, documents, bare, strict=True)):
            # what comes again and again costs no call
            said = search(document) if plain else None
            if said is not None and (service, said[1].translate(_DIGITS)) in familiar:
                continue
            if self.is_new(service, document, bare=plain):
                yield at

    def _are_familiar(self, services: Sequence[str], documents: Sequence[bytes], bare: Sequence[bool]) -> bool:
        """Return whether all are one service's, and known by their messages: all at once, for most windows are."""
        if not all(bare) or len(set(services)) != 1:
            return False
        said = [match[1] for match in map(_MESSAGE.search, documents) if match]
        if len(said) < len(documents):
            return False
        # a line break in a message is no JSON
        messages = b"\n".join(said).translate(_DIGITS).split(b"\n")
        return all((services[0], each) in self._familiar for each in set(messages))

    def _is_new(self, service: str, document: Mapping[str, Any]) -> bool:
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
