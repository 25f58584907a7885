"""Write what the containers read into STATE/rendered-compose, when a topmast.yml says anything but the defaults.

Without one, Compose mounts monitoring/ as it is. The addresses are the compose network's, so the targets files are
monitoring/'s own with the user's targets added.
"""

import copy
import json
import re
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import yaml

from topmast import config, demo, rules, targets
from topmast.layout import Layout
from topmast.size import slower

# What docker-compose.lite.yml leaves out.
LITE_WITHOUT = ("elasticsearch", "logstash", "kibana")
# Who asks pages from outside, and the page of ours, inside the compose network (docker-compose.monitoring.yml).
BLACKBOX = "blackbox-exporter:9115"
INBOX, SMTP = "http://page:3002", "page:3025"
EXPORTER = "exporter:9470"
DEMO_JOBS = ("app", "redis", "postgres")
MADE = "# Made by topmast.composition; {file} mounts it.\n"
LITE_FILE, DEMO_FILE = "docker-compose.lite.yml", "docker-compose.demo.yml"
# As a browser on this machine finds it.
PAGE = "http://localhost:3002"
# What the exporter and the shipper are told, by size.
TOLD = {"full": "topmast.yml", "lite": "topmast.lite.yml"}


def folder(layout: Layout) -> Path:
    """Return where the last start with a topmast.yml has left what the containers read."""
    return layout.state / "rendered-compose"


def render(layout: Layout, path: Path | None, speed: int = 1) -> Path:
    """Return the folder that Compose mounts instead of monitoring/. Raises ConfigError, OSError.

    With `speed` 10, everything that waits waits a tenth, as in the demo.
    """
    said = config.read(path) if path else {}
    settings = config.load(path, layout).values
    source, target = layout.monitoring, folder(layout)
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target)
    prometheus = target / "prometheus"
    rules.render(source / "prometheus", prometheus, alerts=settings["alerts"], slo=settings["slo"], speed=speed)
    jobs = targets.secured(settings["targets"])
    rules.render_prometheus(
        source / "prometheus", prometheus, speed=speed, environment=settings["environment"], jobs=jobs
    )
    entries = read_targets(source / "prometheus" / "targets")
    targets.add(entries, settings["targets"], BLACKBOX)
    _add_collectors(entries, settings["exporter"]["collectors"])
    targets.write(entries, prometheus / "targets")
    rules.render_alertmanager(
        source / "alertmanager",
        target / "alertmanager",
        inbox=INBOX,
        smtp=SMTP,
        notify=settings["notify"],
        speed=speed,
        # Grafana has the port at which the page is found elsewhere.
        public_url=str(said.get("public_url") or PAGE),
    )
    # The containers' own listeners and paths stay; what the user says is laid over them.
    for name in TOLD.values():
        inside = yaml.safe_load((source / name).read_text(encoding="utf-8"))
        config.merge(inside, said)
        (target / name).write_text(yaml.safe_dump(inside, sort_keys=False), encoding="utf-8")
    with_demo(source, target / "demo", said, entries)
    lite_grafana(target / "grafana", target / "grafana" / "lite")
    (prometheus / "prometheus.lite.yml").write_text(lite((prometheus / "prometheus.yml").read_text(encoding="utf-8")))
    return target


def refuse(rendered: Path, path: Path, size: str, *, with_the_demo: bool) -> None:
    """Raise ConfigError for what the exporter's container would end over: the stack has collectors of its own."""
    told = rendered / "demo" / f"topmast.{size}.yml" if with_the_demo else rendered / TOLD[size]
    config.check(yaml.safe_load(told.read_text(encoding="utf-8")), f"{path}, with the stack's own")


def lite(text: str) -> str:
    """Return prometheus.yml for docker-compose.lite.yml: half as often, without the jobs of what is not there."""
    text = slower(text)
    for job in LITE_WITHOUT:
        text = re.sub(rf"^  - job_name: {job}\n(?:    .*\n)+\n", "", text, flags=re.MULTILINE)
    return "# Made of prometheus.yml by topmast.composition; docker-compose.lite.yml reads it.\n" + text


