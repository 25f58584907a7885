"""What a drill is made of: the engines, the rules as shipped, the routes and templates of this configuration."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from topmast import promtool, rules
from topmast.binaries import find
from topmast.drill.world import Kit
from topmast.engine import Setup
from topmast.engines import alertmanager
from topmast.layout import LOOPBACK, Layout


def kit(layout: Layout, settings: Mapping[str, Any], folder: Path, say: Callable[[str], None]) -> Kit:
    """Return the kit, its files rendered into `folder`. Raises PrerequisiteError where an engine is missing.

    Thresholds are the shipped ones: the disasters are made for them. Channels are the user's.
    """
    setup = Setup(layout=layout, settings=settings, demo=False, real_clocks=True, say=say)
    prometheus = find("prometheus", ("prometheus",), layout, settings, say)
    _, program, cwd = alertmanager.runnable(setup)
    rules.render(layout.monitoring / "prometheus", folder / "prometheus", alerts={}, slo=settings["slo"])
    routes = rules.render_alertmanager(
        layout.monitoring / "alertmanager",
        folder / "alertmanager",
        inbox=layout.url("page"),
        smtp=f"{LOOPBACK}:{layout.port('inbox-smtp')}",
        notify=settings["notify"],
        speed=1,
        public_url=settings["public_url"],
    )
    return Kit(
        prometheus=prometheus.path,
        alertmanager=program,
        alertmanager_folder=cwd,
        promtool=promtool.need_promtool(layout.state),
        rules=folder / "prometheus",
        routes=routes,
        environment=settings["environment"],
        links=(f"{layout.url('prometheus')}/", f"{layout.url('alertmanager')}/"),
    )
