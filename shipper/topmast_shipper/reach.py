"""Whether every sink of a configuration can be reached: asked before the first line is sent, and sends none."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from topmast_shipper import listening, rooms
from topmast_shipper.checkpoint import held
from topmast_shipper.component import Kind, Sink
from topmast_shipper.config import ShipperConfig
from topmast_shipper.errors import ConfigError, InUseError, PermanentError, ShipperError, TransientError
from topmast_shipper.writable import writable

_REMEDIES: dict[type[Exception], str] = {
    ConfigError: "correct the sink's options",
    PermanentError: "a person must act: correct the login, the certificate or the permission that the message names",
    InUseError: "stop the other shipper, or give this one a store of its own",
    TransientError: "start what should answer there, or correct the address; a shipper would try again for ever",
}


class Reached(NamedTuple):
    """One thing that was looked at."""

    name: str
    ok: bool
    message: str
    remedy: str | None


def reach(config: ShipperConfig) -> Iterator[Reached]:
    """Yield what became of the data folder, of the address of /metrics and of each sink, one after the other."""
    at_work = held(config.data)
    try:
        yield Reached("data", True, writable(config.data) + ", a shipper is at work there" * at_work, None)
    except PermanentError as error:
        yield Reached("data", False, str(error), _REMEDIES[PermanentError])
    if config.listen and not at_work:
        yield _metrics(config.listen)
    for entry in config.sinks:
        try:
            said = _look(rooms.kind("sinks", entry.kind), entry.options)
        except InUseError as error:
            # held by the shipper of this very configuration, as it should be
            told = f"{entry.options['path']}: written by the shipper that is at work" if at_work else str(error)
            yield Reached(entry.name, at_work, told, None if at_work else _REMEDIES[InUseError])
        except ShipperError as error:
            yield Reached(entry.name, False, str(error), _REMEDIES.get(type(error)))
        else:
            yield Reached(entry.name, True, said, None)


def _look(kind: Kind[Any], options: Mapping[str, Any]) -> str:
    if kind.look is not None:
        return kind.look(options)
    sink: Sink = kind.build(options)
    try:
        return sink.check()
    finally:
        sink.close()


def _metrics(listen: str) -> Reached:
    """Return whether /metrics could be served there, without listening."""
    try:
        listening.try_out(listen)
    except OSError as error:
        remedy = "stop what listens there, or give the shipper another `listen` ('' for none)"
        return Reached("metrics", False, f"{listen}: {error.strerror}", remedy)
    return Reached("metrics", True, f"{listen}: is free", None)
