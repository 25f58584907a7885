"""The main job, as a person meets it: one command, and metrics, logs and alerts are alive on the real engines."""

import json
import os
import signal
import socket
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from running import Appliance, free_offset, wait_for, with_engines

pytestmark = pytest.mark.live

DEMO = {"demo-app", "demo-load", "demo-model", "demo-postgres", "demo-redis"}
CORE = {"prometheus", "alertmanager", "node_exporter", "exporter", "shipper", "page"}


def query(demo: Appliance, expression: str) -> list[dict[str, Any]]:
    answer = demo.get(9090, f"/api/v1/query?query={quote(expression)}")
    result: list[dict[str, Any]] = answer["data"]["result"]
    return result


def running(pid: int) -> bool:
    """Return whether the process lives; a zombie that init has not reaped yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_every_component_is_ready_and_told(demo: Appliance) -> None:
    told = demo.json("status", "--json")

    assert (told["mode"], told["ready"], told["state"]) == ("embedded", True, str(demo.state))
    assert {one["name"] for one in told["components"]} == CORE | DEMO
    assert {one["state"] for one in told["components"]} == {"ready"}
    assert all(one["pid"] and one["restarts"] == 0 for one in told["components"])
    versions = {one["name"]: one["version"] for one in told["components"]}
    assert all(versions[name] for name in CORE)


def test_every_target_is_up(demo: Appliance) -> None:
    def all_up() -> bool:
        targets = demo.get(9090, "/api/v1/targets")["data"]["activeTargets"]
        return bool(targets) and all(one["health"] == "up" for one in targets)

    wait_for("all targets up", all_up)
    jobs = {one["labels"]["job"] for one in demo.get(9090, "/api/v1/targets")["data"]["activeTargets"]}
    assert jobs == {"alertmanager", "app", "exporter", "node", "page", "postgres", "prometheus", "redis", "shipper"}


@pytest.mark.parametrize(
    "metric",
    [
        "app_http_requests_total",
        "cache_requests_total",
        "agent_executions_total",
        "db_query_duration_seconds_count",
        "llm_cost_usd_total",
        "redis_memory_used_bytes",
        "cache_keys",
        "pg_stat_database_xact_commit",
        "node_load5",
        "shipper_events_sent_total",
        "alertmanager_build_info",
        "prometheus_build_info",
    ],
)
def test_each_kind_of_metric_arrives(demo: Appliance, metric: str) -> None:
    wait_for(metric, lambda: query(demo, metric))


def test_no_value_of_one_family_comes_from_two_places(demo: Appliance) -> None:
    wait_for("llm cost", lambda: query(demo, "llm_cost_usd_total"))

    assert [one["metric"] for one in query(demo, "count by (job) (llm_cost_usd_total)")] == [{"job": "exporter"}]
    assert [one["metric"] for one in query(demo, "count by (job) (cache_keys)")] == [{"job": "redis"}]


def test_the_app_is_seen_under_its_server_s_address(demo: Appliance) -> None:
    wait_for("redis up", lambda: query(demo, "redis_up"))

    assert {one["metric"]["instance"] for one in query(demo, "redis_up")} == {f"127.0.0.1:{demo.port(16379)}"}


def test_the_app_s_lines_are_found(demo: Appliance) -> None:
    lines = wait_for(
        "log lines", lambda: demo.run("logs", "--json", "--since", "1m", "--limit", "50").stdout.splitlines()
    )

    first = json.loads(lines[0])
    assert {"@timestamp", "message", "log", "service"} <= set(first)
    assert "level" in first["log"]


def test_a_line_is_found_soon_after_it_was_written(demo: Appliance) -> None:
    word = f"needle{time.time_ns()}"
    line = {"@timestamp": datetime.now(UTC).isoformat(), "log.level": "error", "message": f"checkout failed {word}"}
    with (demo.state / "demo" / "logs" / "app.log").open("a") as log:
        log.write(json.dumps(line) + "\n")

    found = wait_for("the line", lambda: demo.run("logs", "--json", f"level:error {word}").stdout, seconds=10)

    assert json.loads(found)["message"] == f"checkout failed {word}"


def test_a_broken_query_says_where(demo: Appliance) -> None:
    done = demo.run("logs", "level:error AND (", check=False)

    assert done.returncode == 2
    assert "^" in done.stderr


def test_rules_are_loaded_and_evaluate(demo: Appliance) -> None:
    groups = demo.get(9090, "/api/v1/rules")["data"]["groups"]

    rules = [rule for group in groups for rule in group["rules"]]
    assert {rule["labels"].get("category") for rule in rules if rule["type"] == "alerting"} >= {
        "cpu",
        "memory",
        "cache",
        "database",
        "llm",
        "cost",
        "elasticsearch",
        "self",
    }
    wait_for(
        "every rule evaluated",
        lambda: all(
            rule["health"] == "ok"
            for group in demo.get(9090, "/api/v1/rules")["data"]["groups"]
            for rule in group["rules"]
        ),
    )


def test_a_second_up_says_that_it_is_running_and_where(demo: Appliance) -> None:
    done = demo.run("up", "--demo", "--detach", "--port-offset", str(demo.offset), check=False)

    assert done.returncode == 73
    assert "already running" in done.stderr
    assert f"http://127.0.0.1:{demo.port(3001)}" in done.stderr


def test_a_port_in_use_is_named_before_anything_starts(demo: Appliance, tmp_path: Path) -> None:
    other = Appliance(tmp_path / "other", demo.offset)

    done = other.run("up", "--detach", "--port-offset", str(demo.offset), check=False)

    assert done.returncode == 69
    assert "is in use by" in done.stderr
    assert "--port-offset" in done.stderr
    assert not (other.state / "run" / "status.json").exists()


def test_a_broken_configuration_is_refused_by_its_place(bare: Appliance, tmp_path: Path) -> None:
    file = tmp_path / "topmast.yml"
    file.write_text("slo: {availability: 99.9}\n")
    other = Appliance(tmp_path / "other", 0)

    done = other.run("-c", str(file), "up", "--detach", check=False)

    assert done.returncode == 78
    assert f"{file}: $.slo.availability:" in done.stderr
    assert not other.state.exists()


@pytest.mark.parametrize("name", sorted(CORE))
def test_a_killed_component_is_back(bare: Appliance, name: str) -> None:
    def component() -> dict[str, Any]:
        told = json.loads(bare.run("status", "--json", check=False).stdout)
        return next(one for one in told["components"] if one["name"] == name)

    before = wait_for("ready", lambda: one if (one := component())["state"] == "ready" else None)
    os.kill(before["pid"], signal.SIGKILL)

    after = wait_for(
        "back", lambda: one if (one := component())["state"] == "ready" and one["pid"] != before["pid"] else None, 20
    )
    assert after["restarts"] == before["restarts"] + 1


def test_everything_listens_on_loopback_only(bare: Appliance) -> None:
    pids = {str(one["pid"]) for one in bare.json("status", "--json")["components"]}
    inodes = {
        link.readlink().name
        for pid in pids
        for link in Path(f"/proc/{pid}/fd").iterdir()
        if str(link.readlink()).startswith("socket:")
    }
    listening = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in inodes:
                listening.add(fields[1].partition(":")[0])

    # proc(5): the address is little-endian hex; 127.0.0.1 is 0100007F.
    assert listening == {"0100007F"}


def test_down_leaves_no_process_and_no_port(tmp_path: Path) -> None:
    one = Appliance(with_engines(tmp_path / "state"), free_offset())
    one.run("up", "--detach", "--port-offset", str(one.offset), seconds=240)
    told = one.json("status", "--json")
    pids = [told["pid"], *(component["pid"] for component in told["components"])]

    one.run("down")

    assert not [pid for pid in pids if running(pid)]
    for component in told["components"]:
        with socket.socket() as plug:
            host, _, port = component["address"].partition(":")
            assert plug.connect_ex((host, int(port))) != 0
    assert one.run("status", check=False).returncode == 3
