"""Targets as values: what may be one, and what it becomes in Prometheus' files."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from topmast import promtool as tools
from topmast import rules, scraped, targets
from topmast.errors import ConfigError
from topmast.suites import required

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("job", "address", "more", "one"),
    [
        pytest.param("app", "127.0.0.1:8000", {}, {"address": "127.0.0.1:8000"}, id="HOST:PORT"),
        pytest.param("app", "http://shop:8000/metrics", {}, {"address": "shop:8000"}, id="the usual path"),
        pytest.param(
            "app",
            "https://shop.example.com/internal/metrics",
            {"environment": "staging"},
            {
                "address": "shop.example.com:443",
                "labels": {"__scheme__": "https", "__metrics_path__": "/internal/metrics", "environment": "staging"},
            },
            id="a whole URL",
        ),
        pytest.param(
            "node",
            "[::1]:9100",
            {"labels": ["team=a=b"]},
            {"address": "[::1]:9100", "labels": {"team": "a=b"}},
            id="IPv6",
        ),
    ],
)  # fmt: skip - a case a line reads best
def test_described(job: str, address: str, more: dict[str, Any], one: dict[str, Any]) -> None:
    assert scraped.described(job, address, **more) == one


@pytest.mark.parametrize(
    ("job", "address", "more", "message"),
    [
        pytest.param("postgre", "a:1", {}, "no such job; did you mean postgres?", id="a job that is none"),
        pytest.param("app", "localhost", {}, "write HOST:PORT", id="no port"),
        pytest.param("app", "localhost:http", {}, "write HOST:PORT", id="a port with a name"),
        pytest.param("app", "localhost:99999", {}, "no port that can be", id="a port too high"),
        pytest.param("app", "localhost:80/stats", {}, "or the whole http://", id="a path without a scheme"),
        pytest.param("app", "ftp://a:1", {}, "with http:// or https://", id="another scheme"),
        pytest.param("app", "", {}, "write HOST:PORT", id="nothing"),
        pytest.param("app", "http://u:s3cret@a:1", {}, "--username and --password-file", id="a password in it"),
        pytest.param("app", "http://a:1/m?x=1", {}, "__param_NAME", id="a query"),
        pytest.param("app", "a:1", {"labels": ["team"]}, "write NAME=VALUE", id="a label without a value"),
        pytest.param("app", "a:1", {"labels": ["a-b=c"]}, "write NAME=VALUE", id="a label's name"),
        pytest.param("app", "a:1", {"environment": "Staging 1"}, "like staging", id="an environment"),
        pytest.param("app", "a:1", {"username": "u"}, "go together", id="a user alone"),
        pytest.param("app", "a:1", {"username": "u", "password_file": "/none"}, "/none: no such file", id="no file"),
        pytest.param("app", "a:1", {"ca_file": "/none"}, "names a certificate", id="no certificate"),
    ],
)
def test_refused(job: str, address: str, more: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=r"\w") as told:
        scraped.described(job, address, **more)

    assert message in str(told.value)
    assert "s3cret" not in str(told.value)


def test_two_passwords_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a").touch()

    with pytest.raises(ConfigError, match="not both"):
        scraped.described("app", "a:1", username="u", password_file="a", bearer_token_file="b")


SECURED = {
    "postgres": [
        {
            "address": "db.example.com:9187",
            "labels": {"__scheme__": "https", "environment": "staging"},
            "basic_auth": {"username": "metrics", "password_file": "/secrets/db"},
        },
        {"address": "db.example.com:9187", "labels": {"__metrics_path__": "/m"}, "bearer_token_file": "/secrets/t"},
    ],
    "redis": [{"address": "cache-exporter:9121"}],
}


def test_a_target_with_a_password_is_a_scrape_configuration_of_the_same_job() -> None:
    basic, token = targets.secured(SECURED)

    assert basic == {
        "job_name": "postgres@db.example.com:9187",
        "sample_limit": 50_000,
        "basic_auth": {"username": "metrics", "password_file": "/secrets/db"},
        "static_configs": [
            {"targets": ["db.example.com:9187"], "labels": {"__scheme__": "https", "environment": "staging"}}
        ],
        "relabel_configs": [{"target_label": "job", "replacement": "postgres"}],
    }
    assert token["job_name"] == "postgres@db.example.com:9187#2"
    assert token["authorization"] == {"credentials_file": "/secrets/t"}


def test_an_exporter_of_the_field_is_scraped_itself() -> None:
    entries: dict[str, list[dict[str, Any]]] = {"postgres": [], "redis": []}

    targets.add(entries, SECURED, "127.0.0.1:9115")

    labels = {"__metrics_path__": "/metrics"}
    assert entries == {"postgres": [], "redis": [{"targets": ["cache-exporter:9121"], "labels": labels}]}


@pytest.fixture(scope="module")
def promtool() -> Path:
    found = tools.find_promtool()
    if found is None:
        reason = "no promtool: run `./topmast test --suite rules` or set TOPMAST_PROMTOOL"
        if "rules" in required():
            pytest.fail(reason)
        pytest.skip(reason)
    return found


@pytest.mark.rules
def test_prometheus_takes_what_is_rendered(promtool: Path, tmp_path: Path) -> None:
    named = yaml.safe_load(yaml.safe_dump(SECURED).replace("/secrets", str(tmp_path)))
    for name in ("db", "t"):
        (tmp_path / name).write_text("s3cret")
    source = ROOT / "monitoring" / "prometheus"
    rules.render(source, tmp_path, alerts={}, slo={"availability": 0.999, "latency_p95_seconds": 0.2})

    file = rules.render_prometheus(source, tmp_path, speed=1, environment="production", jobs=targets.secured(named))
    targets.write({job: [] for job in targets.JOBS}, tmp_path / "targets")

    answer = tools.run(promtool, ["check", "config", str(file)])
    assert answer.code == 0, answer.output
    assert len(yaml.safe_load(file.read_text())["scrape_configs"]) == len(targets.JOBS) + 2
    assert "s3cret" not in file.read_text()


@pytest.mark.rules
def test_remote_write_is_one_commented_block_away(promtool: Path, tmp_path: Path) -> None:
    text = (ROOT / "monitoring/prometheus/prometheus.yml").read_text()
    before, head, block = text.partition("# remote_write:\n")
    assert "Mimir" in before.splitlines()[-1]
    on = before + "".join(line.removeprefix("# ") + "\n" for line in (head + block).splitlines())
    token = tmp_path / "token"
    token.touch()
    file = tmp_path / "prometheus.yml"
    file.write_text(on.replace("/etc/prometheus/secrets/remote_write_token", str(token)))

    answer = tools.run(promtool, ["check", "config", str(file)])

    assert answer.code == 0, answer.output
    assert yaml.safe_load(file.read_text())["remote_write"][0]["url"].startswith("https://")
