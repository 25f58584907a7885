"""key=value pairs, as Go's and Heroku's services log: `level=info msg="order placed" took=12ms`.

Source: brandur.org/logfmt, github.com/kr/logfmt. Values are text, but numbers and true or false without quotes.
"""

import re
from collections.abc import Mapping
from typing import Any

from topmast_shipper.component import Kind, Parser

_PAIR = re.compile(r'\s*([^\s="]{1,256})(?:=(?:"((?:[^"\\]|\\.)*)"|([^\s"]*))(?=\s|$)|(?=\s|$))')
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,17})(?:\.[0-9]{1,18})?")
_ESCAPED = re.compile(r"\\(.)")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r"}
_WORDS = {"true": True, "false": False}


def parse(message: str) -> dict[str, Any]:
    """Return the pairs; a line that is not made of pairs alone stays text, with the reason in `error.type`."""
    fields: dict[str, Any] = {}
    position = pairs = 0
    end = len(message.rstrip())
    while position < end:
        found = _PAIR.match(message, position)
        if found is None:
            reason = f"no key=value at character {position}"
            return {"message": message, "error.type": "logfmt", "error.message": reason}
        name, quoted, bare = found.groups()
        pairs += quoted is not None or bare is not None
        fields[name] = _value(quoted, bare)
        position = found.end()
    if not pairs:
        return {"message": message, "error.type": "logfmt", "error.message": "no key=value in it"}
    return fields


def _value(quoted: str | None, bare: str | None) -> Any:
    if quoted is not None:
        return _ESCAPED.sub(lambda found: _ESCAPES.get(found[1], found[1]), quoted) if "\\" in quoted else quoted
    if bare is None:
        return True
    if _NUMBER.fullmatch(bare):
        return float(bare) if "." in bare else int(bare)
    return _WORDS.get(bare, bare)


def build(options: Mapping[str, Any]) -> Parser:
    del options
    return parse


PARSER = Kind[Parser]("logfmt", {"type": "object", "additionalProperties": False}, build)
