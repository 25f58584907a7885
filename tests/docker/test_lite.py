"""The stack for 4 GB on a real engine, with the demo as its workload: what it scrapes, finds and takes.

It stands behind the gateway, which changes nothing here (test_public.py asks through it).
"""

import json
import urllib.parse
import urllib.request
from typing import Any

import pytest
from running import wait_for
from topmast.compose import ONE_SHOTS
from topmast.rehearsal import Project

# The images are built here, once.
pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]

DEMO = {"demo-app", "demo-model", "demo-load", "demo-redis", "demo-postgres"}
LIMITS_MIB = 1792


def get(stack: Project, port: int, path: str) -> Any:
    with urllib.request.urlopen(f"http://{stack.own_address}:{port}{path}", timeout=10) as answer:
        return json.load(answer)


def query(stack: Project, expression: str) -> dict[str, float]:
    """Return the value by instance."""
    told = get(stack, 9090, f"/api/v1/query?query={urllib.parse.quote(expression)}")["data"]["result"]
    return {each["metric"].get("instance", ""): float(each["value"][1]) for each in told}


def found(stack: Project, text: str) -> list[dict[str, Any]]:
    documents: list[dict[str, Any]] = get(stack, 3002, f"/api/logs?q={urllib.parse.quote(text)}&limit=5")["documents"]
    return documents


def test_every_service_is_healthy_and_elasticsearch_is_not_there(small: Project) -> None:
    told = small.services()

    lasting = {name: one["Health"] for name, one in told.items() if name not in ONE_SHOTS}
    assert lasting == dict.fromkeys(lasting, "healthy")
    assert lasting.keys() >= DEMO | {"prometheus", "grafana", "page", "shipper"}
    assert not {"elasticsearch", "logstash", "kibana", "elasticsearch-setup"} & told.keys()


def test_the_engine_holds_every_limit(small: Project) -> None:
    limits = {name: small.inspect(name)["HostConfig"]["Memory"] for name in small.services() if name not in ONE_SHOTS}

    assert all(limits.values()), limits
    assert sum(value for name, value in limits.items() if name not in DEMO) <= LIMITS_MIB * 1024**2
    # None was ended for having taken more.
    assert [name for name in limits if small.inspect(name)["State"]["OOMKilled"]] == []


def test_the_demo_is_hardened_as_the_rest(small: Project) -> None:
    for name in sorted(DEMO):
        host = small.inspect(name)["HostConfig"]

        assert host["CapDrop"] == ["ALL"], name
        assert host["ReadonlyRootfs"], name
        assert not small.inspect(name)["NetworkSettings"]["Ports"] or not any(
            small.inspect(name)["NetworkSettings"]["Ports"].values()
        ), name


def test_prometheus_scrapes_the_app_and_asks_the_exporter_for_its_servers(small: Project) -> None:
    def ups() -> dict[str, float]:
        # `up` of a probe is the exporter's; the server's own is `redis_up` and `pg_up`.
        return {
            **query(small, 'up{job="app"}'),
            **{f"redis {k}": v for k, v in query(small, "redis_up").items()},
            **{f"postgres {k}": v for k, v in query(small, "pg_up").items()},
        }

    wanted = {"demo-app:18000": 1.0, "redis demo-redis:6379": 1.0, "postgres demo-postgres:5432": 1.0}

    assert wait_for("the demo's targets", lambda: ups() == wanted, seconds=120), ups()


def test_the_customers_requests_and_the_model_s_cost_are_counted(small: Project) -> None:
    assert wait_for("requests", lambda: query(small, "sum(app_http_requests_total) > 0"), seconds=120)
    # Sent by the app with its token, priced by the exporter.
    assert wait_for("costs", lambda: query(small, "sum(llm_cost_usd_total) > 0"), seconds=120)


def test_the_shop_s_lines_are_found_on_the_page(small: Project) -> None:
    (line, *_) = wait_for("a line of the shop", lambda: found(small, "service:shop level:info"), seconds=60)
    (access, *_) = wait_for("an access line", lambda: found(small, "service:nginx"), seconds=60)

    assert line["service"]["name"] == "shop"
    assert access["http"]["response"]["status_code"]
