"""`python -m topmast_shipper -c FILE [--check]`: ship logs until SIGTERM; SIGHUP reads the configuration again."""

import argparse
import ctypes
import gc
import logging
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType

from topmast_shipper import config, startable
from topmast_shipper.errors import ConfigError, ShipperError, StateError
from topmast_shipper.progress import CLEAR, Progress

# sysexits.h: EX_CONFIG; and EX_TEMPFAIL, for another shipper is at work (SHIPPING.md section 5)
EXIT_CONFIG = 78
EXIT_STATE = 75
# linux/prctl.h
_PR_SET_PDEATHSIG = 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Return the exit code: 0 after a clean stop, 78 for a bad configuration, 75 when the state folder is taken."""
    parser = argparse.ArgumentParser(prog="topmast-shipper", description=__doc__)
    parser.add_argument("-c", "--config", required=True, type=Path, metavar="FILE", help="topmast.yml")
    parser.add_argument("--check", action="store_true", help="only say whether the configuration is right")
    chosen = parser.parse_args(arguments)
    # until there is a shipper to tell: by itself this signal would end the process
    asked_early: list[int] = []
    signal.signal(signal.SIGHUP, lambda number, _frame: asked_early.append(number))
    # on a terminal there may be a line of progress, which a line of the log takes the place of
    clear = CLEAR if sys.stderr.isatty() else ""
    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format=f"{clear}%(asctime)s %(levelname)s %(name)s %(message)s"
    )
    try:
        if chosen.check:
            _, hints = startable.load(chosen.config)
            sys.stdout.write("\n".join([f"{chosen.config}: ok", *hints, ""]))
            return 0
        _check_apart(chosen.config)
        return _ship(config.load(chosen.config, checked=True), chosen.config, asked_early)
    except ConfigError as error:
        sys.stderr.write(f"topmast-shipper: {error}\n")
        return EXIT_CONFIG
    except StateError as error:
        sys.stderr.write(f"topmast-shipper: {error}\n")
        return EXIT_STATE
    except ShipperError as error:
        sys.stderr.write(f"topmast-shipper: {error}\n")
        return 1


def _check_apart(path: Path) -> None:
    """Load the configuration in a child: what the check needs (7 MB of it) is gone with the child."""
    reader, writer = os.pipe()
    parent = os.getpid()
    child = os.fork()
    if child == 0:
        _die_with(parent)
        said = ""
        try:
            _checked(path)
        except ConfigError as error:
            said = str(error)
        os.write(writer, said.encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        refused = pipe.read().decode()
    _, status = os.waitpid(child, 0)
    if refused:
        raise ConfigError(refused)
    if status != 0:
        startable.load(path)  # whatever it was, here it is heard


def _checked(path: Path) -> config.ShipperConfig:
    """Return a configuration that a shipper can start with, and tell its hints. Raises ConfigError."""
    loaded, hints = startable.load(path)
    for each in hints:
        logging.getLogger(__name__).info("%s", each)
    return loaded


def _die_with(parent: int) -> None:
    """Let this process end when its parent does, also by kill -9. Linux alone has a word for it."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)  # it was gone before


def _ship(loaded: config.ShipperConfig, path: Path, asked_early: Sequence[int]) -> int:
    """Ship until a signal ends it. A reload that was `asked_early`, before there was a shipper, comes first."""
    from topmast_shipper.shipper import Shipper, default_umask

    default_umask()
    # a window is thousands of small values that go as they came, none of them in a cycle: looking for cycles at
    # every 700th would take as long as reading them does
    gc.set_threshold(200_000)
    # a sink's writer comes back from SQLite some dozen times a window, and each time waits so long, until the thread
    # that reads on has to give it the interpreter: with five milliseconds, for a third of the window's time
    sys.setswitchinterval(0.00003)
    shipper = Shipper(loaded)

    def stop(_number: int, _frame: FrameType | None) -> None:
        shipper.stop()

    def reload(_number: int, _frame: FrameType | None) -> None:
        shipper.reload(lambda: _checked(path))

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGHUP, reload)
    if asked_early:
        shipper.reload(lambda: _checked(path))
    logging.getLogger(__name__).info("shipping, metrics on %s", shipper.metrics_address or "no address")
    progress = Progress(sys.stderr, lambda: shipper.backlog_bytes) if sys.stderr.isatty() else None
    if progress is not None:
        progress.start()
    shipper.run()
    if progress is not None:
        progress.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
