"""`python -m topmast.page --state DIR --home DIR --port-offset N`: serve the page until SIGTERM.

In a container its neighbours have names: `--listen 0.0.0.0:3002 --private-network --prometheus URL --alertmanager URL
--allow-host …`. For other machines there is a second listener: `--door HOST:PORT --web-config FILE`.
"""

import argparse
import signal
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import uvicorn

from topmast.errors import ConfigError
from topmast.layout import Layout
from topmast.page.app import build
from topmast.page.door import Door, refuse_open
from topmast.page.settings import Settings, from_layout


def address(value: str) -> tuple[str, int]:
    """Return HOST:PORT as a pair."""
    host, _, port = value.rpartition(":")
    if not host or not port.isdecimal():
        raise argparse.ArgumentTypeError(f"not HOST:PORT: {value!r:.80}")
    return host, int(port)


def parse(arguments: Sequence[str]) -> Settings:
    """Return what the arguments say; without the container's, every neighbour is on loopback."""
    parser = argparse.ArgumentParser(prog="python -m topmast.page", description=__doc__)
    parser.add_argument("--state", type=Path, required=True, metavar="DIR")
    parser.add_argument("--home", type=Path, required=True, metavar="DIR")
    parser.add_argument("--port-offset", type=int, default=0, metavar="N")
    parser.add_argument("--listen", type=address, metavar="HOST:PORT", help="instead of loopback: in a container")
    parser.add_argument("--prometheus", metavar="URL")
    parser.add_argument("--alertmanager", metavar="URL")
    parser.add_argument(
        "--allow-host", action="append", default=[], metavar="HOST:PORT", help="answer to this name too"
    )
    parser.add_argument("--private-network", action="store_true", help="nobody else reaches --listen")
    parser.add_argument("--door", type=address, metavar="HOST:PORT", help="listen there too, with TLS and a password")
    parser.add_argument("--web-config", type=Path, metavar="FILE", help="the door's web.config.yml")
    parser.add_argument("--trace-url", default="", metavar="URL", help="where a trace is shown, with {trace_id}")
    found = parser.parse_args(arguments)
    if (found.door is None) != (found.web_config is None):
        parser.error("--door and --web-config go together")
    try:
        refuse_open(found.listen, private_network=found.private_network)
    except ConfigError as error:
        parser.error(str(error))
    layout = Layout(home=found.home.resolve(), state=found.state.resolve(), port_offset=found.port_offset)
    usual = from_layout(layout)
    return replace(
        usual,
        prometheus=found.prometheus or usual.prometheus,
        alertmanager=found.alertmanager or usual.alertmanager,
        listen=found.listen,
        allowed_hosts=frozenset(found.allow_host),
        trace_url=found.trace_url,
        door=Door(found.door[0], found.door[1], found.web_config) if found.door else None,
    )


def main(arguments: Sequence[str]) -> None:
    """Serve until SIGTERM or SIGINT, then finish what is in flight and leave with 0."""
    settings = parse(arguments)
    host, port = settings.address
    # uvicorn raises the signal again once it has shut down: without a handler of ours that would end the
    # process as if it had been killed.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    uvicorn.run(
        build(settings),
        host=host,
        port=port,
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
