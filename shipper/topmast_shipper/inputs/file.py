"""Follows files by their names' patterns, through every kind of rotation; the files are the durable queue.

Facts: SHIPPING.md section 5. How: topmast_shipper/tail/.
"""

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, tzinfo
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from topmast_shipper import redacting, rooms
from topmast_shipper.component import Input, Kind, Line, Parser, Source
from topmast_shipper.errors import ConfigError
from topmast_shipper.event import Event
from topmast_shipper.intake import Intake
from topmast_shipper.placing import PATH
from topmast_shipper.rooms import Setting
from topmast_shipper.tail.catalogue import Catalogue
from topmast_shipper.tail.discovery import discover, folders
from topmast_shipper.tail.follow import Follow, absolute
from topmast_shipper.tail.frames import FRAMES, unwrapping
from topmast_shipper.tail.grouping import Framing
from topmast_shipper.tail.traces import TRACES, beginning

_HINT_CHARACTERS = 500


@dataclass(frozen=True)
class Config:
    """Which files, whose they are, and what a line is."""

    name: str
    paths: tuple[str, ...]
    """Patterns (`*`, `?`, `[…]`, `**`); relative ones are taken from the configuration's folder."""
    exclude: tuple[str, ...] = ()
    parser: Any = "plain"
    """The name of a parser, or `{name: options}`."""
    service: str = ""
    """`service.name` of lines that do not name their own."""
    timezone: str = "UTC"
    """Of times that name no zone: `Europe/Berlin`."""
    redact: Any = False
    """True, or patterns of your own beside the usual secrets."""
    max_line_bytes: int = 1 << 20
    rotate_wait_seconds: float = 5.0
    framing: str = ""
    """`docker` (json-file) or `cri`: what a container engine writes around each line."""
    multiline: Any = ""
    """`python`, `java`, `go` or `node`: stack traces are one event; or `{start: PATTERN, max_lines: …}`."""
    max_open_files: int = Follow.max_open_files
    hold_deleted_seconds: float = Follow.hold_deleted_seconds
    hold_deleted_bytes: int = Follow.hold_deleted_bytes

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> "Config":
        listed: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in options.items()
        }
        return cls(**listed)


class FileInput:
    """One `file:` entry of the configuration at work."""

    def __init__(self, config: Config, parser: Parser, setting: Setting) -> None:
        self.config = config
        self.name = config.name
        self.service = config.service
        zone = _zone(config)
        redactor = redacting.redactor_of(config.redact, f"input {config.name}")
        self._intake = Intake(unwrapping(parser) if config.framing else parser, zone, redactor)
        follow = Follow(
            input=config.name,
            patterns=absolute(config.paths, setting.base),
            service=config.service,
            exclude=absolute(config.exclude, setting.base),
            written=setting.written,
            max_line_bytes=config.max_line_bytes,
            rotate_wait_seconds=config.rotate_wait_seconds,
            framing=framing_of(config),
            max_open_files=config.max_open_files,
            hold_deleted_seconds=config.hold_deleted_seconds,
            hold_deleted_bytes=config.hold_deleted_bytes,
        )
        self._left = setting.left
        self._catalogue = catalogue_of(follow, setting)

    @property
    def open_files(self) -> int:
        return self._catalogue.open_files

    @property
    def crowded(self) -> bool:
        return self._catalogue.crowded

    def sweep(self) -> bool:
        return self._catalogue.sweep()

    def sources(self) -> Sequence[Source]:
        return self._catalogue.sources()

    def folders(self) -> Iterable[str]:
        return self._catalogue.folders()

    def events(self, source: Source, lines: Sequence[Line], now: float) -> Sequence[Event]:
        return self._intake.events(source, lines, now)

    def close(self) -> None:
        """Leave the files open: at a reload the next one goes on with them, also where they have no name any more."""
        self._left[self.name] = self._catalogue


