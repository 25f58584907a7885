"""docker-compose.demo.yml adds a workload to either size, connected as a user's own would be."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from topmast import composition, demo

MONITORING = Path(__file__).resolve().parents[2] / "monitoring"
FULL = ("docker-compose.monitoring.yml",)
LITE = (*FULL, "docker-compose.lite.yml")
DEMO = "docker-compose.demo.yml"
SERVICES = {"demo-app", "demo-model", "demo-load", "demo-redis", "demo-postgres"}


@pytest.fixture(params=["full", "lite"])
def size(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def stack(compose: Callable[..., dict[str, Any]], size: str) -> dict[str, Any]:
    files = LITE if size == "lite" else FULL
    return compose(*files, DEMO, environment={"TOPMAST_SIZE": size})


def test_it_adds_its_services_and_leaves_the_rest(
    compose: Callable[..., dict[str, Any]], stack: dict[str, Any], size: str
) -> None:
    without = compose(*(LITE if size == "lite" else FULL))

    assert stack["services"].keys() - without["services"].keys() == SERVICES
    assert without["services"].keys() <= stack["services"].keys()


def test_the_app_is_connected_as_a_user_s_own(stack: dict[str, Any]) -> None:
    app = stack["services"]["demo-app"]

    assert set(app["networks"]) == {"demo", "monitored"}
    assert "app-logs" in {volume["source"] for volume in app["volumes"]}


def test_its_servers_are_on_a_network_without_a_way_out(stack: dict[str, Any]) -> None:
    assert stack["networks"]["demo"]["internal"] is True
    for name in ("demo-redis", "demo-postgres", "demo-model", "demo-load"):
        assert set(stack["services"][name]["networks"]) == {"demo"}, name
    on_it = {name for name, service in stack["services"].items() if "demo" in service.get("networks", {})}
    assert on_it == SERVICES | {"exporter"}


def test_nothing_of_it_is_published(stack: dict[str, Any]) -> None:
    assert [name for name in SERVICES if stack["services"][name].get("ports")] == []


def test_what_reads_it_is_told_of_it(
    compose: Callable[..., dict[str, Any]], stack: dict[str, Any], size: str
) -> None:
    files = LITE if size == "lite" else FULL
    whole = compose(*files, DEMO, environment={"TOPMAST_SIZE": size}, options=("--profile", "cost"))
    # Who counts and who is asked of it know the same prices and the same days.
    for name in ("exporter", "shipper", "cost"):
        sources = {volume["target"]: volume["source"] for volume in whole["services"][name]["volumes"]}
        assert sources["/etc/topmast/topmast.yml"].endswith(f"monitoring/demo/topmast.{size}.yml")
    mounted = {volume["target"] for volume in stack["services"]["prometheus"]["volumes"]}
    assert {f"/etc/prometheus/targets/{job}.yml" for job in composition.DEMO_JOBS} <= mounted


def test_what_is_mounted_is_what_the_code_makes(tmp_path: Path) -> None:
    targets = composition.read_targets(MONITORING / "prometheus" / "targets")

    composition.with_demo(MONITORING, tmp_path, {}, targets)

    made = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*.yml"))
    assert len(made) == 5
    for name in made:
        kept = (MONITORING / "demo" / name).read_text()
        assert kept == (tmp_path / name).read_text(), f"{name}: make it anew with composition.with_demo"


def test_the_sizes_differ_as_they_do_without_it() -> None:
    full, lite = (yaml.safe_load((MONITORING / f"demo/topmast.{size}.yml").read_text()) for size in ("full", "lite"))

    kinds = {kind for each in full["exporter"]["collectors"] for kind in each}
    assert kinds == {"elasticsearch", "logstash", "kibana", "redis", "postgres"}
    assert {kind for each in lite["exporter"]["collectors"] for kind in each} == {"redis", "postgres"}
    assert [list(each) for each in lite["shipper"]["sinks"]] == [["sqlite"]]
    # An access log is no JSON: the input that takes every app's lines must not see it.
    apps = next(each["file"]["paths"] for each in full["shipper"]["inputs"] if each["file"]["name"] == "apps")
    assert not any(Path(demo.COMPOSED.logs, "access.log").match(path) for path in apps)
