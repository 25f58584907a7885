"""The configuration: closed, with one sentence for what is wrong, and no secret in it."""

from pathlib import Path

import pytest
from topmast_exporter import config
from topmast_exporter.budgets import Budget
from topmast_exporter.config import Address, ExporterConfig, load, parse
from topmast_exporter.errors import ConfigError

WHOLE = """
environment: staging
public_url: "http://localhost:3001"
budgets: {day_usd: 5, timezone: Europe/Berlin, features: {search: {month_usd: 20}}}
exporter:
  listen: "127.0.0.1:9570"
  data: /var/lib/topmast/exporter
  dependencies: [app, redis]
  ingest: {listen: "127.0.0.1:4418", token_file: ""}
  prices: {overrides: {"vllm/llama": free, "acme/big": {input_usd_per_million: 2.5}}, models: ["OpenAI/gpt-4o"]}
  collectors:
    - redis: {target: cache, url: "redis://127.0.0.1:16379/0", namespaces: {llm_response: "llm:*"}}
    - postgres: {target: main, dsn: "host=127.0.0.1 dbname=shop"}
shipper: {}
"""


def write(tmp_path, text):
    path = tmp_path / "topmast.yml"
    path.write_text(text)
    return path


def test_a_whole_file_is_read(tmp_path):
    found = load(write(tmp_path, WHOLE))

    assert found.listen == Address("127.0.0.1", 9570)
    assert found.data == Path("/var/lib/topmast/exporter")
    assert (found.environment, found.dependencies) == ("staging", ("app", "redis"))
    assert found.models == (("openai", "gpt-4o"), ("vllm", "llama"), ("acme", "big"))
    assert [(kept.name, one.target) for kept, one in found.collectors] == [("redis", "cache"), ("postgres", "main")]
    assert found.budgets.total == Budget(day_usd=5)
    assert found.budgets.features == {"search": Budget(month_usd=20)}


@pytest.mark.parametrize("text", ["", "exporter:\n", "shipper: {}\n"])
def test_everything_has_a_default(tmp_path, text):
    assert load(write(tmp_path, text)) == ExporterConfig()


def test_it_listens_on_loopback_unless_it_is_told_otherwise():
    kept = parse({})

    assert (kept.listen.host, kept.ingest.host) == ("127.0.0.1", "127.0.0.1")


@pytest.mark.parametrize(
    ("section", "wrong"),
    [
        pytest.param({"listne": "x"}, "$.exporter: no such option: 'listne'", id="a typing error"),
        pytest.param({"dependencies": ["postgres"]}, "$.exporter.dependencies[0]: must be one of app", id="not one"),
        pytest.param({"listen": "9470"}, "$.exporter.listen: must look like", id="no host"),
        pytest.param({"listen": "localhost:99999"}, "$.exporter.listen: a port is 1 to 65535", id="no port"),
        pytest.param(
            {"collectors": [{"redis": {}}]}, "$.exporter.collectors[0].redis: 'target' is missing", id="no name"
        ),
        pytest.param(
            {"collectors": [{"redis": {"target": "a", "url": 1}}]},
            "$.exporter.collectors[0].redis.url: must be a string",
            id="a number",
        ),
        pytest.param(
            {"collectors": [{"oracle": {}}]}, "$.exporter.collectors[0]: no such option: 'oracle'", id="kind"
        ),
        pytest.param(
            {"collectors": [{"postgres": {"target": "a", "dsn": "x"}}, {"postgres": {"target": "a", "dsn": "y"}}]},
            "$.exporter.collectors[1].postgres.target: another postgres has this name: 'a'",
            id="a name twice",
        ),
        pytest.param(
            {"collectors": [{"postgres": {"target": "a", "dsn": "x", "timeout_seconds": 20}}]},
            "$.exporter.collectors[0].postgres.timeout_seconds: longer than the interval",
            id="a timeout longer than its interval",
        ),
        pytest.param(
            {"prices": {"overrides": {"a/b": {"input": 3}}}},
            "$.exporter.prices.overrides.a/b: no such option: 'input'",
            id="a price without its unit",
        ),
        pytest.param(
            {"prices": {"overrides": {"a/b": 3}}},
            "$.exporter.prices.overrides.a/b: must be a string or object or array",
            id="a bare number",
        ),
        pytest.param(
            {"prices": {"overrides": {"a/b": [{"discount_percent": 101}]}}},
            "$.exporter.prices.overrides.a/b[0].discount_percent: maximum is 100",
            id="more than all of it",
        ),
        pytest.param(
            {"prices": {"overrides": {"a/b": {"discount_percent": 5, "until": "soon"}}}},
            "$.exporter.prices.overrides.a/b.until: is no date",
            id="no date",
        ),
    ],
)
def test_what_is_wrong_is_said_with_its_place(section, wrong):
    with pytest.raises(ConfigError) as refused:
        parse(section)

    assert str(refused.value).startswith(wrong)


def test_a_date_needs_no_quotes(tmp_path):
    period = "{input_usd_per_million: 1, since: 2026-11-01, until: 2026-12-01T12:00:00Z}"

    found = load(write(tmp_path, f"exporter: {{prices: {{overrides: {{acme/big: {period}}}}}}}"))

    assert found.price_overrides["acme/big"]["since"] == "2026-11-01"
    assert found.price_overrides["acme/big"]["until"] == "2026-12-01T12:00:00Z"


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        pytest.param("exporter: {", "line 1: not YAML", id="not YAML"),
        pytest.param("- a\n", "$: must be an object", id="a list"),
        pytest.param("budgets: {timezone: Mars/Base}", "$.budgets.timezone: no such time zone", id="another planet"),
        pytest.param("budgets: {day_usd: -1}", "$.budgets.day_usd: minimum is 0", id="a debt"),
        pytest.param("exporter: {colectors: []}", "$.exporter: no such option", id="a typing error"),
    ],
)
def test_the_file_is_named(tmp_path, text, wrong):
    path = write(tmp_path, text)

    with pytest.raises(ConfigError) as refused:
        load(path)

    assert str(refused.value).startswith(f"{path}: {wrong}")


def test_a_missing_file_is_one_sentence(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path / "none.yml")


def test_no_secret_is_in_an_error_or_in_a_repr():
    with pytest.raises(ConfigError) as refused:
        parse({"collectors": [{"redis": {"target": "a", "url": "http://user:secret@host"}}]})
    kept = parse({"collectors": [{"redis": {"target": "a", "url": "redis://user:secret@host"}}]})

    assert "secret" not in str(refused.value)
    assert "secret" not in repr(kept)


def test_the_schema_is_closed_and_assembled_from_the_room():
    kinds = config.SCHEMA["properties"]["collectors"]["items"]["properties"]

    assert {"redis", "postgres"} <= set(kinds)
    assert all(kind["additionalProperties"] is False for kind in kinds.values())
