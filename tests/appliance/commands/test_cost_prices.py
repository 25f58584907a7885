"""`topmast cost prices`: periods and discounts are set, shown and checked, and a reprice goes by them."""

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from topmast_exporter.ledger import Ledger
from topmast_exporter.pricing import refresh
from topmast_exporter.pricing.price import Pricer
from topmast_exporter.pricing.tokens import Tokens
from topmast_exporter.registry import Registry
from topmast_exporter.usage_event import UsageEvent


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "topmast.yml"
    path.write_text(f"# ours\nexporter: {{data: {tmp_path / 'ledger'}}}\n")
    return path


@pytest.fixture
def prices(topmast: Any, config: Path) -> Callable[..., Any]:
    return lambda *arguments: topmast("--config", str(config), "cost", "prices", *arguments)


def written(config: Path) -> Any:
    values = yaml.load(config.read_text(), Loader=yaml.BaseLoader)  # noqa: S506 - everything is text
    return values["exporter"].get("prices", {}).get("overrides")


def test_a_price_ends_and_the_next_one_begins(prices: Callable[..., Any], config: Path) -> None:
    prices("override", "acme/big", "--input", "3", "--output", "12.5")
    prices("override", "acme/big", "--input", "3", "--until", "2026-11-01")  # in place of the one without a beginning
    prices("override", "Acme/Big", "--input", "2", "--since", "2026-11-01", "--until", "2027-01-01")
    done = prices("override", "acme/big", "--discount", "12.5", "--since", "2027-01-01T06:00", "--json")

    assert written(config) == {
        "acme/big": [
            {"input_usd_per_million": "3", "until": "2026-11-01"},
            {"input_usd_per_million": "2", "since": "2026-11-01", "until": "2027-01-01"},
            {"discount_percent": "12.5", "since": "2027-01-01T06:00"},
        ]
    }
    assert config.read_text().startswith("# ours\n")
    assert json.loads(done.out)["override"][2] == {"discount_percent": 12.5, "since": "2027-01-01T06:00"}


def test_a_period_is_taken_back_by_its_beginning(prices: Callable[..., Any], config: Path) -> None:
    prices("override", "acme/big", "--input", "3", "--until", "2026-11-01")
    prices("override", "acme/big", "--input", "2", "--since", "2026-11-01")

    prices("override", "acme/big", "--remove", "--since", "2026-11-01T00:00Z")
    assert written(config) == {"acme/big": {"input_usd_per_million": "3", "until": "2026-11-01"}}

    none = prices("override", "acme/big", "--remove", "--since", "2026-12-01")
    assert (none.code, "no period that begins then" in none.err) == (2, True)

    prices("override", "acme/big", "--remove")
    assert not written(config)


def test_periods_of_ones_own_hand_keep_their_comments(prices: Callable[..., Any], config: Path) -> None:
    config.write_text(
        config.read_text().replace("}\n", "\n  prices:\n").replace("{", "\n  ")
        + "    overrides:\n      acme/big:\n        # the contract of May\n"
        "        - input_usd_per_million: 3\n          until: 2026-11-01  # and not longer\n"
    )

    prices("override", "acme/big", "--discount", "5", "--since", "2026-11-01")

    assert "# the contract of May" in config.read_text()
    assert "until: 2026-11-01  # and not longer" in config.read_text()
    assert [one.get("discount_percent") for one in written(config)["acme/big"]] == [None, "5"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--discount", "120"], "0<x<=100"),
        (["--discount", "0"], "0<x<=100"),
        (["--discount", "5", "--input", "1"], "say the prices"),
        (["--since", "2026-11-01"], "say the prices"),
        (["--input", "1", "--since", "soon"], "say 2026-11-01 or 2026-11-01T12:00"),
        (["--input", "1", "--since", "2026-11-02", "--until", "2026-11-02"], "--until is not after --since"),
        (["--free", "--until", "2026-11-02"], "say --input 0"),
    ],
)
def test_a_slip_is_told_and_nothing_is_written(
    prices: Callable[..., Any], config: Path, arguments: list[str], said: str
) -> None:
    before = config.read_text()

    answer = prices("override", "acme/big", *arguments)

    assert answer.code == 2
    assert said in " ".join(answer.err.split())
    assert config.read_text() == before


