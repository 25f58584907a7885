"""The demo's app: a FastAPI shop with an assistant, instrumented as the README says (examples/reference_app/)."""

import sys

from topmast import __version__, demo
from topmast.component import Component
from topmast.engine import Engine, Setup
from topmast.errors import PrerequisiteError
from topmast.layout import LOOPBACK


def component(setup: Setup) -> Component:
    layout = setup.layout
    if not (layout.home / "examples" / "reference_app" / "app.py").is_file():
        raise PrerequisiteError(
            f"demo-app: {layout.home} has no examples/reference_app; the demo runs from a clone of the repository"
        )
    demo.log_folder(layout).mkdir(parents=True, exist_ok=True)
    server = f"host={LOOPBACK} port={layout.port('demo-postgres')}"
    env = {
        "PORT": str(layout.port("demo-app")),
        "SHOP_DATABASE": f"{server} dbname=shop user=shop application_name=shop",
        "SHOP_DATABASE_PASSWORD_FILE": str(demo.postgres_password_file(layout)),
        "SHOP_REDIS_URL": f"redis://{layout.address('demo-redis')}/0",
        "SHOP_MODEL_URL": f"{layout.url('demo-model')}/v1",
        "SHOP_LOGS": str(demo.log_folder(layout)),
        "TOPMAST_INGEST_URL": layout.url("ingest"),
    }
    return Component(
        name="demo-app",
        argv=(sys.executable, "-m", "reference_app.app"),
        version=__version__,
        address=layout.address("demo-app"),
        ready=f"{layout.url('demo-app')}/health",
        needs=("demo-redis", "demo-postgres", "demo-model"),
        env=demo.python_environment(layout) | env,
    )


ENGINE = Engine(name="demo-app", summary="the demo's app", component=component, demo=True)
