"""Tell a running Prometheus or Alertmanager what topmast.yml now says: render again, reload, wait for its word.

Everything else that runs keeps the configuration that it was started with.
"""

import os
import re
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import urllib3
import yaml

from topmast import compose, config, lock, outside, rendering
from topmast.engine import Setup
from topmast.errors import NotRunningError, TopmastError
from topmast.layout import Layout

RELOAD_SECONDS = 15.0
_SECTIONS = ("alerts", "targets")
_RELOADED = re.compile(
    rb"^prometheus_config_last_reload_(?P<what>successful|success_timestamp_seconds) (?P<value>\S+)$", re.MULTILINE
)


@dataclass(frozen=True)
class Applied:
    """What became of a change."""

    state: str
    """`reloaded`, `next-start` or `compose`."""
    message: str


def running(layout: Layout) -> tuple[Layout, Mapping[str, Any]]:
    """Return the layout (with its ports) and the status of what runs here. Raises NotRunningError."""
    status = lock.status(layout)
    return replace(layout, port_offset=status["port_offset"]), status


def apply(layout: Layout, values: Mapping[str, Any], say: Callable[[str], None] = lambda _: None) -> Applied:
    """Make the alerts and targets of `values` those of the running Prometheus, or say when they will be.

    Raises TopmastError when Prometheus refuses what was rendered: it goes on with what it had.
    """
    if compose.mode(layout, None) == "compose":
        return Applied("compose", "`topmast up --mode compose` again applies it")
    try:
        there, status = running(layout)
    except NotRunningError:
        return Applied("next-start", "applies at the next `topmast up`")
    settings = yaml.safe_load((there.rendered / "topmast.yml").read_text(encoding="utf-8"))
    settings |= {section: values[section] for section in _SECTIONS}
    config.check(settings, str(there.rendered / "topmast.yml"))
    waits = ""
    if settings["targets"].get(outside.JOB) and not any(c["name"] == outside.EXPORTER for c in status["components"]):
        # Who would ask them is started by `topmast up` alone: until then they would look down.
        settings["targets"] = {job: found for job, found in settings["targets"].items() if job != outside.JOB}
        waits = "; its URLs are asked after `topmast down` and `topmast up`, which starts blackbox_exporter"
    rendering.render_scraping(
        Setup(layout=there, settings=settings, demo=status["demo"], real_clocks=status["real_clocks"], say=say)
    )
    reload(there, status)
    return Applied("reloaded", f"Prometheus has it{waits}")


def notify(layout: Layout, values: Mapping[str, Any], say: Callable[[str], None] = lambda _: None) -> Applied:
    """Make the channels of `values` those of the running Alertmanager, or say when they will be.

    Raises TopmastError when Alertmanager refuses what was rendered: it goes on with what it had.
    """
    if compose.mode(layout, None) == "compose":
        return Applied("compose", "`topmast up --mode compose` again applies it; mount the secret's file there too")
    try:
        there, status = running(layout)
    except NotRunningError:
        return Applied("next-start", "applies at the next `topmast up`")
    settings = yaml.safe_load((there.rendered / "topmast.yml").read_text(encoding="utf-8"))
    settings["notify"] = values["notify"]
    setup = Setup(layout=there, settings=settings, demo=status["demo"], real_clocks=status["real_clocks"], say=say)
    rendering.render_scraping(setup)
    rendering.render_notifying(setup)
    try:
        answer = urllib3.request(
            "POST", f"{there.url('alertmanager')}/-/reload", timeout=urllib3.Timeout(total=10), retries=False
        )
    except urllib3.exceptions.HTTPError as error:
        raise TopmastError("alertmanager: it does not answer; the change applies when it is back") from error
    if answer.status != 200:
        told = answer.data[:300].decode("utf-8", "replace").strip()
        raise TopmastError(f"alertmanager: it did not take the new file and goes on with the old: {told}")
    return Applied("reloaded", "Alertmanager has it")


def prices(layout: Layout, values: Mapping[str, Any]) -> Applied:
    """Make the price overrides of `values` those of the running exporter, or say when they will be."""
    if compose.mode(layout, None) == "compose":
        return Applied("compose", "it holds from the next `topmast up --mode compose` on")
    try:
        there, status = running(layout)
    except NotRunningError:
        return Applied("next-start", "it holds from the exporter's next start or reload (SIGHUP) on")
    path = there.rendered / "topmast.yml"
    settings = yaml.safe_load(path.read_text(encoding="utf-8"))
    settings["exporter"]["prices"] = values["exporter"]["prices"]
    config.check(settings, str(path))
    rendering.render_settings(there, settings)
    pid = next((one["pid"] for one in status["components"] if one["name"] == "exporter"), 0)
    if not pid:
        return Applied("next-start", "it holds from the exporter's next start on")
    os.kill(pid, signal.SIGHUP)
    return Applied("reloaded", "the running exporter prices by it")


def reload(layout: Layout, status: Mapping[str, Any]) -> None:
    """Make Prometheus read its files again and wait until it says that it did. Raises TopmastError."""
    pid = next((one["pid"] for one in status["components"] if one["name"] == "prometheus"), 0)
    before = _told(layout)
    if not pid or before is None:
        raise TopmastError("prometheus: it does not answer; the change applies when it is back (`topmast status`)")
    os.kill(pid, signal.SIGHUP)
    deadline = time.monotonic() + RELOAD_SECONDS
    now: Mapping[str, float] | None = before
    while time.monotonic() < deadline:
        now = _told(layout)
        if now is not None and now.get("success_timestamp_seconds") != before.get("success_timestamp_seconds"):
            return
        if now is not None and now.get("successful") == 0 and before.get("successful") == 1:
            break
        time.sleep(0.05)
    raise TopmastError(
        f"prometheus: it did not take the new files and goes on with the old; why: {layout.logs / 'prometheus.log'}"
    )


def _told(layout: Layout) -> dict[str, float] | None:
    """Return what Prometheus says of its last reload, by the metric's ending; None when it does not answer."""
    try:
        answer = urllib3.request(
            "GET", f"{layout.url('prometheus')}/metrics", timeout=urllib3.Timeout(total=5), retries=False
        )
    except urllib3.exceptions.HTTPError:
        return None
    return {match["what"].decode(): float(match["value"]) for match in _RELOADED.finditer(answer.data)}
