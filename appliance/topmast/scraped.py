"""Who is scraped, as values: ours, the collectors' servers, the user's own, with what Prometheus says of each."""

import difflib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import urllib3
import yaml

from topmast import applying, compose, config, endpoint, outside, targets
from topmast.errors import ConfigError, NotRunningError
from topmast.layout import LOOPBACK, Layout

JOBS = targets.JOBS
OWN = "topmast.yml"
OURS = "topmast"
COLLECTOR = "collector"

_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*\Z")
_ENVIRONMENT = re.compile(r"[a-z][a-z0-9_-]{0,31}\Z")
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Target:
    """One endpoint that is scraped."""

    job: str
    address: str
    """HOST:PORT; of a collector the server's, which becomes `instance`."""
    origin: str
    """`topmast.yml` (the user's own), `collector` (a server that our exporter reads) or `topmast` (ours)."""
    labels: Mapping[str, str] = field(default_factory=dict)
    basic_auth: Mapping[str, str] | None = None
    bearer_token_file: str | None = None
    ca_file: str | None = None
    health: str = "unknown"
    """`up`, `down` or `unknown`, as Prometheus says."""
    error: str = ""

    @property
    def url(self) -> str:
        """Where Prometheus asks, or has blackbox_exporter ask."""
        labels = self.labels
        if self.job == outside.JOB:
            return labels["__param_target"]
        scheme, path = labels.get("__scheme__", "http"), labels.get("__metrics_path__", "/metrics")
        if "__exporter__" in labels:
            asked = urlencode({"module": self.job, "target": labels.get("__param_target", "")})
            return f"http://{labels['__exporter__']}/probe?{asked}"
        return f"{scheme}://{self.address}{path}"

    @property
    def shown(self) -> str:
        return self.address if "__exporter__" in self.labels and self.job != outside.JOB else self.url

    @property
    def local(self) -> bool:
        return self.address.rpartition(":")[0] in (LOOPBACK, "localhost", "[::1]")

    @property
    def secure(self) -> dict[str, Any]:
        """What `endpoint.ask` reads of a target."""
        found = {"basic_auth": self.basic_auth, "bearer_token_file": self.bearer_token_file, "ca_file": self.ca_file}
        return {key: value for key, value in found.items() if value}

    def same(self, other: "Target") -> bool:
        return (self.job, self.url) == (other.job, other.url)


def described(
    job: str,
    address: str,
    *,
    labels: Sequence[str] = (),
    environment: str | None = None,
    username: str | None = None,
    password_file: str | None = None,
    bearer_token_file: str | None = None,
    ca_file: str | None = None,
) -> dict[str, Any]:
    """Return a target as topmast.yml has it. Raises ConfigError for what cannot be one, or be read."""
    check_jobs({job: []})
    if job == outside.JOB:
        if username or password_file or bearer_token_file or ca_file:
            raise ConfigError("a URL is asked from outside as anybody would: without a password and an authority")
        outside.split(address)
    host, own = (address, {}) if job == outside.JOB else _address(address)
    for label in labels:
        name, equals, value = label.partition("=")
        if not equals or not _LABEL.match(name):
            raise ConfigError(f"--label {label[:80]!r}: write NAME=VALUE, the name in letters, digits and _")
        own[name] = value
    if environment is not None:
        if not _ENVIRONMENT.match(environment):
            raise ConfigError(f"--environment {environment[:80]!r}: small letters, digits, - and _, like staging")
        own["environment"] = environment
    one: dict[str, Any] = {"url" if job == outside.JOB else "address": host}
    if own:
        one["labels"] = own
    if (username is None) is not (password_file is None):
        raise ConfigError("--username and --password-file go together")
    if password_file is not None and bearer_token_file is not None:
        raise ConfigError("--password-file or --bearer-token-file, not both")
    if username is not None and password_file is not None:
        one["basic_auth"] = {"username": username, "password_file": _secret(password_file)}
    if bearer_token_file is not None:
        one["bearer_token_file"] = _secret(bearer_token_file)
    if ca_file is not None:
        if not Path(ca_file).is_file():
            raise ConfigError(f"{ca_file}: no such file; --ca-file names a certificate")
        one["ca_file"] = str(Path(ca_file).resolve())
    return one


def check_jobs(named: Mapping[str, Any]) -> None:
    """Raise ConfigError for a job that there is not, and for a target that wants two kinds of password."""
    for job in named:
        if job not in JOBS:
            near = difflib.get_close_matches(job, JOBS, n=1)
            raise ConfigError(
                f"{job[:80]}: no such job{f'; did you mean {near[0]}?' if near else ''}; one of {', '.join(JOBS)}"
            )
    targets.secured(named)


