"""`--size lite`: remembered, half as often, a week; what topmast.yml says still wins."""

from pathlib import Path

import pytest
import yaml
from topmast import config, rendering
from topmast.engine import Setup
from topmast.layout import Layout
from topmast.size import size, slower

HOME = Path(__file__).resolve().parents[2]


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(HOME, tmp_path / "state")


def test_the_size_is_remembered(layout: Layout) -> None:
    assert size(layout) == "full"
    assert size(layout, "lite") == "lite"
    assert size(layout) == "lite"
    assert size(layout, "full") == "full"


def test_a_broken_memory_is_the_default(layout: Layout) -> None:
    size(layout, "lite")
    (layout.state / "size").write_text("huge\n")

    assert size(layout) == "full"


@pytest.mark.parametrize(("chosen", "interval", "days"), [("full", "15s", 30), ("lite", "30s", 7)])
def test_what_prometheus_reads(layout: Layout, chosen: str, interval: str, days: int) -> None:
    size(layout, chosen)
    settings = config.load(None, layout).values

    rendering.render_scraping(Setup(layout, settings, demo=False, real_clocks=False, say=print))

    read = yaml.safe_load((layout.rendered / "prometheus/prometheus.yml").read_text())
    assert (read["global"]["scrape_interval"], read["global"]["evaluation_interval"]) == (interval, interval)
    assert settings["retention"]["metrics_days"] == days


def test_topmast_yml_wins(layout: Layout, tmp_path: Path) -> None:
    size(layout, "lite")
    path = tmp_path / "topmast.yml"
    path.write_text("retention: {metrics_days: 90}\n")

    assert config.load(path, layout).values["retention"]["metrics_days"] == 90


def test_the_demo_s_clocks_stay_fast() -> None:
    assert slower("  scrape_interval: 1500ms\n") == "  scrape_interval: 1500ms\n"
