"""Thirty defects that rules and the engines' files can have, to be seeded into ours: `topmast lint` must see each.

Most are taken from what happened to others: the metric that was renamed, the alert that can never fire, the typo that
sends every page to the wrong channel, the key of a newer version at which the older one does not start.
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from topmast import check, checks, plugins
from topmast.check import Spot

ALERTS = "prometheus/alerts"
PROMETHEUS = "prometheus/prometheus.yml"
ALERTMANAGER = "alertmanager/alertmanager.yml"
_DATASOURCES = "grafana/provisioning/datasources/datasources.yml"


@dataclass(frozen=True)
class Defect:
    """One edit of one file below monitoring/."""

    name: str
    file: str
    old: str
    new: str


def copied(home: Path, target: Path) -> Path:
    """Copy what `topmast lint` looks at below `target`; return the new home."""
    shutil.copytree(home / "monitoring", target / "monitoring")
    shutil.copytree(home / "docs" / "runbooks", target / "docs" / "runbooks")
    return target


def findings(copy: Path, defect: Defect) -> Sequence[Spot]:
    """Return what lint says of a clean copy with the defect in it; the copy is clean again afterwards.

    Raises ValueError when the file no longer holds what the defect changes.
    """
    path = copy / "monitoring" / defect.file
    clean = path.read_text(encoding="utf-8")
    if defect.old not in clean:
        raise ValueError(f"{defect.name}: {defect.file} has no {defect.old!r}")
    path.write_text(clean.replace(defect.old, defect.new, 1), encoding="utf-8")
    try:
        tree = check.read([], copy)
        return [spot for each in plugins.load_all(checks, "CHECK") for spot in each.run(tree)]
    finally:
        path.write_text(clean, encoding="utf-8")


DEFECTS = (
    Defect("a metric that was renamed", f"{ALERTS}/cache.yml", "redis_connected_clients /", "redis_clients /"),
    Defect(
        "rate() of a gauge: it never fires",
        f"{ALERTS}/cache.yml",
        "redis_connected_clients /",
        "rate(redis_connected_clients[5m]) /",
    ),
    Defect("a window of four scrapes", f"{ALERTS}/cpu.yml", "usage_seconds_total[5m]", "usage_seconds_total[1m]"),
    Defect("nothing is compared", f"{ALERTS}/cpu.yml", "cpu_busy:ratio_rate5m > 0.85", "cpu_busy:ratio_rate5m"),
    Defect("the text says another threshold", f"{ALERTS}/cpu.yml", "ratio_rate5m > 0.85", "ratio_rate5m > 0.9"),
    Defect("a critical laxer than its warning", f"{ALERTS}/cache.yml", "used:ratio > 0.95", "used:ratio > 0.7"),
    Defect("a severity that no route knows", f"{ALERTS}/cache.yml", "severity: critical", "severity: crit"),
    Defect("no pair: its critical mutes the category", f"{ALERTS}/cache.yml", ", pair: RedisMemory}", "}"),
    Defect(
        "a text with a label that is gone",
        f"{ALERTS}/cpu.yml",
        "Container {{ $labels.name }} on",
        "Container {{ $labels.container }} on",
    ),
    Defect(
        "seconds shown as per cent",
        f"{ALERTS}/llm.yml",
        "takes {{ $value | humanizeDuration }}",
        "takes {{ $value | humanizePercentage }}",
    ),
    Defect(
        "staging counted as production",
        f"{ALERTS}/cpu.yml",
        "sum by (environment, instance) (node",
        "sum by (instance) (node",
    ),
    Defect("a join that mixes environments", f"{ALERTS}/cache.yml", "on (environment, namespace)", "on (namespace)"),
    Defect("a runbook that is not there", f"{ALERTS}/cpu.yml", "/runbooks/HostCpuHigh", "/runbooks/HostCpu"),
    Defect("a subquery", "prometheus/recording/host.yml", '"idle|iowait"}[5m]', '"idle|iowait"}[5m:15s]'),
    Defect(
        "a recording rule renamed under its readers",
        "prometheus/recording/cache.yml",
        "record: instance:redis_memory_used:ratio",
        "record: instance:redis_memory:ratio",
    ),
    Defect("absence that does not wait", f"{ALERTS}/cpu.yml", "for: 3m", "for: 10s"),
    Defect("one name twice", f"{ALERTS}/cpu.yml", "alert: HostCpuSaturated", "alert: HostCpuHigh"),
    Defect("a job that there is not", f"{ALERTS}/cpu.yml", 'absent(up{job="node"})', 'absent(up{job="nodes"})'),
    Defect(
        "a key of Prometheus 3", PROMETHEUS, "    sample_limit: 50000", "    scrape_protocols: [OpenMetricsText1.0.0]"
    ),
    Defect("a timeout beyond the interval", PROMETHEUS, "scrape_timeout: 10s", "scrape_timeout: 1m"),
    Defect("rules that nobody loads", PROMETHEUS, "  - alerts/*.yml", "  - alert/*.yml"),
    Defect("a URL for an address", "prometheus/targets/node.yml", '"node-', '"http://node-'),
    Defect("a number for a label", "prometheus/targets/app.yml", "\n[]", '\n- targets: ["a:1"]\n  labels: {zone: 1}'),
    Defect("a matcher's label spelled wrong", ALERTMANAGER, "['severity=\"critical\"']", "['severty=\"critical\"']"),
    Defect(
        "a template's name spelled wrong", ALERTMANAGER, 'template "topmast.slack.text"', 'template "topmast.text"'
    ),
    Defect("an inhibition of everything", ALERTMANAGER, "equal: [category, pair, ", "equal: [category, "),
    Defect(
        "a webhook's secret in the file",
        ALERTMANAGER,
        "http://page:3002/inbox/slack/slack-w",
        "https://hooks.example/T0/x",
    ),
    Defect("a datasource that no dashboard finds", _DATASOURCES, "uid: prometheus", "uid: Prometheus"),
    Defect("no security", "elasticsearch/elasticsearch.yml", "security.enabled: true", "security.enabled: false"),
    Defect("a pipeline without its file", "logstash/pipelines.yml", "pipeline/raw.conf", "pipeline/row.conf"),
)
