"""Our shipper: from the log files into the embedded store."""

import sys

from topmast_shipper import __version__

from topmast.component import Component
from topmast.engine import Engine, Setup


def component(setup: Setup) -> Component:
    layout = setup.layout
    (layout.data / "shipper").mkdir(parents=True, exist_ok=True)
    layout.log_store.mkdir(parents=True, exist_ok=True)
    return Component(
        name="shipper",
        argv=(sys.executable, "-m", "topmast_shipper", "-c", str(layout.rendered / "topmast.yml")),
        version=__version__,
        address=layout.address("shipper"),
        ready=f"{layout.url('shipper')}/metrics",
        stop_seconds=15.0,
    )


ENGINE = Engine(name="shipper", summary="log files into the store", component=component)
