"""prometheus.yml: the fifteen jobs, each with its targets in a file of its name, and no secret."""

from collections.abc import Iterator, Mapping
from typing import Any

from topmast import check, promql
from topmast.check import Check, Spot, Tree
from topmast.targets import JOBS

_TOP = {"global", "rule_files", "alerting", "scrape_configs", "remote_write", "remote_read", "storage", "tracing"}
_GLOBAL = {"scrape_interval", "scrape_timeout", "evaluation_interval", "external_labels", "query_log_file"}
_JOB = {
    "job_name",
    "scrape_interval",
    "scrape_timeout",
    "metrics_path",
    "honor_labels",
    "honor_timestamps",
    "scheme",
    "params",
    "basic_auth",
    "authorization",
    "oauth2",
    "tls_config",
    "follow_redirects",
    "enable_http2",
    "proxy_url",
    "sample_limit",
    "label_limit",
    "label_name_length_limit",
    "label_value_length_limit",
    "target_limit",
    "body_size_limit",
    "file_sd_configs",
    "static_configs",
    "relabel_configs",
    "metric_relabel_configs",
}
_SECRETS = ("password", "credentials", "client_secret", "bearer_token")


def run(tree: Tree) -> Iterator[Spot]:
    for path, text in tree.named("/prometheus.yml"):
        config = check.load_yaml(text)
        if path.parent.name == "targets":
            continue
        if not isinstance(config, dict):
            yield Spot(path, 1, "prometheus.yml is a mapping")
            continue
        for needle, message in _problems(tree, config):
            yield Spot(path, check.line_of(text, needle), message)


def _problems(tree: Tree, config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for key in sorted(set(config) - _TOP):
        yield f"{key}:", f"unknown key {key!r}: 2.42 refuses it; remove it"
    general = config.get("global") or {}
    for key in sorted(set(general) - _GLOBAL):
        yield f"{key}:", f"unknown key global.{key!r}: 2.42 refuses it; remove it"
    for name, value in (general.get("external_labels") or {}).items():
        if "$" in str(value):
            yield "external_labels:", f"external label {name}: 3.x expands `$`; do without it"
    jobs = [job for job in config.get("scrape_configs") or () if isinstance(job, dict)]
    names = [str(job.get("job_name")) for job in jobs]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"job_name: {name}", f"job {name} stands twice: Prometheus does not start"
    for job in jobs:
        yield from _job(job, general)
    if tree.ours:
        for name in JOBS:
            if name not in names:
                yield "scrape_configs:", f"the job {name} is missing"
        for job in jobs:
            files = [file for each in job.get("file_sd_configs") or () for file in each.get("files") or ()]
            if files != [f"targets/{job.get('job_name')}.yml"]:
                yield f"job_name: {job.get('job_name')}", f"its targets stand in targets/{job.get('job_name')}.yml"
            elif not tree.named(f"/{files[0]}"):
                yield files[0], f"{files[0]} does not exist: write `[]` where there is no target"


def _job(job: Mapping[str, Any], general: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    where = f"job_name: {job.get('job_name')}"
    for key in sorted(set(job) - _JOB):
        yield f"{key}:", f"{job.get('job_name')}: unknown key {key!r}: 2.42 refuses it; remove it"
    for options in (job.get("basic_auth"), job.get("authorization"), job.get("oauth2"), job):
        for key in _SECRETS:
            if isinstance(options, dict) and options.get(key):
                yield f"{key}:", f"{job.get('job_name')}: a secret in the file: use {key}_file"
    try:
        interval = promql.milliseconds(str(job.get("scrape_interval") or general.get("scrape_interval") or "1m"))
        timeout = promql.milliseconds(str(job.get("scrape_timeout") or general.get("scrape_timeout") or "10s"))
    except ValueError as error:
        yield where, f"{job.get('job_name')}: {error}"
        return
    if timeout > interval:
        yield where, f"{job.get('job_name')}: scrape_timeout is longer than scrape_interval: Prometheus refuses it"


CHECK = Check(name="scrape_jobs", summary="the scrape jobs, and where their targets stand", run=run)
