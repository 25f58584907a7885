"""Who is scraped: the targets/<job>.yml files that Prometheus reads, from the configuration.

A job that has nothing is an empty file, never a down target.
"""

import difflib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from topmast import outside
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
    "page",
    "traefik",
    outside.JOB,
)
_OWN = {
    "prometheus": "prometheus",
    "alertmanager": "alertmanager",
    "node": "node_exporter",
    "exporter": "exporter",
    "shipper": "shipper",
    "page": "page",
}
# What our exporter reads for Prometheus (/probe). A target of a user's own in such a job is scraped itself.
PROBED = frozenset({"redis", "postgres", "mysql", "elasticsearch", "logstash", "kibana"})
SAMPLE_LIMIT = 50_000
_DEFAULT_PORTS = {"redis": 6379, "rediss": 6379, "postgresql": 5432, "postgres": 5432, "https": 443}
# Those of the collectors, whose url may be left out.
_DEFAULT_URLS = {
    "elasticsearch": "http://127.0.0.1:9200",
    "logstash": "http://127.0.0.1:9600",
    "kibana": "http://127.0.0.1:5601",
}


_FILE = {"type": "string", "minLength": 1}
_ITEM: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["address"],
    "properties": {
        "address": {"type": "string", "pattern": r"^(\[[0-9A-Fa-f:.]+\]|[^/:@\s]+):[0-9]{1,5}$"},
        "labels": {"type": "object", "additionalProperties": {"type": "string"}},
        "basic_auth": {
            "type": "object",
            "additionalProperties": False,
            "required": ["username", "password_file"],
            "properties": {"username": {"type": "string", "minLength": 1}, "password_file": _FILE},
        },
        "bearer_token_file": _FILE,
        "ca_file": _FILE,
    },
}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {outside.JOB: {"type": "array", "items": outside.ITEM}},
    "additionalProperties": {"type": "array", "items": _ITEM},
}
"""`targets:` of a topmast.yml: a list for each job."""
_SECURE = ("basic_auth", "bearer_token_file", "ca_file")


def embedded(settings: Mapping[str, Any], layout: Layout) -> dict[str, list[dict[str, Any]]]:
    """Return the file_sd entries of every job: ours, the configured servers through /probe, the user's own."""
    entries: dict[str, list[dict[str, Any]]] = {job: [] for job in JOBS}
    for job, component in _OWN.items():
        entries[job].append({"targets": [layout.address(component)], "labels": {}})
    for item in settings["exporter"]["collectors"]:
        ((kind, options),) = item.items()
        if kind == "containers":
            entries["cadvisor"].append(_containers(settings["exporter"]["listen"], options["target"]))
            continue
        entries[kind].append(
            {
                "targets": [server_address(kind, options)],
                # prometheus.yml sends the scrape to the exporter and keeps the server's address as `instance`.
                "labels": {"__param_target": options["target"], "__exporter__": settings["exporter"]["listen"]},
            }
        )
    add(entries, settings["targets"], layout.address(outside.EXPORTER))
    return entries


def _containers(exporter: str, name: str) -> dict[str, Any]:
    """Return the target under which our exporter reads this machine's containers: the same alerts watch it."""
    asked = {"__metrics_path__": "/probe", "__param_module": "containers", "__param_target": name, "instance": name}
    return {"targets": [exporter], "labels": asked}


def add(entries: dict[str, list[dict[str, Any]]], named: Mapping[str, Any], blackbox: str) -> None:
    """Add the `targets:` of a topmast.yml that need no password; `blackbox` is who asks the URLs, as HOST:PORT.

    Raises ConfigError for a job that there is not.
    """
    for job, listed in named.items():
        if job not in entries:
            near = difflib.get_close_matches(job, list(entries), n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise ConfigError(f"$.targets.{job}: no such job{hint}; one of {', '.join(entries)}")
        for one in listed:
            if job == outside.JOB:
                entries[job].append(outside.entry(one, blackbox))
            elif not is_secured(one):
                entries[job].append({"targets": [one["address"]], "labels": labels(job, one)})


def labels(job: str, one: Mapping[str, Any]) -> dict[str, str]:
    """Return the labels of a user's target; it is scraped at /metrics also where the job asks our exporter."""
    own = dict(one.get("labels", {}))
    if job in PROBED and not is_secured(one) and not {"__exporter__", "__metrics_path__"} & own.keys():
        own["__metrics_path__"] = "/metrics"
    return own


def is_secured(one: Mapping[str, Any]) -> bool:
    """Return whether a target wants a password, a token, or a certificate authority of its own."""
    return any(key in one for key in _SECURE)


def secured(named: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return a scrape configuration for each target that wants a password: Prometheus knows them for jobs only.

    The series carry the job they were added to, so that no rule and no panel sees a difference. Raises ConfigError.
    """
    jobs: list[dict[str, Any]] = []
    for job, listed in named.items():
        for number, one in enumerate(listed):
            if not is_secured(one):
                continue
            if "basic_auth" in one and "bearer_token_file" in one:
                raise ConfigError(f"$.targets.{job}[{number}]: basic_auth or bearer_token_file, not both")
            name = f"{job}@{one['address']}"
            count = sum(each["job_name"].partition("#")[0] == name for each in jobs)
            jobs.append(
                {
                    "job_name": f"{name}#{count + 1}" if count else name,
                    "sample_limit": SAMPLE_LIMIT,
                    **({"basic_auth": dict(one["basic_auth"])} if "basic_auth" in one else {}),
                    **(
                        {"authorization": {"credentials_file": one["bearer_token_file"]}}
                        if "bearer_token_file" in one
                        else {}
                    ),
                    **({"tls_config": {"ca_file": one["ca_file"]}} if "ca_file" in one else {}),
                    "static_configs": [{"targets": [one["address"]], "labels": labels(job, one)}],
                    "relabel_configs": [{"target_label": "job", "replacement": job}],
                }
            )
    return jobs


def server_address(kind: str, options: Mapping[str, Any]) -> str:
    """Return HOST:PORT of the server that a collector reads, out of its url, libpq string, or host and port."""
    if kind == "mysql":
        host = "localhost" if options.get("socket") else options.get("host", "127.0.0.1")
        return f"{host}:{options.get('port', 3306)}"
    url = str(options.get("url") or options.get("dsn") or _DEFAULT_URLS.get(kind, ""))
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
