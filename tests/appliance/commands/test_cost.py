"""`topmast cost` reads the ledger that the exporter writes, and changes prices in topmast.yml alone."""

import csv
import io
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
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

PRICES = {"acme/big": {"input_usd_per_million": 10, "output_usd_per_million": 30}}


def event(number: int, **changes: Any) -> UsageEvent:
    now = time.time()
    plain = {"model": "big", "feature": "search", "at": now - 60, "tokens": Tokens(input=100_000)}
    return UsageEvent(id=str(number), **{"provider": "acme", **plain, **changes})


@pytest.fixture
def cost(tmp_path: Path, topmast: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """`topmast cost …` beside a ledger of three priced calls and one that nobody knows a price for."""
    monkeypatch.delenv("TOPMAST_PROMETHEUS_URL", raising=False)
    ledger = Ledger(tmp_path / "ledger", Pricer(None, PRICES), Registry())
    ledger.start()
    events = [
        event(1),
        event(2, feature="advice", tokens=Tokens(input=100_000, output=100_000)),
        event(3, at=time.time() - 3 * 86_400),
        event(4, model="=nobody", feature=""),
    ]
    ledger.submit(events).result(30)
    ledger.stop()
    config = tmp_path / "topmast.yml"
    limits = {"month_usd": 100, "features": {"advice": {"day_usd": 8}}}
    config.write_text(yaml.safe_dump({"exporter": {"data": str(tmp_path / "ledger")}, "budgets": limits}))
    return lambda *arguments: topmast("--config", str(config), "cost", *arguments)


def test_says_what_each_model_cost(cost: Callable[..., Any]) -> None:
    told = json.loads(cost("--json").out)

    assert (told["total_usd"], told["requests"], told["unpriced"]) == (6.0, 4, 1)
    assert [(row["model"], row["usd"], row["usd_per_request"]) for row in told["rows"]] == [
        ("big", 6.0, 2.0),
        ("=nobody", 0.0, None),
    ]
    assert told["saved_usd"] is None  # nothing runs here, and no other Prometheus is asked


@pytest.fixture
def prometheus(monkeypatch: pytest.MonkeyPatch, cost: Callable[..., Any]) -> Iterator[None]:
    """A Prometheus that answers every query with 2, which the environment names."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            result = [{"metric": {}, "value": [0, "2"]}]
            body = json.dumps({"status": "success", "data": {"result": result}}).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        monkeypatch.setenv("TOPMAST_PROMETHEUS_URL", f"http://127.0.0.1:{server.server_port}/")
        yield
        server.shutdown()
        thread.join()


@pytest.mark.usefixtures("prometheus")
def test_what_the_cache_saved_is_said_in_dollars_and_as_a_share(cost: Callable[..., Any]) -> None:
    told = json.loads(cost("--json").out)

    assert (told["saved_usd"], told["saved_share"]) == (2.0, 0.25)  # of the 8 that it would have been
    assert "The cache saved $2.00: 25.0% of what it would have been" in cost().out


def test_several_dimensions_and_a_shorter_time(cost: Callable[..., Any]) -> None:
    told = json.loads(cost("--by", "feature,model", "--since", "1d", "--json").out)

    assert {(row["feature"], row["model"]): row["usd"] for row in told["rows"]} == {
        ("advice", "big"): 4.0,
        ("search", "big"): 1.0,
        ("", "=nobody"): 0.0,
    }


def test_for_people_it_is_a_table_a_course_and_the_budgets(cost: Callable[..., Any]) -> None:
    out = cost().out

    assert out.splitlines()[0].startswith("$6.00 in 4 calls from ")
    assert out.splitlines()[2].split()[:3] == ["model", "spent", "share"]
    assert "█" in out
    assert "The dearest call: $4.00, acme/big for advice; `topmast cost calls`" in out
    assert "1 of 4 calls are unpriced and in no sum" in out
    assert "The day's budget of advice: $4.00 of $8.00 (50.0%)" in out


def test_days_are_in_their_order_the_newest_first(cost: Callable[..., Any]) -> None:
    days = [row["day"] for row in json.loads(cost("--by", "day", "--json").out)["rows"]]

    assert days == sorted(days, reverse=True)
    assert len(days) == 2


def test_without_a_dimension_it_is_one_sum(cost: Callable[..., Any]) -> None:
    assert [row["usd"] for row in json.loads(cost("--by", "", "--json").out)["rows"]] == [6.0]
    assert cost("--by", "").code == 0


def test_what_no_call_says_is_told_how_to_say(cost: Callable[..., Any]) -> None:
    assert 'No call says its key: with labels(key_alias="…") does' in cost("--by", "key").out
    assert "No call says" not in cost("--by", "feature").out


@pytest.mark.usefixtures("prometheus")
def test_what_the_cache_saved_is_of_the_days_that_prometheus_remembers(
    cost: Callable[..., Any], tmp_path: Path
) -> None:
    config = tmp_path / "topmast.yml"
    config.write_text(yaml.safe_dump(yaml.safe_load(config.read_text()) | {"retention": {"metrics_days": 1}}))

    out = cost("--since", "30d").out

    # of the $5 of the last day, not of the $6 of the month
    assert "The cache saved $2.00 in the last 1 d: 28.6% of what it would have been" in out


def test_a_spreadsheet_gets_exact_amounts_and_runs_none_of_them(cost: Callable[..., Any]) -> None:
    rows = list(csv.DictReader(io.StringIO(cost("--csv").out)))

    assert [(row["model"], row["usd"], row["usd_output"]) for row in rows] == [
        ("big", "6", "3"),
        ("'=nobody", "0", "0"),
    ]


def test_the_dearest_calls_come_first(cost: Callable[..., Any]) -> None:
    found = json.loads(cost("calls", "--json", "--top", "2").out)["calls"]

    assert [(one["feature"], one["usd"]) for one in found] == [("advice", 4.0), ("search", 1.0)]
    assert "acme/big for advice" in cost("calls").out


def test_what_has_no_price_is_listed_and_is_a_failure(cost: Callable[..., Any]) -> None:
    answer = cost("prices", "unpriced", "--json")

    assert answer.code == 1
    assert [(one["model"], one["requests"]) for one in json.loads(answer.out)["unpriced"]] == [("=nobody", 1)]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--since", "banana"], "say 24h, 7d, or a day"),
        (["--by", "user"], "one or more of provider, model, feature, day"),
        (
            ["--since", "2026-11-02", "--until", "2026-11-01"],
            "is not before --until (2026-11-01 00:00), which is not included",
        ),
        (["--since", "2999-01-01"], "is not in the past"),
        (["--since", "0001-01-01"], "a year from 1971 to 2999"),
        (["--json", "--csv"], "--json or --csv, not both"),
        (["prices", "show", "openai/"], "a model and its provider"),
        (["prices", "show", ""], "a model and its provider"),
        (["prices", "override", "acme/b ig", "--free"], "no name of a model has a space"),
        (["reprice", "--since", "7d", "--model", "big"], "did you mean acme/big?"),
        (["reprice", "--since", "7d", "--model", "acme/none"], "`topmast cost --by provider,model` lists them"),
        (["prices", "override", "big"], "say the prices"),
        (["prices", "override", "big", "--free"], "the provider belongs to the name"),
        (["prices", "override", "acme/big", "--output", "1"], "--input is missing"),
    ],
)
def test_a_slip_is_told(cost: Callable[..., Any], arguments: list[str], said: str) -> None:
    answer = cost(*arguments)

    assert answer.code == 2
    assert said in " ".join(answer.err.split())


def test_an_age_beyond_all_time_is_all_of_it(cost: Callable[..., Any]) -> None:
    assert json.loads(cost("--since", "999999d", "--json").out)["requests"] == 4


def test_days_that_have_not_come_are_not_drawn(cost: Callable[..., Any]) -> None:
    assert "█" in cost("--until", "2999-01-01").out


def test_a_price_that_is_not_there_is_not_taken_back(cost: Callable[..., Any], tmp_path: Path) -> None:
    before = (tmp_path / "topmast.yml").read_bytes()

    told = json.loads(cost("prices", "override", "acme/none", "--remove", "--json").out)

    assert (told["override"], told["applied"]) == (None, "unchanged")
    assert (tmp_path / "topmast.yml").read_bytes() == before
    assert "nothing was changed" in cost("prices", "override", "acme/none", "--remove").out


@pytest.fixture
def nothing(tmp_path: Path, topmast: Any) -> Callable[..., Any]:
    """`topmast cost …` beside a ledger in which there is no call."""
    ledger = Ledger(tmp_path / "ledger", Pricer(None), Registry())
    ledger.start()
    ledger.stop()
    config = tmp_path / "topmast.yml"
    config.write_text(yaml.safe_dump({"exporter": {"data": str(tmp_path / "ledger")}}))
    return lambda *arguments: topmast("--config", str(config), "cost", *arguments)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "No model call from"),
        (["calls"], "No priced model call from"),
        (["prices", "unpriced"], "No model call in the last 45 days."),
        (["prices", "drift"], "Nothing to compare"),
        (["reprice", "--since", "7d"], "No model call from"),
        (["reprice", "--list"], "No price was corrected."),
    ],
)
def test_of_no_calls_it_says_that_there_are_none(
    nothing: Callable[..., Any], arguments: list[str], said: str
) -> None:
    answer = nothing(*arguments)

    assert (answer.code, answer.err) == (0, "")
    assert answer.out.startswith(said)


def test_of_no_calls_programs_get_every_member_and_column(cost: Callable[..., Any]) -> None:
    empty = ("--since", "2020-01-01", "--until", "2020-01-02")

    assert cost("--csv", *empty).out.splitlines() == cost("--csv").out.splitlines()[:1]
    assert json.loads(cost("--json", *empty).out).keys() == json.loads(cost("--json").out).keys()
    assert json.loads(cost("--json", *empty).out)["rows"] == []


def test_without_a_ledger_it_says_where_one_comes_from(topmast: Any) -> None:
    answer = topmast("cost")

    assert answer.code == 66
    assert "no ledger yet" in answer.err


def test_a_price_of_ones_own_is_written_and_taken_back(cost: Callable[..., Any], tmp_path: Path) -> None:
    def overrides() -> Any:
        return yaml.safe_load((tmp_path / "topmast.yml").read_text())["exporter"].get("prices", {}).get("overrides")

    cost("prices", "override", "acme/own", "--input", "3", "--output", "12.5")
    assert overrides() == {"acme/own": {"input_usd_per_million": 3, "output_usd_per_million": 12.5}}
    assert "$12.5 per million" in cost("prices", "show", "acme/own").out

    told = json.loads(cost("prices", "override", "acme/own", "--free", "--json").out)
    assert told["override"] == "free"
    assert overrides() == {"acme/own": "free"}

    cost("prices", "override", "acme/own", "--remove")
    assert not overrides()


def test_a_model_that_nobody_knows_is_a_failure(cost: Callable[..., Any]) -> None:
    answer = cost("prices", "show", "openai/no-such-model")

    assert answer.code == 1
    assert "topmast cost prices override openai/no-such-model" in answer.out


def test_the_tables_age_is_told(cost: Callable[..., Any]) -> None:
    told = json.loads(cost("prices", "check", "--json").out)

    assert told["source"].startswith("genai-prices ")
    assert told["models"] > 1000


def test_prices_that_differ_in_a_second_table_are_named(tmp_path: Path, topmast: Any) -> None:
    ledger = Ledger(tmp_path / "ledger", Pricer(None), Registry())
    ledger.start()
    ledger.submit(
        [event(1, provider="openai", model="gpt-4.1"), event(2, provider="openai", model="gpt-4o-mini"), event(3)]
    ).result(30)
    ledger.stop()
    second = tmp_path / "list.json"
    prices = {"gpt-4.1": 3e-06, "gpt-4o-mini": 1.5e-07}
    second.write_text(
        json.dumps(
            {name: {"litellm_provider": "openai", "input_cost_per_token": usd} for name, usd in prices.items()}
        )
    )
    config = tmp_path / "topmast.yml"
    config.write_text(yaml.safe_dump({"exporter": {"data": str(tmp_path / "ledger")}}))

    told = topmast("--config", str(config), "cost", "prices", "drift", str(second), "--json")

    assert told.code == 1
    assert json.loads(told.out)["models"] == [{"provider": "openai", "model": "gpt-4.1", "drift": 0.5}]
    assert json.loads(told.out)["compared"] == 2
    assert topmast("--config", str(config), "cost", "prices", "drift", str(second), "--above", "0.6").code == 0


def test_an_update_says_which_prices_of_called_models_changed(tmp_path: Path, topmast: Any) -> None:
    ledger = Ledger(tmp_path / "ledger", Pricer(None), Registry())
    ledger.start()
    ledger.submit([event(1, provider="openai", model="gpt-4.1")]).result(30)
    ledger.stop()
    config = tmp_path / "topmast.yml"
    config.write_text(yaml.safe_dump({"exporter": {"data": str(tmp_path / "ledger")}}))
    refresh.load(tmp_path / "ledger")
    given = tmp_path / "given.ndjson"
    text = (tmp_path / "ledger" / refresh.FILE).read_text()
    given.write_text(text.replace('"source":"genai-prices', '"source":"ours').replace("2000000", "3000000"))

    told = topmast("--config", str(config), "cost", "prices", "update", str(given), "--json")

    changed = {"provider": "openai", "model": "gpt-4.1", "unit": "input", "before": 2.0, "after": 3.0}
    assert json.loads(told.out)["changed"] == [changed]
    given.write_text("{")
    refused = topmast("--config", str(config), "cost", "prices", "update", str(given))
    assert refused.code == 65
    assert "stays in force" in refused.err


def test_reprice_says_what_it_changes_does_it_and_keeps_a_record(cost: Callable[..., Any], tmp_path: Path) -> None:
    config = tmp_path / "topmast.yml"
    settings = yaml.safe_load(config.read_text())
    settings["exporter"]["prices"] = {"overrides": {"acme/big": {"input_usd_per_million": 1}}}
    config.write_text(yaml.safe_dump(settings))

    shown = json.loads(cost("reprice", "--since", "1d", "--dry-run", "--json").out)
    assert json.loads(cost("--json").out)["total_usd"] == 6.0  # nothing was changed
    done = json.loads(cost("reprice", "--since", "1d", "--json").out)

    change = {"model": "acme/big", "calls": 2, "newly_priced": 0, "before_usd": 5.0, "after_usd": 0.2}
    assert (shown["models"], shown["correction"]) == ([change], None)
    assert (done["correction"]["changed"], done["correction"]["after_usd"]) == (2, 0.2)
    assert json.loads(cost("--json").out)["total_usd"] == 1.2
    assert "2 of 3 calls" in cost("reprice", "--list").out
    assert "would get today" in cost("reprice", "--since", "1d").out


def test_reconcile_says_how_far_a_bill_is_off_and_why(cost: Callable[..., Any], tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger", Pricer(refresh.load(tmp_path / "ledger")), Registry())
    ledger.start()
    called = [event(10, provider="openai", model="gpt-4.1", tokens=Tokens(input=1_000_000))]
    ledger.submit(called).result(30)
    ledger.stop()
    now = time.time()
    day = now - now % 86_400
    billed = [("gpt-4.1-2025-04-14, input", 2.0), ("gpt-4o, output", 3.0)]
    results = [{"amount": {"value": usd, "currency": "usd"}, "line_item": item} for item, usd in billed]
    bill = tmp_path / "costs.json"
    bill.write_text(json.dumps({"data": [{"start_time": day, "end_time": day + 86_400, "results": results}]}))

    told = cost("reconcile", "--provider", "openai", str(bill), "--json")

    assert told.code == 1
    found = json.loads(told.out)
    assert (found["billed"], found["counted"], found["within"]) == (5.0, 2.0, False)
    assert [(one["model"], one["cause"]) for one in found["models"]] == [
        ("gpt-4o", "missing hook: no call of it is in the ledger"),
        ("gpt-4.1", None),
    ]
    assert "Off by 60.00%" in cost("reconcile", "--provider", "openai", str(bill)).out
    assert cost("reconcile", "--provider", "openai", str(bill), "--tolerance", "60%").code == 0


def test_reconcile_of_a_time_before_the_ledger_says_so(cost: Callable[..., Any], tmp_path: Path) -> None:
    day = time.time() // 86_400 * 86_400 - 40 * 86_400
    results = [{"amount": {"value": 5.0, "currency": "usd"}, "line_item": "gpt-4o, output"}]
    bill = tmp_path / "costs.json"
    bill.write_text(json.dumps({"data": [{"start_time": day, "end_time": day + 86_400, "results": results}]}))

    told = cost("reconcile", "--provider", "openai", str(bill))

    assert told.code == 1
    assert "before the ledger, which begins on" in told.out
    assert "The ledger begins on" in told.out


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("", "the file is empty", id="an empty file"),
        pytest.param('{"data": []}', "nothing was billed in it", id="an export of nothing"),
        pytest.param('[{"startTime": "2026-09-28", "spend": 1}]', "--provider litellm", id="the wrong provider"),
    ],
)
def test_a_file_that_cannot_be_compared_is_a_slip_and_no_difference(
    cost: Callable[..., Any], tmp_path: Path, text: str, said: str
) -> None:
    path = tmp_path / "bill"
    path.write_text(text)

    told = cost("reconcile", "--provider", "openai", str(path))

    assert (told.code, told.out) == (65, "")  # and not 1, which says that the bill is off
    assert said in told.err


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["reconcile", "--provider", "openai"], id="reconcile"),
        pytest.param(["prices", "drift"], id="drift"),
        pytest.param(["prices", "update"], id="update"),
    ],
)
def test_a_file_of_garbage_has_an_exit_code_of_its_own(
    cost: Callable[..., Any], tmp_path: Path, arguments: list[str]
) -> None:
    path = tmp_path / "given"
    path.write_bytes(b"\xff\x00garbage")

    told = cost(*arguments, str(path))

    assert (told.code, told.out) == (65, "")
    assert told.err.startswith(f"topmast: {path}: ")
    assert "Traceback" not in told.err


def test_a_file_that_is_not_there_is_a_slip(cost: Callable[..., Any]) -> None:
    assert cost("reconcile", "--provider", "openai", "no-such-file.json").code == 2


@pytest.mark.parametrize("arguments", [[], ["calls"], ["prices", "unpriced"], ["reprice", "--since", "7d"]])
def test_no_ledger_is_no_difference_and_no_unpriced_model(topmast: Any, arguments: list[str]) -> None:
    told = topmast("cost", *arguments)

    assert (told.code, told.out) == (66, "")
    assert "no ledger yet: it is made at the first start (`topmast up`)" in told.err


def test_no_ledger_is_no_bill_that_is_off(topmast: Any, tmp_path: Path) -> None:
    path = tmp_path / "bill.json"
    path.write_text("{}")

    assert topmast("cost", "reconcile", "--provider", "openai", str(path)).code == 66


def test_a_ledger_that_cannot_be_read_is_told(cost: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "ledger" / "ledger.sqlite").write_bytes(b"no database" * 500)

    for arguments in ([], ["calls"], ["prices", "unpriced"]):
        told = cost(*arguments)
        assert (told.code, told.out) == (66, "")
        assert "ledger.sqlite" in told.err