def catalogue_of(follow: Follow, setting: Setting) -> Catalogue:
    """Return the catalogue that the input of this name has left, or a new one."""
    left = setting.left.get(follow.input)
    if isinstance(left, Catalogue):
        left.go_on(follow, setting.sinks, setting.inputs)
        del setting.left[follow.input]
        return left
    return Catalogue(
        follow,
        setting.checkpoint,
        setting.sinks,
        setting.inputs,
        lost=setting.lost,
        failed=setting.failed,
        clock=setting.clock,
    )


def framing_of(config: Config) -> Framing | None:
    """Return how lines become events; None when each is one. Raises ConfigError."""
    asked: dict[str, Any] = {"trace": config.multiline} if isinstance(config.multiline, str) else {**config.multiline}
    trace, start = asked.pop("trace", ""), asked.pop("start", "")
    if not (config.framing or trace or start):
        return None
    try:
        step = TRACES[trace] if trace else beginning(start) if start else None
    except re.error as error:
        raise ConfigError(f"input {config.name}: multiline.start: {error}") from error
    return Framing(FRAMES[config.framing] if config.framing else None, step, **asked)


def _zone(config: Config) -> tzinfo:
    try:
        # a small image has no zones at all, and the default needs none
        return UTC if config.timezone == "UTC" else ZoneInfo(config.timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:  # OSError: a folder of zones
        raise ConfigError(f"input {config.name}: timezone: no zone {config.timezone!r}") from error


def ask(options: Mapping[str, Any]) -> Sequence[str]:
    config = Config.of(options)
    _zone(config)
    redacting.redactor_of(config.redact, f"input {config.name}")
    framing_of(config)
    closed = [each for each in sorted(folders(config.paths)) if not os.access(each, os.R_OK | os.X_OK)]
    hints = [f"input {config.name}: user {os.geteuid()} may not look into {each}" for each in closed]
    if not discover(config.paths, config.exclude):
        hints.append(f"input {config.name}: no file matches yet: {', '.join(config.paths)}"[:_HINT_CHARACTERS])
    return hints


def build(options: Mapping[str, Any], setting: Setting) -> Input:
    config = Config.of(options)
    parser = rooms.parser(config.parser, f"input {config.name}")
    return FileInput(config, parser, setting)


INPUT = Kind[Input](
    "file",
    {
        "type": "object",
        "additionalProperties": False,
        "required": ["name", "paths"],
        "properties": {
            "name": {"type": "string", "pattern": "^[a-z0-9][a-z0-9_.-]{0,63}$"},
            "paths": {"type": "array", "minItems": 1, "items": PATH},
            "exclude": {"type": "array", "items": PATH},
            "parser": {"type": ["string", "object"]},
            "service": {"type": "string", "maxLength": 100},
            "redact": redacting.SCHEMA,
            "timezone": {"type": "string", "pattern": "^[A-Za-z][A-Za-z0-9_/+-]{0,63}$"},
            "max_line_bytes": {"type": "integer", "minimum": 1024, "maximum": 16777216},
            "rotate_wait_seconds": {"type": "number", "minimum": 0.1, "maximum": 3600},
            "framing": {"enum": sorted(FRAMES)},
            "multiline": {
                "oneOf": [
                    {"enum": sorted(TRACES)},
                    {
                        "type": "object",
                        "additionalProperties": False,
                        "properties": {
                            "trace": {"enum": sorted(TRACES)},
                            "start": {"type": "string", "minLength": 1, "maxLength": 1000, "format": "regex"},
                            "max_lines": {"type": "integer", "minimum": 2, "maximum": 10000},
                            "max_bytes": {"type": "integer", "minimum": 1024, "maximum": 8388608},
                            "wait_seconds": {"type": "number", "minimum": 0.1, "maximum": 60},
                        },
                        "oneOf": [{"required": ["trace"]}, {"required": ["start"]}],
                    },
                ]
            },
            "max_open_files": {"type": "integer", "minimum": 8, "maximum": 65536},
            "hold_deleted_seconds": {"type": "number", "minimum": 0},
            "hold_deleted_bytes": {"type": "integer", "minimum": 0},
        },
    },
    build,
    ask,
)
