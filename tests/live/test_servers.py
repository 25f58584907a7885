"""A Redis and a PostgreSQL that topmast.yml names are read, scraped and told apart, from `topmast up` on."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from running import Appliance, free_offset, wait_for, with_engines

pytestmark = pytest.mark.live


@pytest.fixture
def servers(
    tmp_path: Path, start_valkey: Callable[..., Any], start_postgres: Callable[..., Any]
) -> Iterator[tuple[Appliance, dict[str, str], Path]]:
    """An appliance that was started with two servers in its topmast.yml, their addresses, and that file."""
    cache, database = start_valkey("--requirepass", "s3cret"), start_postgres()
    password = tmp_path / "redis.password"
    password.write_text("s3cret\n")
    often = {"interval_seconds": 2, "timeout_seconds": 2}
    collectors = [
        {"redis": {"target": "cache", "url": cache.url, "password_file": str(password), **often}},
        {"postgres": {"target": "main", "dsn": database.url, **often}},
    ]
    own = tmp_path / "topmast.yml"
    own.write_text(json.dumps({"exporter": {"dependencies": ["redis", "postgresql"], "collectors": collectors}}))
    appliance = Appliance(with_engines(tmp_path), free_offset())
    try:
        appliance.run("-c", str(own), "up", "--detach", "--port-offset", str(appliance.offset), seconds=240)
        yield appliance, {"redis": f"127.0.0.1:{cache.port}", "postgres": f"127.0.0.1:{database.port}"}, own
    finally:
        appliance.run("down", "--purge", seconds=90)


def test_configured_servers_are_probed_and_scraped_under_their_own_names(
    servers: tuple[Appliance, dict[str, str], Path],
) -> None:
    appliance, addresses, own = servers

    def series(query: str) -> list[dict[str, str]]:
        answer = appliance.get(9090, f"/api/v1/query?query={query}")
        return [each["metric"] for each in answer["data"]["result"] if each["value"][1] == "1"]

    probe = f"http://127.0.0.1:{appliance.port(9470)}/probe"
    for kind, target, up in (("redis", "cache", "redis_up"), ("postgres", "main", "pg_up")):
        wait_for(
            f"{up} is 1",
            lambda kind=kind, target=target, up=up: (
                f"{up} 1" in requests.get(probe, {"module": kind, "target": target}, timeout=10).text
            ),
        )
        (found,) = wait_for(f"Prometheus has {up}", lambda up=up: series(up), seconds=60)
        assert (found["job"], found["instance"]) == (kind, addresses[kind])

    listed = appliance.json("-c", str(own), "targets", "list", "--json")["targets"]
    assert {each["job"]: each["health"] for each in listed if each["job"] in addresses} == {
        "redis": "up",
        "postgres": "up",
    }
    assert requests.get(probe, {"module": "redis", "target": "127.0.0.1:6379"}, timeout=10).status_code == 404
    rendered = (appliance.state / "rendered" / "prometheus" / "prometheus.yml").read_text()
    assert "s3cret" not in rendered

    # who asks a URL is started by `up` alone: the servers that are scraped go on meanwhile
    told = appliance.run("-c", str(own), "targets", "add", "url", f"http://{addresses['redis']}/", check=False).stdout
    assert "starts blackbox_exporter" in told
    listed = appliance.json("-c", str(own), "targets", "list", "--json")["targets"]
    assert all(each["health"] == "up" for each in listed if each["job"] in addresses)
