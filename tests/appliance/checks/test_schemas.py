"""The check `schemas` is silent about our house and sees each seeded defect, with its line."""

import shutil
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from topmast import check
from topmast.checks import schemas
from topmast.checks.schemas import CHECK

M = "monitoring/"


def test_is_silent_about_our_house(house: Any) -> None:
    assert house.said(CHECK) == []


@pytest.mark.parametrize("name", sorted(schemas.schemas()))
def test_is_a_schema(name: str) -> None:
    schema = schemas.schemas()[name]

    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["x-engine"]
    assert schema.get("x-files") or schema.get("x-folders")


@pytest.mark.parametrize("name", sorted(schemas.schemas()))
def test_each_schema_is_for_a_file_that_there_is(name: str, house: Any) -> None:
    tree = check.read([], house.home)

    used = [
        schemas._schema(path, check.load_yaml(text))
        for path, text in tree.documents.items()
        if path.suffix in check.YAML
    ]

    assert schemas.schemas()[name] in used


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        pytest.param(
            "prometheus/prometheus.yml",
            "sample_limit: 50000",
            "sample_limits: 50000",
            "scrape_configs[4].sample_limits: unknown key: Prometheus 2.42 refuses it; did you mean sample_limit?",
            id="an unknown key",
        ),
        pytest.param(
            "prometheus/prometheus.yml",
            "sample_limit: 50000",
            "scrape_protocols: [PrometheusText0.0.4]",
            "scrape_protocols: unknown key: Prometheus 2.42 refuses it",
            id="a key of Prometheus 3",
        ),
        pytest.param(
            "prometheus/prometheus.yml",
            "sample_limit: 50000",
            "basic_auth: {username: a, password: hunter2}",
            "basic_auth.password: a secret in the file: use password_file",
            id="a password",
        ),
        pytest.param(
            "prometheus/prometheus.yml",
            "scrape_interval: 15s",
            "scrape_interval: 15",
            "global.scrape_interval: it is a number: write a duration with its unit",
            id="a duration without a unit",
        ),
        pytest.param(
            "prometheus/prometheus.yml",
            "api_version: v2",
            "api_version: v1",
            "write v2: 3.x has no other",
            id="an API that is gone",
        ),
        pytest.param(
            "prometheus/prometheus.yml",
            "[targets/node.yml]",
            "targets/node.yml",
            "files: it is text: write a list",
            id="text for a list",
        ),
        pytest.param("prometheus/targets/traefik.yml", "[]", "", "write `[]` where there is no target", id="empty"),
        pytest.param(
            "prometheus/targets/mysql.yml",
            "\n[]",
            '\n- targets: ["kibana:5601"]\n  labels: {__exporter__: "exporter:9470", __param_target: 7}',
            "put its value in quotes",
            id="a number for a text",
        ),
        pytest.param(
            "prometheus/targets/mysql.yml",
            "\n[]",
            '\n- targets: ["kibana:5601"]\n  label: {a: b}',
            "[0].label: unknown key: Prometheus refuses it; did you mean labels?",
            id="a key that is none",
        ),
        pytest.param(
            "alertmanager/alertmanager.yml",
            "- url: 'http://page:3002/inbox/webhook/heartbeat'",
            "- url_file: /etc/hook",
            "url_file: unknown key: Alertmanager 0.25 refuses it",
            id="a key of Alertmanager 0.26",
        ),
        pytest.param(
            "alertmanager/alertmanager.yml",
            "start_time: '22:00'",
            "start_time: 22:00",
            "start_time: it is a number: write a time of day in quotes",
            id="a time that YAML reads as a number",
        ),
        pytest.param(
            "alertmanager/alertmanager.yml",
            "  receiver: slack-warning\n  # No",
            "  matchers: ['a=\"b\"']\n  receiver: slack-warning\n  # No",
            "the root route takes everything",
            id="a root with matchers",
        ),
        pytest.param(
            "grafana/provisioning/datasources/datasources.yml",
            "basicAuthPassword: $__file{/run/topmast/elasticsearch-password}",
            "basicAuthPassword: hunter2",
            "basicAuthPassword: a secret in the file",
            id="a password in a datasource",
        ),
        pytest.param(
            "grafana/provisioning/datasources/datasources.yml",
            "    uid: logs\n",
            "",
            "datasources[2]: uid is missing",
            id="no uid",
        ),
        pytest.param(
            "grafana/provisioning/dashboards/dashboards.yml",
            "path: /etc/grafana/dashboards",
            "path: dashboards",
            "write an absolute path",
            id="a relative folder",
        ),
        pytest.param(
            "elasticsearch/elasticsearch.yml",
            "xpack.security.enabled: true",
            "xpack:\n  security:\n    enabled: false",
            "xpack.security.enabled: False: write true",
            id="no security, nested",
        ),
        pytest.param(
            "elasticsearch/elasticsearch.yml",
            "xpack.security.enrollment.enabled",
            "xpack.security.enrolment.enabled",
            "did you mean xpack.security.enrollment.enabled?",
            id="a setting spelled wrong",
        ),
        pytest.param(
            "kibana/kibana.yml",
            "newsfeed.enabled: false",
            "elasticsearch.password: hunter2",
            "elasticsearch.password: a secret in the file",
            id="Kibana's password",
        ),
        pytest.param(
            "kibana/kibana.yml",
            "http://localhost:5601",
            "http://localhost:5601/",
            "without a slash at its end",
            id="a slash too many",
        ),
        pytest.param(
            "logstash/logstash.yml",
            "queue.max_bytes: 256mb",
            "queue.max_byte: 256mb",
            "queue.max_byte: unknown key: Logstash refuses it; did you mean queue.max_bytes?",
            id="a queue spelled wrong",
        ),
        pytest.param(
            "logstash/pipelines.yml",
            "- pipeline.id: nginx",
            "- pipeline.ids: nginx",
            "pipeline.id is missing",
            id="a pipeline without an id",
        ),
        pytest.param(
            "topmast.yml",
            "  listen: ",
            "  listens: ",
            "topmast.yml: $.exporter: ",
            id="our own configuration",
        ),
    ],
)
def test_sees(house: Any, file: str, old: str, new: str, message: str) -> None:
    house.change(M + file, old, new)

    said = house.said(CHECK)

    assert [each for each in said if message in each], said
    assert not [each for each in said if "hunter2" in each]


def test_says_the_line(house: Any) -> None:
    file = house.home / "monitoring/prometheus/prometheus.yml"
    house.change("monitoring/prometheus/prometheus.yml", "scrape_timeout: 10s", "scrape_timeouts: 10s")
    line = next(n for n, text in enumerate(file.read_text().splitlines(), 1) if "scrape_timeouts" in text)

    assert [(spot.path, spot.line) for spot in CHECK.run(check.read([], house.home))] == [(file, line)]


@pytest.mark.parametrize("name", ["prom.yml", "am.yml", "grafana.yml"])
def test_a_file_of_another_name_is_known_by_its_keys(tmp_path: Path, name: str) -> None:
    root = Path(__file__).resolve().parents[3] / "monitoring"
    source = {
        "prom.yml": root / "prometheus/prometheus.yml",
        "am.yml": root / "alertmanager/alertmanager.yml",
        "grafana.yml": root / "grafana/provisioning/datasources/datasources.yml",
    }[name]
    shutil.copy(source, tmp_path / name)
    (tmp_path / name).write_text((tmp_path / name).read_text() + "\nnosuch: 1\n")

    found = list(CHECK.run(check.read([tmp_path], tmp_path)))

    assert [(spot.path.name, spot.message[:20]) for spot in found] == [(name, "nosuch: unknown key:")]
