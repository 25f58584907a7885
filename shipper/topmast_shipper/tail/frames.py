"""What container engines write around each line of a program, taken off: Docker's json-file and Kubernetes' CRI.

Docker: `{"log":"text\n","stream":"stdout","time":"…"}`; a line over 16 KiB comes in several, all but the last without
`\n` in `log`. CRI: `TIME STREAM P|F text`; P is a part, F the last one. Facts: SHIPPING.md section 5.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import orjson

from topmast_shipper.component import Parser

_CRI = re.compile(rb"(\S+) (stdout|stderr) ([PF])(?::\S*)? (.*)", re.DOTALL)
_WRAPPED = re.compile(r"(\S*) (stdout|stderr) F (.*)", re.DOTALL)


class Frame(NamedTuple):
    """What one line of the engine says: a line of the program, or a part of one."""

    text: bytes
    stream: str = ""
    """`stdout` or `stderr`; the parts of a line belong to one of them."""
    time: str = ""
    whole: bool = True
    """Nothing of this line is still to come."""


Decode = Callable[[bytes], Frame | None]


def docker(line: bytes) -> Frame | None:
    """Return the frame of a json-file line; None when it is none."""
    try:
        found = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(found, dict) or not isinstance(log := found.get("log"), str):
        return None
    stream, time = found.get("stream"), found.get("time")
    if stream not in ("stdout", "stderr") or not isinstance(time, str) or " " in time:
        return None
    text = log.encode("utf-8", "replace")
    return Frame(text.removesuffix(b"\n").removesuffix(b"\r"), stream, time, text.endswith(b"\n"))


def cri(line: bytes) -> Frame | None:
    """Return the frame of a CRI line; None when it is none."""
    found = _CRI.fullmatch(line)
    if found is None:
        return None
    time, stream, tag, text = found.groups()
    return Frame(text, stream.decode(), time.decode("ascii", "replace"), tag == b"F")


FRAMES: Mapping[str, Decode] = {"cri": cri, "docker": docker}


def wrap(frame: Frame) -> bytes:
    """Return a joined line with what its frames said, in the form of CRI: what an event of it carries."""
    return b"%s %s F %s" % (frame.time.encode(), frame.stream.encode(), frame.text) if frame.stream else frame.text


def unwrapping(parser: Parser) -> Parser:
    """Return a parser of wrapped lines: the given one's fields, `stream`, and the engine's time if it has none."""

    def parse(message: str) -> dict[str, Any]:
        found = _WRAPPED.fullmatch(message)
        if found is None:
            fields = parser(message)
            fields.setdefault("error.type", "framing")
            fields.setdefault("error.message", "not a line of a container engine")
            return fields
        time, stream, text = found.groups()
        fields = parser(text)
        fields.setdefault("stream", stream)
        if "@timestamp" not in fields and "timestamp" not in fields and "time" not in fields:
            fields["@timestamp"] = time
        return fields

    return parse
