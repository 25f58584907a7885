"""Our exporter: collectors, the cost ledger, and the ingest."""

import sys

from topmast_exporter import __version__

from topmast.component import Component
from topmast.engine import Engine, Setup


def component(setup: Setup) -> Component:
    layout = setup.layout
    (layout.data / "exporter").mkdir(parents=True, exist_ok=True)
    return Component(
        name="exporter",
        argv=(sys.executable, "-m", "topmast_exporter", "-c", str(layout.rendered / "topmast.yml")),
        version=__version__,
        address=layout.address("exporter"),
        ready=f"{layout.url('exporter')}/healthz",
    )


ENGINE = Engine(name="exporter", summary="server metrics, LLM cost, ingest", component=component)
