"""The effective configuration: defaults, the file over them, and errors that say where."""

from pathlib import Path

import pytest
from topmast import config
from topmast.errors import ConfigError
from topmast.layout import Layout


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path, tmp_path / "state", 100)


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "topmast.yml"
    path.write_text(text)
    return path


def test_without_a_file_everything_has_a_default(layout: Layout) -> None:
    settings = config.load(None, layout)

    assert settings.values["slo"]["availability"] == 0.999
    assert settings.values["exporter"]["listen"] == "127.0.0.1:9570"
    assert set(settings.origins.values()) == {"default"}


def test_the_embedded_store_is_the_sink_when_none_is_named(layout: Layout) -> None:
    (sink,) = config.load(None, layout).values["shipper"]["sinks"]

    assert sink["sqlite"]["path"] == str(layout.log_store)


def test_the_file_wins_over_the_demo_and_origins_say_so(layout: Layout, tmp_path: Path) -> None:
    path = written(tmp_path, "budgets: {day_usd: 7}\n")

    settings = config.load(path, layout, {"budgets": {"day_usd": 50, "month_usd": 900}})

    assert (settings.values["budgets"]["day_usd"], settings.values["budgets"]["month_usd"]) == (7, 900)
    assert settings.origins["$.budgets.day_usd"] == str(path)
    assert settings.origins["$.budgets.month_usd"] == "demo"
    assert settings.origins["$.budgets.timezone"] == "default"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        pytest.param("slo: {availability: 99.9}", r"\$\.slo\.availability: 99.9 ", id="a number out of range"),
        pytest.param("slo: {avalability: 0.9}", r"\$\.slo: .*'avalability' was unexpected", id="a typo"),
        pytest.param("targets: {app: [{address: shop}]}", r"\$\.targets\.app\[0\]\.address: 'shop'", id="no port"),
        pytest.param("alerts: {X: {for: soon}}", r"\$\.alerts\.X\.for: 'soon'", id="not a duration"),
        pytest.param("[1, 2]", r"\$: \[1, 2\] is not of type 'object'", id="a list"),
        pytest.param("a: [1", r"topmast\.yml:\d+:\d+: not YAML", id="broken YAML"),
        pytest.param("a: &a [*a]", r"\$", id="an alias to itself"),
    ],
)
def test_a_mistake_is_told_with_file_and_place(tmp_path: Path, text: str, told: str) -> None:
    path = written(tmp_path, text)

    with pytest.raises(ConfigError, match=told) as raised:
        config.read(path)

    assert str(raised.value).startswith(str(path))
    assert len(str(raised.value)) < 600


def test_bytes_that_are_no_text_are_told(tmp_path: Path) -> None:
    path = tmp_path / "topmast.yml"
    path.write_bytes(b"\xff\xfe\x00")

    with pytest.raises(ConfigError, match="cannot be read"):
        config.read(path)


def test_an_empty_file_is_fine(tmp_path: Path) -> None:
    assert config.read(written(tmp_path, "")) == {}


@pytest.mark.parametrize(
    ("notify", "path"),
    [
        pytest.param({"fax": {}}, "$.notify: ", id="another channel"),
        pytest.param({"slack": {"api_url": "SECRET"}}, "$.notify.slack: ", id="a secret in place of its file"),
        pytest.param({"slack": "SECRET"}, "$.notify.slack: type must be object", id="a text for a mapping"),
        pytest.param({"webhook": {"url": "SECRET"}}, "$.notify.webhook.url: pattern must be", id="no address"),
        pytest.param({"email": {"smarthost": "a:25", "from": "a"}}, "$.notify.email: 'to' is", id="nobody to tell"),
    ],
)
def test_what_no_channel_has_is_refused_with_its_path_and_without_its_value(notify: object, path: str) -> None:
    with pytest.raises(ConfigError) as refused:
        config.check({"notify": notify}, "topmast.yml")

    assert str(refused.value).startswith(f"topmast.yml: {path}")
    assert "SECRET" not in str(refused.value)


def test_paths_of_the_shipper_begin_at_the_file(layout: Layout, tmp_path: Path) -> None:
    path = written(
        tmp_path, "shipper: {inputs: [{file: {name: a, paths: ['a/*.log']}}], sinks: [{sqlite: {path: logs}}]}"
    )
    values = config.load(path, layout).values

    shipper = config.with_absolute_paths(values, tmp_path)["shipper"]

    assert shipper["inputs"][-1]["file"]["paths"] == [str(tmp_path / "a/*.log")]
    assert shipper["sinks"] == [{"sqlite": {"path": str(tmp_path / "logs")}}]
    assert shipper["data"] == values["shipper"]["data"]
