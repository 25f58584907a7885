"""Backup, everything deleted, restore: does a running stack answer as before, of what existed until one moment?"""

import json
import time
import urllib.parse
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import urllib3

from topmast import passwords, volumes
from topmast.errors import TopmastError
from topmast.rehearsal import BASE, BIND_ADDR, PROJECT, Project

# A scrape that began before the moment is stored by then.
SETTLED_SECONDS = 11.0
QUERIES = (
    "up",
    "count by (job) ({__name__=~'.+'})",
    "sum by (job) (rate(process_cpu_seconds_total[1m]))",
    "node_memory_MemTotal_bytes",
)
SERVICES = ("grafana", "elasticsearch", "ingest")
_DOCUMENTS = (
    """printf 'user = "elastic:%s"' "$(cat /run/topmast/elastic-password)" | """
    "curl -fsS -K - http://127.0.0.1:9200/_stand_in/documents"
)
_SPEND = "llm_cost_usd_total{"
_WAIT_SECONDS = 60.0


def run(project: Project, file: Path) -> tuple[list[str], int]:
    """Return the questions whose answers differ afterwards, and how many were asked. Raises TopmastError."""
    _leave_traces(project)
    moment = time.time()
    time.sleep(SETTLED_SECONDS)
    before = answers(project, moment)
    empty = [name for name, answer in before.items() if not answer]
    if empty:
        raise TopmastError(f"nothing to compare: {', '.join(empty)} are empty before the backup")
    volumes.backup(project.argv, file, lambda _: None, project.environment)
    project.down()
    volumes.restore(project.argv, file, replace=False, environment=project.environment)
    project.up()
    after = answers(project, moment)
    return [name for name in before if before[name] != after.get(name)], len(before)


def answers(project: Project, moment: float) -> Mapping[str, Any]:
    """Return what the stack answers about the time until `moment` (Unix seconds), by question."""
    found: dict[str, Any] = {}
    for query in QUERIES:
        found[query] = _answer(query, moment)
    lines = _ask(3002, f"/api/logs?{urllib.parse.urlencode({'q': '', 'limit': 500, 'until': moment})}")
    found["log lines"] = lines["documents"]
    inbox = _ask(3002, "/api/inbox?limit=500")["notifications"]
    found["inbox"] = [each for each in inbox if datetime.fromisoformat(each["at"]).timestamp() <= moment]
    found["silences"] = sorted(each["id"] for each in _ask(9093, "/api/v2/silences"))
    found["spend"] = sorted(line for line in _text(9470, "/metrics").splitlines() if line.startswith(_SPEND))
    found["documents"] = json.loads(project.shell("elasticsearch", _DOCUMENTS) or "{}")
    for service in SERVICES:
        found[f"password of {service}"] = passwords.show(project.run, service)
    return found


def _answer(query: str, moment: float) -> list[str]:
    asked = urllib.parse.urlencode({"query": query, "time": f"{moment:.3f}"})
    result = _ask(9090, f"/api/v1/query?{asked}")["data"]["result"]
    return sorted(json.dumps(each, sort_keys=True) for each in result)


def _leave_traces(project: Project) -> None:
    """Leave something of every kind: a log line, a document, a model call, a silence, a notification."""
    mark = f"recovery {time.time():.0f}"
    line = json.dumps({"level": "info", "message": mark, "service": "shop"})
    volume = f"{PROJECT}-app-logs:/logs"
    project.engine.run("run", "--rm", "-v", volume, BASE, "sh", "-c", f"echo '{line}' >> /logs/shop.log")
    now = datetime.now(UTC)
    usage = {"id": mark, "provider": "openai", "model": "gpt-4o-mini", "usage": {"input": 1200, "output": 300}}
    token = passwords.show(project.run, "ingest")
    told = _ask(4318, "/v1/usage", [usage], token)
    if told.get("rejected"):
        raise TopmastError(f"the model call was refused: {json.dumps(told)[:200]}")
    silence = {"matchers": [{"name": "alertname", "value": "HostCpuHigh", "isRegex": False}], "createdBy": "proof",
               "comment": mark, "startsAt": now.isoformat(),
               "endsAt": (now + timedelta(days=1)).isoformat()}  # fmt: skip
    _ask(9093, "/api/v2/silences", silence)
    deadline = time.monotonic() + _WAIT_SECONDS
    while not _traces_are_there(project, mark):
        if time.monotonic() > deadline:
            raise TopmastError(f"{mark!r} is not everywhere after {_WAIT_SECONDS:.0f} s")
        time.sleep(0.5)


def _traces_are_there(project: Project, mark: str) -> bool:
    # A Prometheus that was just started has not two samples of everything.
    measured = all(_answer(query, time.time()) for query in QUERIES)
    logged = _ask(3002, f"/api/logs?{urllib.parse.urlencode({'q': json.dumps(mark)})}")["documents"]
    told = _ask(3002, "/api/inbox?limit=1")["notifications"]
    stored = mark in project.shell("elasticsearch", _DOCUMENTS)
    return bool(measured and logged and told and stored and f"\n{_SPEND}" in _text(9470, "/metrics"))


def _ask(port: int, path: str, body: Any = None, token: str = "") -> Any:
    return json.loads(_text(port, path, body, token))


def _text(port: int, path: str, body: Any = None, token: str = "") -> str:
    headers = {"content-type": "application/json"} | ({"authorization": f"Bearer {token}"} if token else {})
    url = f"http://{BIND_ADDR}:{port}{path}"
    method, data = ("GET", None) if body is None else ("POST", json.dumps(body).encode())
    try:
        answer = urllib3.request(method, url, body=data, headers=headers, timeout=10, retries=False)
    except urllib3.exceptions.HTTPError as error:
        raise TopmastError(f"{url}: {error}") from error
    if answer.status >= 400:
        raise TopmastError(f"{url}: {answer.status}: {answer.data[:200]!r}")
    return answer.data.decode()
