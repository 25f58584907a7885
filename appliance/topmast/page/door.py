"""The page for other machines: a second listener, with TLS and a password, beside the one on loopback.

The first stays as it is: Alertmanager and the command line on this machine use it without either.
"""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from topmast_exporter.errors import ConfigError as WebConfigError
from topmast_exporter.guard import Guard, WebFile
from topmast_exporter.listener import server
from topmast_exporter.web import is_loopback

from topmast.errors import ConfigError


@dataclass(frozen=True)
class Door:
    """Where to listen, and the web.config.yml that says who is let in."""

    host: str
    port: int
    web_config_file: Path


def opened_with(door: Door) -> WebFile:
    """Return the door's configuration. Raises ConfigError unless it has TLS and asks who is there.

    On loopback neither is needed, yet a door that has its file is held to it all the same.
    """
    where = "$.page.web_config_file"
    try:
        web = WebFile(door.web_config_file)
    except WebConfigError as error:
        raise ConfigError(f"{where}: {error}") from error
    if web.config.tls is None or not web.config.asks_who():
        missing = "tls_server_config" if web.config.tls is None else "basic_auth_users"
        raise ConfigError(
            f"{where}: {door.web_config_file}: has no {missing}; beyond this machine the page listens only with TLS "
            "and a password"
        )
    return web


@asynccontextmanager
async def standing_open(door: Door | None, app: Any) -> AsyncIterator[None]:
    """Serve `app` at the door while the context is open. Raises ConfigError, OSError when the port is taken."""
    if door is None:
        yield
        return
    web = opened_with(door)
    family = socket.AF_INET6 if ":" in door.host else socket.AF_INET
    listening = socket.create_server((door.host, door.port), family=family, backlog=128)
    behind = server(Guard(app, web), web)
    served = asyncio.create_task(behind.serve(sockets=[listening]))
    try:
        yield
    finally:
        behind.should_exit = True
        await served


def refuse_open(listen: tuple[str, int] | None, *, private_network: bool) -> None:
    """Raise ConfigError for a plain listener that other machines can reach."""
    if listen is None or private_network or is_loopback(listen[0]):
        return
    raise ConfigError(
        f"--listen {listen[0]}:{listen[1]}: beyond this machine the page listens only with TLS and a password "
        "(page.listen and page.web_config_file); --private-network says that nobody else is in that network"
    )
