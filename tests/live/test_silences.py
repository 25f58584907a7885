"""`topmast silence`, `silences` and `maintenance` on a real Alertmanager."""

import json
import signal
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
import requests
from running import HOME, Appliance, wait_for

pytestmark = pytest.mark.live


def active(bare: Appliance) -> list[dict[str, str]]:
    return list(bare.json("silences", "--json")["silences"])


def test_an_alert_is_silent_until_somebody_ends_it(bare: Appliance) -> None:
    made = bare.json(
        "silence", "HostCpuHigh", "--for", "30m", "--reason", "load test", "--label", "instance=a:1", "--json"
    )

    (found,) = active(bare)
    assert (found["id"], found["reason"]) == (made["id"], "load test")
    assert found["matchers"] == ['alertname="HostCpuHigh"', 'instance="a:1"']

    bare.run("silences", "--end", made["id"])
    assert active(bare) == []


@pytest.mark.parametrize("silence_id", ["00000000-0000-4000-8000-000000000000", "deadbeef"])
def test_a_silence_that_is_not_there_is_told(bare: Appliance, silence_id: str) -> None:
    done = bare.run("silences", "--end", silence_id, check=False)

    assert done.returncode == 1
    assert "no such silence" in done.stderr


def test_the_exit_code_is_the_commands_and_the_silence_is_over_with_it(bare: Appliance, tmp_path: Path) -> None:
    during = tmp_path / "during.json"
    script = f"'{HOME}/topmast' --state '{bare.state}' silences --json > '{during}'; exit 7"

    done = bare.run("maintenance", "--reason", "deploy", "--", "sh", "-c", script, check=False)

    assert done.returncode == 7
    (silence,) = json.loads(during.read_text())["silences"]
    assert silence["matchers"] == ['alertname!="Watchdog"', 'environment=~"production|"']
    assert active(bare) == []


def test_a_signal_reaches_the_command_and_ends_the_silence(bare: Appliance) -> None:
    argv = [str(HOME / "topmast"), "--state", str(bare.state), "maintenance", "--", "sleep", "60"]
    process = subprocess.Popen(argv, cwd=HOME)
    wait_for("the silence", lambda: active(bare))

    process.send_signal(signal.SIGTERM)

    assert process.wait(30) == 128 + signal.SIGTERM
    assert active(bare) == []


def test_after_a_kill_it_is_over_within_five_minutes(bare: Appliance) -> None:
    argv = [str(HOME / "topmast"), "--state", str(bare.state), "maintenance", "--", "sleep", "30"]
    process = subprocess.Popen(argv, cwd=HOME)
    wait_for("the silence", lambda: active(bare))

    process.kill()
    process.wait()

    (left,) = active(bare)
    assert (datetime.fromisoformat(left["ends"]) - datetime.now(UTC)).total_seconds() <= 300
    bare.run("silences", "--end", left["id"])


def test_what_a_ci_tells_and_maintenance_are_marks_that_prometheus_has(bare: Appliance) -> None:
    ingest = f"http://127.0.0.1:{bare.port(4318)}/v1/marks"
    mark = {"id": "ci-1", "kind": "rollback", "text": "v1.4.1", "service": "shop", "time": time.time() - 60}

    first, again = (requests.post(ingest, json=mark, timeout=10).status_code for _ in range(2))
    done = bare.run("maintenance", "--reason", "a new disk", "--json", "--", "true")
    told = json.loads(done.stderr.splitlines()[-1])["mark"]

    assert (first, again) == (201, 200)
    listed = {each["id"]: each for each in requests.get(ingest, timeout=10).json()["marks"]}
    assert (listed[told]["text"], listed[told]["kind"]) == ("a new disk", "maintenance")
    assert listed[told]["end"] >= listed[told]["time"]
    asked = {"query": "exporter_mark_timestamp_seconds"}

    def drawn() -> dict[tuple[str, str, str], float]:
        answer = requests.get(f"http://127.0.0.1:{bare.port(9090)}/api/v1/query", params=asked, timeout=10).json()
        found = [(each["metric"], float(each["value"][1])) for each in answer["data"]["result"]]
        return {(one["kind"], one["text"], one.get("moment", "")): value for one, value in found}

    # The tests before have left marks of theirs.
    wanted = {("rollback", "v1.4.1", ""), *(("maintenance", "a new disk", moment) for moment in ("begins", "ends"))}
    wait_for("the marks in Prometheus", lambda: wanted <= set(drawn()))
    assert drawn()["rollback", "v1.4.1", ""] == pytest.approx(mark["time"], abs=0.01)
