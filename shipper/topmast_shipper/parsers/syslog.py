"""A syslog line, RFC 3164 or RFC 5424: its severity as the level; JSON or key=value in its text as fields.

The line's frame is the grok pattern SYSLOG, the one that Logstash has. Severities: RFC 5424 section 6.2.1.
"""

from collections.abc import Mapping
from typing import Any

from topmast_shipper.component import Kind, Parser
from topmast_shipper.ecs import OLD_NAMES
from topmast_shipper.parsers import auto
from topmast_shipper.parsers.grok import Config, GrokParser

# emergency, alert, critical, error, warning, notice, informational, debug
_LEVELS = ("critical", "critical", "critical", "error", "warning", "info", "info", "debug")
_PRIORITY = "log.syslog.priority"


class SyslogParser:
    """One compiled pattern at work."""

    def __init__(self) -> None:
        self._grok = GrokParser(Config("SYSLOG"))

    def __call__(self, message: str) -> dict[str, Any]:
        fields = self._grok(message)
        if "error.type" in fields:
            # a text that names no host or program is still somebody's message
            return auto.parse(message) if not message.startswith("<") else fields
        priority = fields.get(_PRIORITY)
        if priority is not None and priority < 192:
            fields["log.level"] = _LEVELS[priority % 8]
            fields["log.syslog.facility.code"] = priority // 8
        text = fields.pop("message", "").removeprefix("\ufeff")
        inner = auto.parse(text)
        # what the text says of itself is nearer than its frame
        said = {OLD_NAMES.get(name, name) for name in inner}
        framed = {"service.name": fields.get("process.name"), **fields}
        return {**{name: value for name, value in framed.items() if name not in said}, **inner}


def build(options: Mapping[str, Any]) -> Parser:
    del options
    return SyslogParser()


PARSER = Kind[Parser]("syslog", {"type": "object", "additionalProperties": False}, build)
