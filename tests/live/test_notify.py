"""A channel that is set up while everything runs gets what the inbox got before."""

from pathlib import Path

import pytest
import yaml
from running import Appliance

pytestmark = pytest.mark.live


def test_the_running_alertmanager_takes_a_channel_at_once(bare: Appliance, tmp_path: Path) -> None:
    own = tmp_path / "topmast.yml"
    own.write_text("environment: production\n")
    secret = tmp_path / "slack"
    secret.write_text("https://hooks.example.com/services/x\n")

    def routes() -> str:
        return str(bare.get(9093, "/api/v2/status")["config"]["original"])

    bare.run("--config", str(own), "notify", "setup", "slack", "--secret-file", str(secret))
    with_slack = routes()
    bare.run("--config", str(own), "notify", "remove", "slack")

    assert f"api_url_file: {secret}" in with_slack
    assert "hooks.example.com" not in with_slack
    assert str(secret) not in routes()
    assert yaml.safe_load(routes())["receivers"]