def own(named: Mapping[str, Any]) -> list[Target]:
    """Return the targets of a topmast.yml's `targets:`."""
    return [target(job, one) for job, listed in named.items() for one in listed]


def target(job: str, one: Mapping[str, Any]) -> Target:
    """Return one of a topmast.yml's targets."""
    if job == outside.JOB:
        labels = {**one.get("labels", {}), "__param_target": one["url"]}
        return Target(job=job, origin=OWN, address=outside.split(one["url"]), labels=labels)
    return Target(job=job, origin=OWN, **{**one, "labels": targets.labels(job, one)})


def listing(layout: Layout, path: Path | None) -> list[Target]:
    """Return every target with its health, by job. Raises ConfigError."""
    if compose.mode(layout, None) == "compose":
        settings = config.load(path, layout).values
        entries = {
            each.stem: yaml.safe_load(each.read_text(encoding="utf-8")) or []
            for each in sorted((layout.monitoring / "prometheus" / "targets").glob("*.yml"))
        }
        return _healthy(_entered(entries) + own(settings["targets"]), compose.url(layout, "prometheus"))
    extra, there, runs = None, layout, False
    try:
        there, status = applying.running(layout)
        runs = True
        if status["demo"]:
            from topmast.demo import demo_settings  # known to the demo alone

            extra = demo_settings(there)
    except NotRunningError:
        pass  # then the configuration tells
    settings = config.load(path, there, extra).values
    ours = targets.embedded({**settings, "targets": {}}, there)
    found = _entered(ours) + own(settings["targets"])
    return _healthy(found, there.url("prometheus")) if runs else sorted(found, key=_order)


def _entered(entries: Mapping[str, list[dict[str, Any]]]) -> list[Target]:
    found = []
    for job, listed in entries.items():
        for entry in listed:
            labels = entry.get("labels") or {}
            origin = COLLECTOR if "__exporter__" in labels else OURS
            found += [Target(job=job, address=each, origin=origin, labels=labels) for each in entry["targets"]]
    return found


def _healthy(found: list[Target], prometheus: str) -> list[Target]:
    """Return the targets with what a running Prometheus says of them; as they are when it does not answer."""
    try:
        answer = urllib3.request(
            "GET",
            f"{prometheus}/api/v1/targets?state=active",
            timeout=urllib3.Timeout(total=endpoint.SECONDS),
            retries=False,
        )
        active = json.loads(answer.data)["data"]["activeTargets"]
    except (urllib3.exceptions.HTTPError, ValueError, KeyError, TypeError):
        active = []
    told = {}
    for each in active:
        where = each["discoveredLabels"]
        path = where.get("__param_target") or where.get("__metrics_path__")
        told[each["labels"]["job"], where["__address__"], path] = (each["health"], each["lastError"])
    rows = []
    for target in found:
        path = target.labels.get("__param_target") or target.labels.get("__metrics_path__", "/metrics")
        health, error = told.get((target.job, target.address, path), ("unknown", ""))
        rows.append(replace(target, health=health, error=error))
    return sorted(rows, key=_order)


def _order(target: Target) -> tuple[int, str, str]:
    return (JOBS.index(target.job) if target.job in JOBS else len(JOBS), target.origin, target.address)


def _address(text: str) -> tuple[str, dict[str, str]]:
    """Return HOST:PORT and the labels that say the rest of a URL. Raises ConfigError."""
    if "://" not in text:
        text = f"http://{text}"
        bare = True
    else:
        bare = False
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise ConfigError("the address has no port that can be: write HOST:PORT") from error
    if parts.username is not None or parts.password is not None:
        raise ConfigError("a password in an address is seen by everybody: --username and --password-file")
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname:
        raise ConfigError(f"{text[:80]!r}: write HOST:PORT, or an address with http:// or https://")
    if parts.query or parts.fragment:
        raise ConfigError(f"{text[:80]!r}: without what follows ? and #; --label __param_NAME=VALUE asks with it")
    if bare and (port is None or parts.path not in ("", "/")):
        raise ConfigError(
            f"{text.removeprefix('http://')[:80]!r}: write HOST:PORT, or the whole http://HOST:PORT/PATH"
        )
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    labels = {} if parts.scheme == "http" else {"__scheme__": parts.scheme}
    if parts.path not in ("", "/", "/metrics"):
        labels["__metrics_path__"] = parts.path
    return f"{host}:{port or _DEFAULT_PORTS[parts.scheme]}", labels


def _secret(name: str) -> str:
    path = Path(name).resolve()
    if problem := endpoint.secret_problem(path):
        raise ConfigError(problem)
    return str(path)
