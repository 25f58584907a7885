"""The demo's users: a seeded load on the app (examples/reference_app/load.py)."""

import sys

from topmast import __version__, demo
from topmast.component import Component
from topmast.engine import Engine, Setup


def component(setup: Setup) -> Component:
    layout = setup.layout
    beat = demo.demo_folder(layout) / "load.ready"
    beat.parent.mkdir(parents=True, exist_ok=True)
    beat.unlink(missing_ok=True)  # of the last run
    env = {"SHOP_URL": layout.url("demo-app"), "LOAD_READY_FILE": str(beat)}
    return Component(
        name="demo-load",
        argv=(sys.executable, "-m", "reference_app.load"),
        version=__version__,
        ready=f"file://{beat}",
        needs=("demo-app",),
        env=demo.python_environment(layout) | env,
    )


ENGINE = Engine(name="demo-load", summary="the demo's users", component=component, demo=True)