def lite_grafana(source: Path, folder: Path) -> None:
    """Write into `folder` what Grafana reads in the lite stack, where no Elasticsearch has lines to show.

    The lines are on our page; where a panel would show them, a link leads there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    dashboard = json.loads((source / "dashboards" / "logs.json").read_text(encoding="utf-8"))
    dashboard["panels"] = [_on_the_page(each) for each in dashboard["panels"]]
    (folder / "logs.json").write_text(json.dumps(dashboard, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    told = yaml.safe_load((source / "provisioning/datasources/datasources.yml").read_text(encoding="utf-8"))
    told["datasources"] = [each for each in told["datasources"] if each["type"] != "elasticsearch"]
    for each in told["datasources"]:
        links = each["jsonData"].get("exemplarTraceIdDestinations", [])
        links[:] = [link for link in links if '"datasource":"logs"' not in link["url"]]
    text = MADE.format(file=LITE_FILE) + yaml.safe_dump(told, sort_keys=False)
    (folder / "datasources.yml").write_text(text, encoding="utf-8")


def _on_the_page(panel: Mapping[str, Any]) -> Mapping[str, Any]:
    if (panel.get("datasource") or {}).get("type") != "elasticsearch":
        return panel
    # Lucene of the panel's own query: a level, or several.
    levels = re.findall(r"[a-z]+", panel["targets"][0]["query"].partition(":")[2])
    query = "?q=" + quote(" OR ".join(f"level:{level}" for level in levels)) if levels else ""
    text = (
        f"This stack keeps its log lines in the embedded store: [{panel['title']}]({PAGE}/logs{query}) on our page."
    )
    return {
        **{key: panel[key] for key in ("id", "title", "description", "gridPos") if key in panel},
        "type": "text",
        "options": {"mode": "markdown", "content": text},
    }


def with_demo(
    source: Path, folder: Path, said: Mapping[str, Any], entries: Mapping[str, list[dict[str, Any]]]
) -> None:
    """Write into `folder` what docker-compose.demo.yml mounts: the demo added, and what the user says on top.

    `entries` are the targets without the demo.
    """
    extra = demo.settings(demo.COMPOSED)
    for size, name in TOLD.items():
        inside = yaml.safe_load((source / name).read_text(encoding="utf-8"))
        config.merge(inside, {key: value for key, value in extra.items() if key != "targets"})
        config.merge(inside, said)
        folder.mkdir(exist_ok=True)
        (folder / f"topmast.{size}.yml").write_text(
            MADE.format(file=DEMO_FILE) + yaml.safe_dump(inside, sort_keys=False), encoding="utf-8"
        )
    more = copy.deepcopy({job: entries[job] for job in DEMO_JOBS})
    targets.add(more, extra["targets"], BLACKBOX)
    _add_collectors(more, extra["exporter"]["collectors"])
    targets.write(more, folder / "targets")


def read_targets(folder: Path) -> dict[str, list[dict[str, Any]]]:
    return {path.stem: yaml.safe_load(path.read_text()) or [] for path in sorted(folder.glob("*.yml"))}


def _add_collectors(entries: dict[str, list[dict[str, Any]]], collectors: Iterable[Mapping[str, Any]]) -> None:
    """Add a target for each server that the exporter is told to read and that none asks for yet."""
    for item in collectors:
        ((kind, options),) = item.items()
        # Containers are cAdvisor's in this mode.
        if kind not in targets.PROBED:
            continue
        asked = {"__exporter__": EXPORTER, "__param_target": options["target"]}
        if not any(asked.items() <= each.get("labels", {}).items() for each in entries[kind]):
            entries[kind].append({"targets": [targets.server_address(kind, options)], "labels": asked})
