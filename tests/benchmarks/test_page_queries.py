"""The raw form of a query reads nothing that is recorded, and the made series are OpenMetrics' and the contract's."""

import importlib.util
from types import ModuleType

import promql_parser
import pytest
from topmast import benchmark, check, dashboardfile, metrics, promql
from topmast.layout import find_home


@pytest.fixture(scope="module")
def room() -> ModuleType:
    path = find_home() / "benchmarks" / "page_queries.py"
    spec = importlib.util.spec_from_file_location("page_queries", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_query_of_the_overview_has_a_raw_form(room: ModuleType) -> None:
    tree = check.read([], find_home())
    rules = {name: rule.expr for name, rule in tree.records.items()}
    file = next(each for each in dashboardfile.read(tree) if each.name == "application-overview")

    asked = room.queries(file)

    assert len({panel for panel, _ in asked}) == 17
    for panel, expr in asked:
        raw = promql_parser.parse(dashboardfile.substituted(room.expanded(expr, rules), {}))
        assert [name for name in promql.metric_names(raw) if ":" in name] == [], panel


def test_what_the_panels_read_is_recorded_in_the_blocks(room: ModuleType) -> None:
    tree = check.read([], find_home())
    file = next(each for each in dashboardfile.read(tree) if each.name == "application-overview")
    read = {name for query in file.queries for name in promql.metric_names(query.parsed) if ":" in name}

    made = {each.family for each in room.recorded_series()}

    # No MySQL there: its panel is empty in both forms.
    assert read - made == {"instance:mysql_connections_used:ratio"}


def test_the_series_are_of_the_contract(room: ModuleType) -> None:
    names = {each.text.partition("{")[0] for each in room.raw_series(1)}

    assert [name for name in sorted(names) if metrics.load().get(name) is None] == []


def test_a_set_is_as_wide_as_an_application(room: ModuleType) -> None:
    per_set = (sum(1 for _ in room.raw_series(3)) - sum(1 for _ in room.raw_series(1))) / 2

    assert per_set == 116


def test_is_a_benchmark() -> None:
    assert benchmark.load(find_home(), "page_queries").name == "page_queries"
