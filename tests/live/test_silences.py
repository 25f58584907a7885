"""`topmast silence`, `silences` and `maintenance` on a real Alertmanager."""

import json
import signal
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
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


def test_a_silence_that_is_not_there_is_told(bare: Appliance) -> None:
    done = bare.run("silences", "--end", "00000000-0000-4000-8000-000000000000", check=False)

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
    argv = [str(HOME / "topmast"), "--state", str(bare.state), "maintenance", "--", "sleep", "1"]
    process = subprocess.Popen(argv, cwd=HOME)
    wait_for("the silence", lambda: active(bare))

    process.kill()
    process.wait()

    (left,) = active(bare)
    assert (datetime.fromisoformat(left["ends"]) - datetime.now(UTC)).total_seconds() <= 300
    bare.run("silences", "--end", left["id"])
