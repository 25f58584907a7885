"""The errors of the exporter.

ExporterError
├── ConfigError    a configuration is refused: `$.json.path: what is wrong`
└── CollectError   a server could not be read; `reason` is a label value
"""


class ExporterError(Exception):
    """The root: what a person must know, in one sentence."""


class ConfigError(ExporterError):
    """The configuration is refused before anything starts."""


class CollectError(ExporterError):
    """A server could not be read. `reason` is one of a fixed list (it becomes a label value)."""

    REASONS = ("timeout", "connection", "authentication", "permission", "protocol", "other")

    def __init__(self, message: str, reason: str = "other") -> None:
        super().__init__(message)
        self.reason = reason if reason in self.REASONS else "other"
