"""The page on :3001: dashboards, alerts, inbox and log search. Ours, so there is nothing to find or unpack."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from topmast import __version__
from topmast.component import Component
from topmast.engine import Engine, Setup
from topmast.errors import ConfigError
from topmast.page.door import Door, opened_with


def component(setup: Setup) -> Component:
    """Return the page's server as the supervisor keeps it. It needs nobody: a panel says who does not answer.

    Raises ConfigError for a listener that other machines could reach without TLS and a password.
    """
    layout = setup.layout
    layout.data.mkdir(parents=True, exist_ok=True)
    return Component(
        name="page",
        argv=(
            sys.executable,
            "-m",
            "topmast.page",
            "--state",
            str(layout.state),
            "--home",
            str(layout.home),
            "--port-offset",
            str(layout.port_offset),
            *options(setup.settings),
        ),
        ready=f"{layout.url('page')}/healthz",
        version=__version__,
        address=layout.address("page"),
    )


def options(settings: Mapping[str, Any]) -> list[str]:
    """Return the arguments that the configuration's `page` adds. Raises ConfigError."""
    page = settings["page"]
    given = ["--trace-url", page["trace_url"]] if page["trace_url"] else []
    if not page["listen"]:
        return given
    if not page["web_config_file"]:
        raise ConfigError("$.page.web_config_file: is missing; beyond this machine only with TLS and a password")
    host, _, port = page["listen"].rpartition(":")
    file = Path(page["web_config_file"]).expanduser().resolve()
    opened_with(Door(host.strip("[]"), int(port), file))
    # A browser names the server by what its user typed: the address of the links in notifications is one such name.
    named = [urlsplit(settings["public_url"]).netloc, *page["hosts"]]
    hosts = [part for name in named if name for part in ("--allow-host", name.lower())]
    return [*given, "--door", f"{host.strip('[]')}:{port}", "--web-config", str(file), *hosts]


ENGINE = Engine(name="page", summary="dashboards, alerts, inbox and log search on :3001", component=component)
