"""Who is scraped where: ours, the configured servers through the exporter, the user's own."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from topmast import targets
from topmast.errors import ConfigError
from topmast.layout import Layout

LAYOUT = Layout(Path("/home"), Path("/state"), 100)


def settings(**more: Any) -> dict[str, Any]:
    return {"exporter": {"listen": "127.0.0.1:9570", "collectors": []}, "targets": {}, **more}


def test_our_own_components_are_scraped_at_their_moved_ports() -> None:
    entries = targets.embedded(settings(), LAYOUT)

    assert entries["node"] == [{"targets": ["127.0.0.1:9200"], "labels": {}}]
    assert entries["exporter"] == [{"targets": ["127.0.0.1:9570"], "labels": {}}]
    assert entries["mysql"] == []


def test_a_server_is_the_instance_and_the_exporter_is_asked() -> None:
    collectors = [{"redis": {"target": "cache", "url": "redis://:secret@10.0.0.5:6380/0"}}]

    entries = targets.embedded(settings(exporter={"listen": "127.0.0.1:9570", "collectors": collectors}), LAYOUT)

    labels = {"__param_target": "cache", "__exporter__": "127.0.0.1:9570"}
    assert entries["redis"] == [{"targets": ["10.0.0.5:6380"], "labels": labels}]


def test_containers_that_our_exporter_reads_are_scraped_as_cadvisor() -> None:
    collectors = [{"containers": {"target": "here"}}]

    entries = targets.embedded(settings(exporter={"listen": "127.0.0.1:9570", "collectors": collectors}), LAYOUT)

    asked = {
        "__metrics_path__": "/probe",
        "__param_module": "containers",
        "__param_target": "here",
        "instance": "here",
    }
    assert entries["cadvisor"] == [{"targets": ["127.0.0.1:9570"], "labels": asked}]


@pytest.mark.parametrize(
    ("kind", "options", "address"),
    [
        pytest.param("redis", {"url": "redis://cache"}, "cache:6379", id="redis without a port"),
        pytest.param("redis", {"url": "rediss://u:p@cache:7000/1"}, "cache:7000", id="TLS with a user"),
        pytest.param("postgres", {"dsn": "postgresql://u@db/shop"}, "db:5432", id="a URL"),
        pytest.param("postgres", {"dsn": "host=db port=6000 user=u"}, "db:6000", id="keywords"),
        pytest.param("postgres", {"dsn": "user=u dbname=shop"}, "localhost:5432", id="keywords without a host"),
        pytest.param("mysql", {"host": "db", "user": "u"}, "db:3306", id="mysql without a port"),
        pytest.param("mysql", {"socket": "/run/mysqld.sock"}, "localhost:3306", id="a socket"),
        pytest.param("elasticsearch", {}, "127.0.0.1:9200", id="elasticsearch by default"),
        pytest.param("kibana", {"url": "https://kibana.example"}, "kibana.example:443", id="https without a port"),
    ],
)
def test_the_server_s_address_comes_out_of_its_connection_string(
    kind: str, options: dict[str, str], address: str
) -> None:
    assert targets.server_address(kind, options) == address


def test_a_page_is_the_instance_and_blackbox_exporter_is_asked() -> None:
    page = {"url": "https://shop.example/health", "labels": {"environment": "staging"}}

    entries = targets.embedded(settings(targets={"blackbox": [page]}), LAYOUT)

    asked = {
        "environment": "staging",
        "__exporter__": "127.0.0.1:9215",
        "__param_target": "https://shop.example/health",
    }
    assert entries["blackbox"] == [{"targets": ["shop.example:443"], "labels": asked}]


def test_an_unknown_job_is_refused_by_its_place() -> None:
    with pytest.raises(ConfigError, match=r"\$\.targets\.apps: no such job; did you mean app\?; one of .*app"):
        targets.embedded(settings(targets={"apps": [{"address": "a:1"}]}), LAYOUT)


def test_a_job_that_has_nothing_is_an_empty_list(tmp_path: Path) -> None:
    targets.write(targets.embedded(settings(targets={"app": [{"address": "a:1"}]}), LAYOUT), tmp_path)

    assert yaml.safe_load((tmp_path / "mysql.yml").read_text()) == []
    assert yaml.safe_load((tmp_path / "app.yml").read_text()) == [{"targets": ["a:1"], "labels": {}}]
    assert {path.stem for path in tmp_path.iterdir()} == set(targets.JOBS)
