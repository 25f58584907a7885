"""`myapp | topmast ship --stdin`: what a program prints, into a spool, and on to where it went before.

Each line outlives this process when the next one is read. At the end of the input nothing is left to do: the shipper
that follows the spool may start later.
"""

import signal
import time
from pathlib import Path
from typing import BinaryIO

from topmast_shipper import ecs, timestamps
from topmast_shipper.errors import StateError
from topmast_shipper.parsers import auto
from topmast_shipper.records import MAX_PAYLOAD_BYTES, Writer
from topmast_shipper.tail.lines import text

_READ_BYTES = 1 << 16
# A line without end is taken in parts of this size, so that a record stays below what a spool takes.
_MAX_LINE_BYTES = MAX_PAYLOAD_BYTES // 8


def take(source: BinaryIO, echo: BinaryIO, folder: Path, service: str) -> int:
    """Take in lines until the end of the input; return how many. Raises StateError when the spool cannot be written.

    Ctrl-C reaches the program before it; what that still says is taken in too.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    writer = Writer(str(folder), "stdin")
    count = 0
    rest = b""
    try:
        while data := _read(source):
            _echo(echo, data)
            *lines, rest = (rest + data).split(b"\n")
            if len(rest) > _MAX_LINE_BYTES:
                lines, rest = [*lines, rest], b""
            count += _put(writer, lines, service)
        return count + _put(writer, [rest], service)
    except OSError as error:
        raise StateError(f"{folder}: {error.strerror}: lines are lost from here on") from error
    finally:
        writer.close()


def record(line: bytes, service: str, now: float) -> bytes:
    """Return the record of a line: its fields as JSON, with the service and the time unless it names its own."""
    said, _ = text(line)
    fields = auto.parse(said)
    names = {ecs.OLD_NAMES.get(name, name) for name in fields}
    if service and "service.name" not in names:
        fields["service.name"] = service
    if "@timestamp" not in names:
        # it may be read much later than it came
        fields["@timestamp"] = timestamps.isoformat(int(now * 1_000_000))
    return ecs.dump(fields)


def _put(writer: Writer, lines: list[bytes], service: str) -> int:
    parts = [
        each[start : start + _MAX_LINE_BYTES] for each in lines for start in range(0, len(each), _MAX_LINE_BYTES)
    ]
    now = time.time()
    records = [record(part.rstrip(b"\r"), service, now) for part in parts if part.strip()]
    if records:
        writer.append_many(records)
    return len(records)


def _read(source: BinaryIO) -> bytes:
    read1 = getattr(source, "read1", source.read)
    data: bytes = read1(_READ_BYTES)
    return data


def _echo(echo: BinaryIO, data: bytes) -> None:
    try:
        echo.write(data)
        echo.flush()
    except OSError:
        pass  # whoever read it is gone; the records are what matters
