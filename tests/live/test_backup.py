"""Backup while it runs, purge, restore: the same questions have the same answers."""

import json
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from running import HOME, Appliance, free_offset, wait_for, with_engines
from topmast.layout import Layout
from topmast.running import append, verify_log
from topmast.verification import ALERT

pytestmark = pytest.mark.live


def answers(appliance: Appliance, at: float) -> dict[str, Any]:
    """Return what metrics, logs, ledger and inbox say of the time up to `at`."""
    query = f"/api/v1/query_range?query=up&start={at - 600:.0f}&end={at:.0f}&step=1"
    until = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at))
    return {
        "metrics": appliance.get(9090, query)["data"],
        "logs": appliance.run("logs", "--json", "--until", until).stdout,
        "inbox": [
            each for each in appliance.json("inbox", "--json")["notifications"] if each["at"] < until
        ],
    }  # fmt: skip


def fire(appliance: Appliance) -> None:
    alert = {"labels": {"alertname": ALERT, "severity": "info"}}
    request = urllib.request.Request(
        f"http://127.0.0.1:{appliance.port(9093)}/api/v2/alerts",
        data=json.dumps([alert]).encode(),
        headers={"content-type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert answer.status == 200


def test_the_same_questions_have_the_same_answers(tmp_path: Path) -> None:
    appliance = Appliance(with_engines(tmp_path / "state"), free_offset())
    start = ("up", "--detach", "--port-offset", str(appliance.offset))
    try:
        appliance.run(*start, seconds=120)
        wait_for("a sample", lambda: appliance.get(9090, "/api/v1/query?query=up")["data"]["result"])
        append(verify_log(Layout(HOME, appliance.state)), '{"message": "a line"}')
        fire(appliance)
        wait_for("the line", lambda: appliance.run("logs", "--json").stdout)
        wait_for("the notification", lambda: appliance.json("inbox", "--json")["notifications"])
        at = float(int(time.time()))
        wait_for("a second has passed", lambda: time.time() > at + 1)
        before = answers(appliance, at)

        appliance.run("backup", str(tmp_path / "backup.tar.gz"))
        appliance.run("down", "--purge")
        appliance.run("restore", str(tmp_path / "backup.tar.gz"))
        appliance.run(*start, seconds=120)
        after = answers(appliance, at)
    finally:
        appliance.run("down", "--purge")

    assert before["metrics"]["result"]
    assert before["logs"]
    assert before["inbox"]
    assert after == before
