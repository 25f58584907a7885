"""prometheus.yml: seventeen jobs, each once, its targets in a file of its name. Keys: the check `schemas`."""

from collections.abc import Iterator, Mapping
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath
from typing import Any

from topmast import check, promql
from topmast.check import Check, Spot, Tree
from topmast.targets import JOBS


def run(tree: Tree) -> Iterator[Spot]:
    for path, text in tree.named("/prometheus.yml"):
        config = check.load_yaml(text)
        if path.parent.name == "targets":
            continue
        if not isinstance(config, dict):
            continue  # the check `schemas` says so
        for needle, message in _problems(tree, config):
            yield Spot(path, check.line_of(text, needle), message)
        if tree.ours:
            yield from _unloaded(tree, path, text, config)


def _unloaded(tree: Tree, path: Path, text: str, config: Mapping[str, Any]) -> Iterator[Spot]:
    """Yield the folders whose rules no pattern of `rule_files` reads: Prometheus starts without a word."""
    patterns = [str(each) for each in _list(config.get("rule_files"))]
    files = {rule.file.relative_to(path.parent).as_posix() for rule in tree.rules if path.parent in rule.file.parents}
    lost = {
        PurePosixPath(file).parent.as_posix() for file in files if not any(fnmatch(file, each) for each in patterns)
    }
    for folder in sorted(lost):
        message = f"rule_files: nothing reads {folder}/: add {folder}/*.yml"
        yield Spot(path, check.line_of(text, "rule_files:"), message)


def _problems(tree: Tree, config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    general = _mapping(config.get("global"))
    for name, value in _mapping(general.get("external_labels")).items():
        if "$" in str(value):
            yield "external_labels:", f"external label {name}: 3.x expands `$`; do without it"
    jobs = _mappings(config.get("scrape_configs"))
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
            files = [file for each in _mappings(job.get("file_sd_configs")) for file in _list(each.get("files"))]
            if files != [f"targets/{job.get('job_name')}.yml"]:
                yield f"job_name: {job.get('job_name')}", f"its targets stand in targets/{job.get('job_name')}.yml"
            elif not tree.named(f"/{files[0]}"):
                yield files[0], f"{files[0]} does not exist: write `[]` where there is no target"


def _job(job: Mapping[str, Any], general: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    where = f"job_name: {job.get('job_name')}"
    try:
        interval = promql.milliseconds(str(job.get("scrape_interval") or general.get("scrape_interval") or "1m"))
        timeout = promql.milliseconds(str(job.get("scrape_timeout") or general.get("scrape_timeout") or "10s"))
    except ValueError as error:
        yield where, f"{job.get('job_name')}: {error}"
        return
    if timeout > interval:
        yield where, f"{job.get('job_name')}: scrape_timeout is longer than scrape_interval: Prometheus refuses it"


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _mappings(value: Any) -> list[Mapping[str, Any]]:
    return [each for each in _list(value) if isinstance(each, dict)]


CHECK = Check(name="scrape_jobs", summary="the scrape jobs, and where their targets stand", run=run)
