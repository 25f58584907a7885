"""A line that fits one of Logstash's grok patterns, as fields; the same patterns, engine and names as in Logstash."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from topmast_shipper import patterns
from topmast_shipper.component import Kind, Parser
from topmast_shipper.placing import PATH

_TIME = "@metadata.timestamp"


@dataclass(frozen=True)
class Config:
    """Which pattern, and where more of them are."""

    pattern: str
    patterns_dir: str = ""
    """A folder of pattern files beside the ones that come with Topmast."""


class GrokParser:
    """One compiled pattern at work."""

    def __init__(self, config: Config) -> None:
        definitions = dict(patterns.own())
        if config.patterns_dir:
            definitions |= patterns.load([Path(config.patterns_dir)])
        self._grok = patterns.compile_pattern(config.pattern, definitions)

    def __call__(self, message: str) -> dict[str, Any]:
        if len(message) > patterns.MAX_LINE_CHARACTERS:
            return self._raw(message, f"longer than {patterns.MAX_LINE_CHARACTERS} characters")
        fields = self._grok.match(message)
        if fields is None:
            return self._raw(message, f"does not fit {self._grok.name}")
        time = fields.pop(_TIME, None)
        if time is not None:
            fields["@timestamp"] = time
        # what stays in Logstash under @metadata stays out of the document here too
        kept = {name: value for name, value in fields.items() if not name.startswith("@metadata.")}
        return {"message": message} | kept

    def _raw(self, message: str, reason: str) -> dict[str, Any]:
        return {"message": message, "error.type": "grok_mismatch", "error.message": reason}


def build(options: Mapping[str, Any]) -> Parser:
    return GrokParser(Config(**options))


PARSER = Kind[Parser](
    "grok",
    {
        "type": "object",
        "additionalProperties": False,
        "required": ["pattern"],
        "properties": {
            "pattern": {"type": "string", "pattern": "^[A-Za-z][A-Za-z0-9_]*$"},
            "patterns_dir": PATH,
        },
    },
    build,
)
