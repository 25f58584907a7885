"""The demo's model provider: simulated, speaks OpenAI's API (examples/reference_app/model_provider.py)."""

import sys

from topmast import __version__, demo
from topmast.component import Component
from topmast.engine import Engine, Setup


def component(setup: Setup) -> Component:
    layout = setup.layout
    demo.demo_folder(layout).mkdir(parents=True, exist_ok=True)
    return Component(
        name="demo-model",
        argv=(sys.executable, "-m", "reference_app.model_provider"),
        version=__version__,
        address=layout.address("demo-model"),
        ready=f"{layout.url('demo-model')}/health",
        env=demo.python_environment(layout) | {"PORT": str(layout.port("demo-model"))},
    )


ENGINE = Engine(name="demo-model", summary="the demo's simulated model provider", component=component, demo=True)
