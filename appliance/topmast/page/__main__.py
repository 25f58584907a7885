"""`python -m topmast.page --state DIR --home DIR --port-offset N`: serve the page until SIGTERM."""

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import uvicorn

from topmast.layout import LOOPBACK, Layout
from topmast.page.app import build
from topmast.page.settings import from_layout


def parse(arguments: Sequence[str]) -> Layout:
    """Return the layout that the arguments name."""
    parser = argparse.ArgumentParser(prog="python -m topmast.page", description=__doc__)
    parser.add_argument("--state", type=Path, required=True, metavar="DIR")
    parser.add_argument("--home", type=Path, required=True, metavar="DIR")
    parser.add_argument("--port-offset", type=int, default=0, metavar="N")
    found = parser.parse_args(arguments)
    return Layout(home=found.home.resolve(), state=found.state.resolve(), port_offset=found.port_offset)


def main(arguments: Sequence[str]) -> None:
    """Serve until SIGTERM or SIGINT, then finish what is in flight and leave with 0."""
    layout = parse(arguments)
    # uvicorn raises the signal again once it has shut down: without a handler of ours that would end the
    # process as if it had been killed.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    uvicorn.run(
        build(from_layout(layout)),
        host=LOOPBACK,
        port=layout.port("page"),
        loop="asyncio",
        http="h11",
        ws="none",
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=3,
        limit_concurrency=200,
    )


if __name__ == "__main__":
    main(sys.argv[1:])
