"""What runs, asked itself: its components, and where to find them, in either mode."""

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from topmast import compose, composition, lock
from topmast.checkup import Checkup
from topmast.errors import TopmastError
from topmast.layout import LOOPBACK, Layout
from topmast.logstash import configtest
from topmast.probe import answers
from topmast.verification import ASK_SECONDS, Place

# What `verify` writes is a few lines a day; older ones were found or are of no use.
MAX_VERIFY_BYTES = 65_536
_EXEC_SECONDS = 10


def embedded(layout: Layout) -> tuple[list[Checkup], Place]:
    """Return the components of the running supervisor and where they are. Raises NotRunningError."""
    told = lock.status(layout)
    where = Layout(layout.home, layout.state, int(told["port_offset"]))
    plan = json.loads((layout.run / "plan.json").read_text(encoding="utf-8"))
    ready = {each["name"]: each["ready"] for each in plan["components"]}
    settings = yaml.safe_load((layout.rendered / "topmast.yml").read_text(encoding="utf-8"))
    with ThreadPoolExecutor(max(1, len(ready))) as threads:
        components = list(threads.map(lambda one: _component(one, ready[one["name"]], layout), told["components"]))
    return components, _embedded_place(where, settings)


def _component(one: Mapping[str, Any], ready: str, layout: Layout) -> Checkup:
    name, address = str(one["name"]), str(one["address"])
    if not one["pid"]:
        message = f"does not run ({one['state']}; {one['exit'] or 'not started yet'})"
    elif answers(ready, ASK_SECONDS):
        restarts = f", restarted {one['restarts']} times" if one["restarts"] else ""
        return Checkup(name, ok=True, message=f"answers at {address or ready}{restarts}")
    else:
        message = f"runs (pid {one['pid']}), but does not answer at {address or ready}"
    return Checkup(name, ok=False, message=message, remedy=f"its last words are in {layout.logs / name}.log")


def _embedded_place(layout: Layout, settings: Mapping[str, Any]) -> Place:
    token_file = settings["exporter"]["ingest"]["token_file"]

    def log(line: str) -> None:
        append(verify_log(layout), line)

    sinks = [(name, options) for each in settings["shipper"]["sinks"] for name, options in each.items()]
    stores = [options.get("path") for name, options in sinks if name == "sqlite"]
    others = ", ".join(name for name, _ in sinks)
    scheme = "https" if settings["exporter"].get("web_config_file") else "http"
    return Place(
        prometheus=layout.url("prometheus"),
        alertmanager=layout.url("alertmanager"),
        page=layout.url("page"),
        exporter=f"{scheme}://{settings['exporter']['listen']}",
        ingest=f"{scheme}://{settings['exporter']['ingest']['listen']}",
        token=lambda: Path(token_file).read_text(encoding="utf-8").strip() if token_file else "",
        log=log,
        elsewhere="" if str(layout.log_store) in stores else f"the shipper sends to {others} alone",
        outside="heartbeat" in settings["notify"],
    )


def verify_log(layout: Layout) -> Path:
    """Return the file that the shipper follows for `topmast verify`."""
    return layout.data / "verify" / "verify.log"


def append(path: Path, line: str) -> None:
    """Add a line with one write; beyond 64 KiB the file starts anew. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_file() and path.stat().st_size > MAX_VERIFY_BYTES:
        path.unlink()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(descriptor, line.encode() + b"\n")
    finally:
        os.close(descriptor)


def composed(layout: Layout) -> tuple[list[Checkup], Place]:
    """Return the containers and where they are published. Raises NotRunningError, PrerequisiteError."""
    told = compose.status(layout)
    rendered = composition.folder(layout) / "alertmanager" / "alertmanager.yml"
    outside = rendered.is_file() and "/inbox/webhook/heartbeat" not in rendered.read_text(encoding="utf-8")
    place = replace(composed_place(compose.command(layout), told["components"]), outside=outside)
    return [container(one) for one in told["components"]], place


def container(one: Mapping[str, Any]) -> Checkup:
    """Return what `docker compose ps` says of one container."""
    name, state = str(one["name"]), str(one["state"])
    if state in ("ready", "done"):
        told = "did its work and ended" if state == "done" else f"is healthy{_at(one)}"
        return Checkup(name, ok=True, message=told)
    message = f"is {state}{_at(one)}" + (f": {one['exit']}" if one["exit"] else "")
    if state == "absent":
        return Checkup(name, ok=False, message=message, remedy="topmast up --detach")
    return Checkup(name, ok=False, message=message, remedy=f"docker compose -f {compose.FILE} logs --tail 20 {name}")


def _at(one: Mapping[str, Any]) -> str:
    return f" at {one['address']}" if one["address"] else ""


def composed_place(
    command: Sequence[str], components: Sequence[Mapping[str, Any]], environment: Mapping[str, str] | None = None
) -> Place:
    """Return the published addresses: where the page is, all are (BIND_ADDR). `command` is `docker compose -f …`."""
    host = next((str(each["address"]).rpartition(":")[0] for each in components if each["name"] == "page"), "")
    at = LOOPBACK if host in ("", "0.0.0.0", "::") else host  # noqa: S104 - asked, not listened at
    around = {**os.environ, **(environment or {})}

    def run(service: str, argv: Sequence[str], seconds: float, given: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*command, "exec", "-T", service, *argv],
            input=given, capture_output=True, text=True, check=False, timeout=seconds,
            env=around,
        )  # fmt: skip

    def inside(service: str, *argv: str, given: str = "") -> str:
        done = run(service, argv, _EXEC_SECONDS, given)
        if done.returncode != 0:
            raise TopmastError(f"docker compose exec {service}: {done.stderr.strip()[:200]}")
        return done.stdout

    has_logstash = any(each["name"] == "logstash" for each in components)
    return Place(
        prometheus=f"http://{at}:9090",
        alertmanager=f"http://{at}:9093",
        page=f"http://{at}:3002",
        exporter=f"http://{at}:9470",
        ingest=f"http://{at}:4318",
        token=lambda: inside("exporter", "python", "-c", compose.READ_TOKEN).strip(),
        log=lambda line: _done(inside("shipper", "python", "-c", _APPEND, given=line)),
        more=(partial(configtest.checkup, partial(run, "logstash")),) if has_logstash else (),
    )


def _done(_output: str) -> None:
    """Nothing is told when a line was written."""


_APPEND = (
    "import sys, pathlib; p = pathlib.Path('/var/lib/topmast/verify/verify.log');"
    "p.parent.mkdir(exist_ok=True); p.open('a').write(sys.stdin.read() + '\\n')"
)
