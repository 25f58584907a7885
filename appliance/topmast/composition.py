"""Write what the containers read into STATE/rendered-compose, when a topmast.yml says anything but the defaults.

Without one, Compose mounts monitoring/ as it is. The addresses are the compose network's, so the targets files are
monitoring/'s own with the user's targets added.
"""

import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from topmast import config, rules, targets
from topmast.layout import Layout
from topmast.size import slower

# What docker-compose.lite.yml leaves out.
LITE_WITHOUT = ("elasticsearch", "logstash", "kibana")
# Who asks pages from outside, and the page of ours, inside the compose network (docker-compose.monitoring.yml).
BLACKBOX = "blackbox-exporter:9115"
INBOX, SMTP = "http://page:3002", "page:3025"


def render(layout: Layout, path: Path, speed: int = 1) -> Path:
    """Return the folder that Compose mounts instead of monitoring/. Raises ConfigError, OSError.

    With `speed` 10, everything that waits waits a tenth, as in the demo.
    """
    said = config.read(path)
    settings = config.load(path, layout).values
    source, target = layout.monitoring, layout.state / "rendered-compose"
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target)
    prometheus = target / "prometheus"
    rules.render(source / "prometheus", prometheus, alerts=settings["alerts"], slo=settings["slo"], speed=speed)
    jobs = targets.secured(settings["targets"])
    rules.render_prometheus(
        source / "prometheus", prometheus, speed=speed, environment=settings["environment"], jobs=jobs
    )
    _add_targets(prometheus / "targets", settings["targets"])
    rules.render_alertmanager(
        source / "alertmanager",
        target / "alertmanager",
        inbox=INBOX,
        smtp=SMTP,
        notify=settings["notify"],
        speed=speed,
        public_url=settings["public_url"],
    )
    # The containers' own listeners and paths stay; what the user says is laid over them.
    for name in ("topmast.yml", "topmast.lite.yml"):
        inside = yaml.safe_load((source / name).read_text(encoding="utf-8"))
        config.merge(inside, said)
        (target / name).write_text(yaml.safe_dump(inside, sort_keys=False), encoding="utf-8")
    (prometheus / "prometheus.lite.yml").write_text(lite((prometheus / "prometheus.yml").read_text(encoding="utf-8")))
    return target


def lite(text: str) -> str:
    """Return prometheus.yml for docker-compose.lite.yml: half as often, without the jobs of what is not there."""
    text = slower(text)
    for job in LITE_WITHOUT:
        text = re.sub(rf"^  - job_name: {job}\n(?:    .*\n)+\n", "", text, flags=re.MULTILINE)
    return "# Made of prometheus.yml by topmast.composition; docker-compose.lite.yml reads it.\n" + text


def _add_targets(folder: Path, named: Mapping[str, Any]) -> None:
    entries = {path.stem: yaml.safe_load(path.read_text()) or [] for path in sorted(folder.glob("*.yml"))}
    targets.add(entries, named, BLACKBOX)
    targets.write(entries, folder)
