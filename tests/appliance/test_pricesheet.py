"""pricesheet.py: what a model costs, in USD for a million tokens."""

from pathlib import Path

import pytest
from topmast import pricesheet
from topmast.pricesheet import Line
from topmast_exporter.pricing import refresh
from topmast_exporter.pricing.table import PriceTable

AT = 1_795_000_000.0


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> PriceTable:
    return refresh.load(tmp_path_factory.mktemp("prices"))


def test_a_known_model_has_the_tables_prices(table: PriceTable) -> None:
    found = pricesheet.find(table, {}, "openai", "gpt-4o-mini", AT)

    assert (found.known, found.origin) == (True, table.source)
    assert Line("output", 0.6) in found.lines


def test_a_long_context_is_a_line_of_its_own(table: PriceTable) -> None:
    found = pricesheet.find(table, {}, "anthropic", "claude-sonnet-4-5", AT)

    assert {line.above_tokens for line in found.lines if line.unit == "input"} == {0, 200_000}


def test_an_override_wins(table: PriceTable) -> None:
    overrides = {"OpenAI/gpt-4o-mini": {"input_usd_per_million": 0.1}, "vllm/llama": "free"}

    mine = pricesheet.find(table, overrides, "openai", "GPT-4o-mini", AT)
    free = pricesheet.find(table, overrides, "vllm", "llama", AT)

    assert (mine.origin, mine.lines) == ("override", (Line("input", 0.1),))
    assert (free.known, free.lines) == (True, ())


def test_what_nobody_knows_says_why(table: PriceTable) -> None:
    found = pricesheet.find(table, {}, "openai", "no-such-model", AT)

    assert (found.known, found.origin) == (False, "unknown_model")


def test_fractions_of_a_pico_dollar_are_exact() -> None:
    assert pricesheet._usd([1, 3]) == pytest.approx(1 / 3 / 10**6)


def test_the_exporters_file_is_not_touched(tmp_path: Path) -> None:
    refresh.load(tmp_path)
    before = (tmp_path / refresh.FILE).stat().st_mtime_ns

    refresh.load(tmp_path)

    assert (tmp_path / refresh.FILE).stat().st_mtime_ns == before
