"""Who is scraped: the targets/<job>.yml files that Prometheus reads, from the configuration.

A job that has nothing is an empty file, never a down target.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from topmast.errors import ConfigError
from topmast.layout import Layout

JOBS = (
    "prometheus",
    "alertmanager",
    "grafana",
    "node",
    "cadvisor",
    "exporter",
    "app",
    "redis",
    "postgres",
    "mysql",
    "elasticsearch",
    "logstash",
    "kibana",
    "shipper",
    "traefik",
)
_OWN = {
    "prometheus": "prometheus",
    "alertmanager": "alertmanager",
    "node": "node_exporter",
    "exporter": "exporter",
    "shipper": "shipper",
}
_DEFAULT_PORTS = {"redis": 6379, "rediss": 6379, "postgresql": 5432, "postgres": 5432}


def embedded(settings: Mapping[str, Any], layout: Layout) -> dict[str, list[dict[str, Any]]]:
    """Return the file_sd entries of every job: ours, the configured servers through /probe, the user's own."""
    entries: dict[str, list[dict[str, Any]]] = {job: [] for job in JOBS}
    for job, component in _OWN.items():
        entries[job].append({"targets": [layout.address(component)], "labels": {}})
    for item in settings["exporter"]["collectors"]:
        ((kind, options),) = item.items()
        entries[kind].append(
            {
                "targets": [server_address(kind, options)],
                # prometheus.yml sends the scrape to the exporter and keeps the server's address as `instance`.
                "labels": {"__param_target": options["target"], "__exporter__": settings["exporter"]["listen"]},
            }
        )
    add(entries, settings["targets"])
    return entries


def add(entries: dict[str, list[dict[str, Any]]], named: Mapping[str, Any]) -> None:
    """Add the `targets:` of a topmast.yml. Raises ConfigError for a job that there is not."""
    for job, listed in named.items():
        if job not in entries:
            raise ConfigError(f"$.targets.{job}: no such job; one of {', '.join(entries)}")
        entries[job] += [{"targets": [one["address"]], "labels": one.get("labels", {})} for one in listed]


def server_address(kind: str, options: Mapping[str, Any]) -> str:
    """Return HOST:PORT of the server that a collector reads, out of its url or libpq connection string."""
    url = str(options.get("url") or options.get("dsn") or "")
    if "://" in url:
        parts = urlsplit(url)
        return f"{parts.hostname or 'localhost'}:{parts.port or _DEFAULT_PORTS.get(parts.scheme, 80)}"
    found = dict(re.findall(r"(host|port)\s*=\s*(\S+)", url))
    return f"{found.get('host', 'localhost')}:{found.get('port', _DEFAULT_PORTS.get(kind, 5432))}"


def write(entries: Mapping[str, list[dict[str, Any]]], folder: Path) -> None:
    """Write one file a job. Each is put in place whole: Prometheus watches the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for job, listed in entries.items():
        draft = folder / f".{job}.yml.new"
        draft.write_text(yaml.safe_dump(listed, sort_keys=False) if listed else "[]\n")
        draft.replace(folder / f"{job}.yml")
