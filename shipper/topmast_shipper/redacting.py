"""An input's `redact`: secrets out of lines that others wrote, before anything is made of them.

Our own formatter has redacted already; files, drains and syslog bring what an application printed. Where a line lies
in its source stays as it was, so that nothing of its identity changes.
"""

from collections.abc import Sequence
from typing import Any

import orjson

from topmast_shipper.component import Line
from topmast_shipper.errors import ConfigError
from topmast_shipper.redaction import Redactor
from topmast_shipper.tail.lines import Lines

SCHEMA: dict[str, Any] = {
    "oneOf": [
        {"type": "boolean"},
        {"type": "array", "minItems": 1, "maxItems": 100, "items": {"type": "string", "minLength": 1}},
    ]
}


def redactor_of(option: bool | Sequence[str], where: str) -> Redactor | None:
    """Return what `redact` asks for: true is the usual secrets, a list patterns of one's own beside them.

    Raises ConfigError for a pattern that is none.
    """
    if not option:
        return None
    try:
        return Redactor(() if option is True else option)
    except ValueError as error:
        raise ConfigError(f"{where}: redact: {error}") from error


def redacted(lines: Sequence[Line], redactor: Redactor) -> Sequence[Line]:
    """Return the lines without their secrets, each at its old place."""
    if isinstance(lines, Lines):
        return Lines([_line(data, redactor) for data in lines.data], lines.starts, lines.ends)
    return [line._replace(data=_line(line.data, redactor)) for line in lines]


def _line(data: bytes, redactor: Redactor) -> bytes:
    if not redactor.suspects(data):
        return data
    if data.lstrip()[:1] == b"{":
        try:
            return redactor.json(data)
        except (orjson.JSONDecodeError, orjson.JSONEncodeError, AttributeError, RecursionError):
            pass  # it only looked like an object
    # bytes that are no UTF-8 come out as they went in
    return redactor.text(data.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")