def test_a_period_that_overlaps_is_refused_and_not_written(prices: Callable[..., Any], config: Path) -> None:
    prices("override", "acme/big", "--input", "3")
    before = config.read_text()

    answer = prices("override", "acme/big", "--input", "2", "--since", "2026-11-01")

    assert answer.code == 78
    assert "overrides.acme/big[1]: overlaps [0]: it begins on 2026-11-01, the other has no `until`" in answer.err
    assert config.read_text() == before
    prices("override", "acme/big", "--free")
    assert prices("override", "acme/big", "--input", "2", "--since", "2026-11-01").code == 2


def test_check_names_each_thing_that_is_wrong(prices: Callable[..., Any], config: Path) -> None:
    wrong = {
        "acme/big": [{"input_usd_per_million": 1, "until": "2026-11-02"}, {"discount_percent": 5}],
        "acme/own": {"input_usd_per_million": 1, "since": "2026-11-02", "until": "2026-11-01"},
    }
    config.write_text(yaml.safe_dump({"exporter": {"prices": {"overrides": wrong}}}))

    answer = prices("check")

    assert answer.code == 78
    assert "acme/big[1]: overlaps [0]: it has no `since`, the other ends on 2026-11-02: one price" in answer.err
    assert "acme/own: its `until` (2026-11-01) is not after its `since` (2026-11-02)" in answer.err


def test_check_tells_a_discount_off_nothing(prices: Callable[..., Any]) -> None:
    before = prices("check").code
    prices("override", "acme/nobody", "--discount", "5")

    answer = prices("check", "--json")

    assert (before, answer.code) == (0, 1)
    assert json.loads(answer.out)["overrides"] == {"models": 1, "without_list_price": ["acme/nobody"]}
    assert "acme/nobody: a discount off no list price (unknown provider)" in prices("check").out
    assert "None is in force." not in prices("show", "acme/nobody").out


def test_show_says_which_period_is_in_force(prices: Callable[..., Any]) -> None:
    listed = json.loads(prices("show", "openai/gpt-4.1", "--json").out)
    prices("override", "openai/gpt-4.1", "--discount", "20", "--since", "2026-11-01", "--until", "2027-05-01")
    prices("override", "openai/gpt-4.1", "--input", "1", "--since", "2027-06-01T12:00")

    discount = json.loads(prices("show", "gpt-4.1", "--at", "2026-11-01", "--json").out)
    between = json.loads(prices("show", "openai/gpt-4.1", "--at", "2027-05-01", "--json").out)
    told = prices("show", "openai/gpt-4.1", "--at", "2027-06-02").out

    assert [one["usd_per_million"] for one in discount["lines"]] == [
        pytest.approx(one["usd_per_million"] * 0.8) for one in listed["lines"]
    ]
    assert (discount["discount_percent"], between["discount_percent"]) == (20, None)
    assert between["lines"] == listed["lines"]
    assert [one["in_force"] for one in between["periods"]] == [False, False]
    assert discount["periods"][0] == {
        "since": "2026-11-01T00:00:00+00:00",
        "until": "2027-05-01T00:00:00+00:00",
        "override": {"discount_percent": 20},
        "in_force": True,
    }
    assert "  from 2026-11-01 until 2027-05-01: 20% off the list price\n" in told
    assert "  from 2027-06-01T12:00:00: $1 input, in force\n" in told
    assert "the list price counts" in prices("show", "openai/gpt-4.1", "--at", "2026-10-31").out


def test_reprice_goes_by_the_period_of_each_call(
    topmast: Any, prices: Callable[..., Any], config: Path, tmp_path: Path
) -> None:
    (tmp_path / "ledger").mkdir()
    now = time.time()
    ledger = Ledger(tmp_path / "ledger", Pricer(refresh.load(tmp_path / "ledger")), Registry())
    ledger.start()
    used = {"provider": "openai", "model": "gpt-4.1", "tokens": Tokens(input=1_000_000)}
    ledger.submit([UsageEvent(id=str(hours), at=now - hours * 3600, **used) for hours in (30, 20, 10, 2)]).result(30)
    ledger.stop()
    since, until = (
        datetime.fromtimestamp(now - hours * 3600, UTC).isoformat(timespec="seconds")[:-6] for hours in (25, 5)
    )
    prices("override", "openai/gpt-4.1", "--discount", "25", "--since", since, "--until", until)

    done = json.loads(topmast("--config", str(config), "cost", "reprice", "--since", "3d", "--json").out)

    assert done["models"] == [
        {"model": "openai/gpt-4.1", "calls": 2, "newly_priced": 0, "before_usd": 4.0, "after_usd": 3.0}
    ]
    assert json.loads(topmast("--config", str(config), "cost", "--json").out)["total_usd"] == 7.0
