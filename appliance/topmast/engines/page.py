"""The page on :3001: dashboards, alerts, inbox and log search. Ours, so there is nothing to find or unpack."""

import sys

from topmast import __version__
from topmast.component import Component
from topmast.engine import Engine, Setup


def component(setup: Setup) -> Component:
    """Return the page's server as the supervisor keeps it. It needs nobody: a panel says who does not answer."""
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
        ),
        ready=f"{layout.url('page')}/healthz",
        version=__version__,
        address=layout.address("page"),
    )


ENGINE = Engine(name="page", summary="dashboards, alerts, inbox and log search on :3001", component=component)
