"""Alerts and targets are changed while everything runs, and the real Prometheus takes them."""

from pathlib import Path
from typing import Any

import pytest
import requests
from running import Appliance, wait_for

pytestmark = pytest.mark.live


@pytest.fixture
def own(tmp_path: Path) -> Path:
    path = tmp_path / "topmast.yml"
    path.write_text("# ours\n")
    return path


def rule(bare: Appliance, name: str) -> dict[str, Any] | None:
    groups = bare.get(9090, "/api/v1/rules")["data"]["groups"]
    return next((each for group in groups for each in group["rules"] if each["name"] == name), None)


def test_an_alert_is_changed_disabled_and_reset(bare: Appliance, own: Path) -> None:
    told = bare.json("-c", str(own), "alerts", "set", "HostCpuHigh", "--threshold", "80%", "--for", "20m", "--json")
    changed = rule(bare, "HostCpuHigh")
    bare.run("-c", str(own), "alerts", "disable", "HostCpuHigh")
    disabled = rule(bare, "HostCpuHigh")
    bare.run("-c", str(own), "alerts", "reset", "HostCpuHigh")
    reset = rule(bare, "HostCpuHigh")

    assert told["applied"] == "reloaded"
    assert changed
    assert (changed["query"], changed["duration"]) == ("instance:node_cpu_busy:ratio_rate5m > 0.8", 1200)
    assert disabled is None
    assert reset
    assert (reset["query"], reset["duration"]) == ("instance:node_cpu_busy:ratio_rate5m > 0.85", 600)
    assert own.read_text() == "# ours\n"


def test_a_target_with_a_password_is_scraped_as_its_job(bare: Appliance, own: Path, tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text("s3cret")
    password.chmod(0o600)
    address = f"127.0.0.1:{bare.port(9100)}"
    arguments = ("--environment", "staging", "--username", "u", "--password-file", str(password))

    bare.run("-c", str(own), "targets", "add", "mysql", address, *arguments)

    def found() -> Any:
        listed = bare.json("-c", str(own), "targets", "list", "--json")["targets"]
        return next((each for each in listed if each["job"] == "mysql" and each["health"] == "up"), None)

    assert wait_for("the target is up", found)["labels"] == {"environment": "staging"}
    up = bare.get(9090, "/api/v1/query?query=up%7Bjob%3D%22mysql%22%7D")["data"]["result"]
    assert [each["metric"]["environment"] for each in up] == ["staging"]
    assert "s3cret" not in (bare.state / "rendered" / "prometheus" / "prometheus.yml").read_text()
    bare.run("-c", str(own), "targets", "remove", "mysql", address)
    assert own.read_text() == "# ours\n"


def test_a_price_is_overridden_and_calls_of_before_are_priced_again(bare: Appliance, own: Path) -> None:
    event = {"id": "of-before", "provider": "acme", "model": "own", "usage": {"input": 1_000_000, "output": 0}}
    answer = requests.post(f"http://127.0.0.1:{bare.port(4318)}/v1/usage", json=event, timeout=10)
    assert answer.json()["accepted"] == 1

    told = bare.json("-c", str(own), "cost", "prices", "override", "acme/own", "--input", "2", "--json")
    done = bare.json("-c", str(own), "cost", "reprice", "--since", "1h", "--json")

    assert told["applied"] == "reloaded"
    assert (done["correction"]["changed"], done["correction"]["after_usd"]) == (1, 2.0)
    spent = bare.json("cost", "--json")
    assert [row["usd"] for row in spent["rows"] if row["model"] == "own"] == [2.0]
    bare.run("-c", str(own), "cost", "prices", "override", "acme/own", "--remove")
