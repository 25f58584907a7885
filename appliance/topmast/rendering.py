"""Write what the engines read into STATE/rendered, from monitoring/ and the effective configuration.

monitoring/ is the source and stays plain. In embedded mode the addresses are loopback's and the ports may be moved,
so the files are rendered at every start; the demo's run with clocks ten times faster.
"""

import os
from pathlib import Path

import yaml

from topmast import rules, targets
from topmast.engine import Setup
from topmast.layout import LOOPBACK

DEMO_SPEED = 10


def render(setup: Setup) -> None:
    """Write topmast.yml, prometheus/ and alertmanager/ below STATE/rendered. Raises ConfigError, OSError."""
    layout, settings = setup.layout, setup.settings
    speed = DEMO_SPEED if setup.demo and not setup.real_clocks else 1
    rendered = layout.rendered
    _write(rendered / "topmast.yml", yaml.safe_dump(dict(settings), sort_keys=False))
    source, prometheus = layout.monitoring / "prometheus", rendered / "prometheus"
    rules.render(source, prometheus, alerts=settings["alerts"], slo=settings["slo"], speed=speed)
    rules.render_prometheus(source, prometheus, speed=speed, environment=settings["environment"])
    targets.write(targets.embedded(settings, layout), prometheus / "targets")
    rules.render_alertmanager(
        layout.monitoring / "alertmanager",
        rendered / "alertmanager",
        inbox=layout.url("page"),
        smtp=f"{LOOPBACK}:{layout.port('inbox-smtp')}",
        notify=settings["notify"],
        speed=speed,
        public_url=settings["public_url"],
    )


def _write(path: Path, text: str) -> None:
    """Put the file in place whole, readable by its owner only: a configuration may name secrets."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.new")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as out:
        out.write(text)
    draft.replace(path)
