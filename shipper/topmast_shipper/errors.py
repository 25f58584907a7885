"""The errors of the shipper.

ShipperError
├── ConfigError      a configuration is refused: `$.json.path: what is wrong`
├── QueryError       a log search does not parse; `position` says where
├── StateError       the state folder cannot be used
│   └── InUseError   another shipper holds it
├── TransientError   a sink got nowhere: try again, not before `retry_after_seconds`
│   └── PlaceError   the place that it writes to takes nothing, whatever it is: no event is to blame
└── PermanentError   a sink refuses for good: a person must act
"""


class ShipperError(Exception):
    """The root: what a person must know, in one sentence."""


class ConfigError(ShipperError):
    """The configuration is refused before anything starts."""


class QueryError(ShipperError):
    """A log search does not parse. `position` is the 0-based character it went wrong at."""

    def __init__(self, message: str, position: int) -> None:
        super().__init__(message)
        self.message = message
        self.position = position


class StateError(ShipperError):
    """The state folder cannot be used, or another shipper holds it."""


class InUseError(StateError):
    """Another shipper holds the folder."""


class TransientError(ShipperError):
    """A sink got nowhere: the pipeline tries again, not before `retry_after_seconds`."""

    def __init__(self, message: str, retry_after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class PlaceError(TransientError):
    """The place that a sink writes to takes nothing now (a full disk, a lock): no event is to blame."""


class PermanentError(ShipperError):
    """A sink refuses for good (authentication, configuration): a person must act."""
