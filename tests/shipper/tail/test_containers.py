"""containers.py: whose log a container engine's file is."""

import json
from pathlib import Path
from typing import Any

import pytest
from topmast_shipper.tail.containers import name_of

ID = "0af7651916cd43dd" * 4


@pytest.mark.parametrize(
    ("config", "name"),
    [
        pytest.param({"Name": "/shop-web-1"}, "shop-web-1", id="a container"),
        pytest.param(
            {"Name": "/shop-web-1", "Config": {"Labels": {"com.docker.compose.service": "web"}}}, "web", id="Compose"
        ),
        pytest.param({"Config": {"Labels": None}}, "", id="no name"),
        pytest.param([], "", id="another shape"),
        pytest.param(None, "", id="no file"),
    ],
)
def test_docker(tmp_path: Path, config: Any, name: str) -> None:
    if config is not None:
        (tmp_path / "config.v2.json").write_text(json.dumps(config))

    assert name_of(str(tmp_path / f"{ID}-json.log")) == name
    assert name_of(str(tmp_path / f"{ID}-json.log.1")) == name
    assert name_of(str(tmp_path / "app.log")) == ""


def test_kubernetes() -> None:
    assert name_of(f"/var/log/containers/web-7d9f_shop_web-app-{ID}.log") == "web-app"
    assert name_of("/var/log/containers/other.log") == ""


def test_a_file_that_is_no_json(tmp_path: Path) -> None:
    (tmp_path / "config.v2.json").write_text("{")

    assert name_of(str(tmp_path / f"{ID}-json.log")) == ""
