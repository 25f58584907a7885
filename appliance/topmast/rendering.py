"""Write what the engines read into STATE/rendered, from monitoring/ and the effective configuration.

monitoring/ is the source and stays plain. In embedded mode the addresses are loopback's and the ports may be moved,
so the files are rendered at every start; the demo's run with clocks ten times faster.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from topmast import rules, targets
from topmast.engine import Setup
from topmast.layout import LOOPBACK, Layout
from topmast.size import size, slower

DEMO_SPEED = 10


def render(setup: Setup) -> None:
    """Write topmast.yml, prometheus/ and alertmanager/ below STATE/rendered. Raises ConfigError, OSError."""
    render_scraping(setup)
    render_notifying(setup)


def render_notifying(setup: Setup) -> None:
    """Write alertmanager/: routes, receivers and templates. Raises ConfigError, OSError."""
    layout, settings = setup.layout, setup.settings
    rules.render_alertmanager(
        layout.monitoring / "alertmanager",
        layout.rendered / "alertmanager",
        inbox=layout.url("page"),
        smtp=f"{LOOPBACK}:{layout.port('inbox-smtp')}",
        notify=settings["notify"],
        speed=_speed(setup),
        public_url=settings["public_url"],
    )


def render_scraping(setup: Setup) -> None:
    """Write topmast.yml and prometheus/: rules, jobs and targets. A running Prometheus may be told to read them."""
    layout, settings, speed = setup.layout, setup.settings, _speed(setup)
    render_settings(layout, settings)
    source, prometheus = layout.monitoring / "prometheus", layout.rendered / "prometheus"
    entries = targets.embedded(settings, layout)
    jobs = targets.secured(settings["targets"])
    rules.render(source, prometheus, alerts=settings["alerts"], slo=settings["slo"], speed=speed)
    written = rules.render_prometheus(source, prometheus, speed=speed, environment=settings["environment"], jobs=jobs)
    if size(layout) == "lite":
        written.write_text(slower(written.read_text(encoding="utf-8")), encoding="utf-8")
    targets.write(entries, prometheus / "targets")


def render_settings(layout: Layout, settings: Mapping[str, Any]) -> None:
    """Write topmast.yml, which the exporter and the shipper read."""
    _write(layout.rendered / "topmast.yml", yaml.safe_dump(dict(settings), sort_keys=False))


def _speed(setup: Setup) -> int:
    return DEMO_SPEED if setup.demo and not setup.real_clocks else 1


def _write(path: Path, text: str) -> None:
    """Put the file in place whole, readable by its owner only: a configuration may name secrets."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.new")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as out:
        out.write(text)
    draft.replace(path)
