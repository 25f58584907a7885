"""A new price table: used when all of it can be used, else the old one stays and that is said."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import genai_prices
import pytest
from topmast_exporter.ledger import Ledger
from topmast_exporter.ledger_events import unpriced
from topmast_exporter.ledger_report import report
from topmast_exporter.pricing import refresh
from topmast_exporter.pricing.keeper import Keeper
from topmast_exporter.pricing.price import Pricer
from topmast_exporter.pricing.table import PriceTableError
from topmast_exporter.registry import Registry
from topmast_exporter.usage_event import parse

NOW = 1.79e9


def table(price=2_000_000, models=("big",), **header):
    """Return the text of a small table of a provider `acme`."""
    plain = {
        "format": 1,
        "source": "ours 1",
        "timestamp": 1_780_000_000,
        "models": len(models),
        "units": {"input_tokens": {"family": "tokens", "direction": "input"}},
        "fractions": [],
        "providers": [{"id": "acme", "match": None, "model_match": None, "fallback": []}],
    }
    listed = [
        {"id": name, "match": ["equals", name], "prices": [{"sheet": {"input_tokens": price}}]} for name in models
    ]
    return f"{json.dumps(plain | header)}\n{json.dumps({'provider': 'acme', 'models': listed})}\n"


@pytest.fixture
def put(tmp_path):
    def put(text, name="given.ndjson"):
        path = tmp_path / name
        path.write_text(text)
        return path

    return put


def price_of(loaded):
    model = loaded.find("acme", "big")
    return model.sheet(model.select(NOW))["input_tokens"]


def test_a_given_table_stays_whatever_is_installed_and_the_old_one_is_kept(tmp_path, put):
    refresh.update(tmp_path, put(table(1)))
    refresh.update(tmp_path, put(table(2)))

    assert price_of(refresh.load(tmp_path)) == 2
    assert price_of(refresh.check(tmp_path / refresh.PREVIOUS)) == 1
    assert refresh.update(tmp_path).source.startswith("genai-prices ")


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("{}\n", id="no header"),
        pytest.param(table().splitlines()[0], id="cut off"),
        pytest.param(table(format=99), id="another format"),
        pytest.param(table(-1), id="a negative price"),
        pytest.param(table([1, 0]), id="divided by nothing"),
        pytest.param(table("free"), id="a price that is a word"),
        pytest.param(table().replace('"equals"', '"regex"').replace('"big"', '"("'), id="a name that is no pattern"),
        pytest.param(table(models=(), source="none"), id="without models"),
        pytest.param(table(units={}), id="a unit nobody described"),
    ],
)
def test_a_table_that_cannot_be_used_leaves_the_old_one_in_force(tmp_path, put, text):
    refresh.update(tmp_path, put(table(1)))

    with pytest.raises(PriceTableError):
        refresh.update(tmp_path, put(text))

    assert price_of(refresh.load(tmp_path)) == 1
    assert [path.name for path in tmp_path.glob(".*")] == []  # and nothing is left lying about


def test_a_table_that_lost_its_models_is_refused_unless_it_is_meant(tmp_path, put):
    refresh.update(tmp_path, put(table(models=("big", "b", "c"))))

    with pytest.raises(PriceTableError, match="looks like a mistake"):
        refresh.update(tmp_path, put(table(models=("big",))))

    assert refresh.update(tmp_path, put(table(models=("big",))), force=True).model_count == 1


def test_a_wheel_of_genai_prices_is_compiled_without_being_installed(tmp_path):
    package = Path(genai_prices.__file__).parent
    wheel = tmp_path / "genai_prices-99.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path in package.rglob("*.py"):
            archive.write(path, f"genai_prices/{path.relative_to(package)}")
        archive.writestr(
            "genai_prices-99.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: genai-prices\nVersion: 99.0\n"
        )

    refresh.update(tmp_path, wheel)

    assert refresh.load(tmp_path).source == "genai-prices 99.0"


def test_a_file_that_is_damaged_later_is_made_again(tmp_path):
    refresh.load(tmp_path)
    (tmp_path / refresh.FILE).write_text("{")

    assert refresh.load(tmp_path).model_count > 1000


@pytest.fixture
def ledger(tmp_path):
    one = Ledger(tmp_path / "ledger", Pricer(None), Registry(), clock=lambda: NOW)
    one.start()
    yield one
    one.stop()


def test_a_running_exporter_takes_a_new_table_and_keeps_the_old_when_it_is_broken(tmp_path, put, ledger, caplog):
    registry = Registry()
    keeper = Keeper(tmp_path, ledger, registry)
    refresh.update(tmp_path, put(table(1)))
    keeper.start({})

    def cost(number):
        body = {"id": str(number), "provider": "acme", "model": "big", "usage": {"input": 1000}}
        before = sum(
            ledger._totals.counters[key] for key in ledger._totals.counters if key[0] == "llm_cost_usd_total"
        )
        ledger.submit([parse(body, NOW)]).result(10)
        after = sum(ledger._totals.counters[key] for key in ledger._totals.counters if key[0] == "llm_cost_usd_total")
        return after - before

    assert cost(1) == 1_000
    refresh.update(tmp_path, put(table(5)))
    keeper.look()
    assert cost(2) == 5_000

    (tmp_path / refresh.FILE).write_text("{")
    keeper.look()

    assert cost(3) == 5_000
    assert "the old one stays" in caplog.text
    sites = next(one for one in registry.families() if one.name == "exporter_internal_errors_total")
    assert [(one.values, one.value) for one in sites.series()] == [(("prices",), 1.0)]


def test_an_exporter_without_a_price_table_counts_on_and_says_so(tmp_path, ledger, caplog):
    (tmp_path / refresh.FILE).mkdir()  # neither read nor replaced
    registry = Registry()

    Keeper(tmp_path, ledger, registry).start({"acme/own": {"input_usd_per_million": 1}})

    bodies = [
        {"id": name, "provider": "acme", "model": name, "usage": {"input": 1_000_000}} for name in ("own", "another")
    ]
    assert ledger.submit([parse(body, NOW) for body in bodies]).result(10).accepted == 2
    assert {row.group: (row.total, row.unpriced) for row in report(tmp_path / "ledger")} == {
        ("own",): (10**12, 0),
        ("another",): (0, 1),
    }
    assert [one.reason for one in unpriced(tmp_path / "ledger")] == ["no_price_table"]
    assert "requests are unpriced" in caplog.text


def test_the_library_is_never_resident(tmp_path):
    code = (
        "import sys; from pathlib import Path; from topmast_exporter.pricing import refresh\n"
        "from topmast_exporter.pricing.price import Pricer; from topmast_exporter.pricing.tokens import Tokens\n"
        "pricer = Pricer(refresh.load(Path(sys.argv[1])))\n"
        "assert pricer.price('openai', 'gpt-4o', Tokens(input=1000), 1.79e9).total == 2_500_000_000\n"
        "assert not {'genai_prices', 'pydantic'} & set(sys.modules)\n"
    )

    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")
