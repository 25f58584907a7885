"""docs/reference/metrics.md is what its script writes, and the registries declare what the contract has."""

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest
from prometheus_client.parser import text_string_to_metric_families
from topmast import metrics

ROOT = Path(__file__).resolve().parents[2]
OURS = ("app_", "agent_", "cache_", "llm_", "db_")

# Scanned by the redis collector, which knows its namespaces from the configuration alone.
BY_A_COLLECTOR = {"cache_keys", "cache_memory_bytes", "cache_avg_ttl_seconds", "cache_namespace_scan_age_seconds"}


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("metrics_reference", ROOT / "scripts/metrics_reference.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_up_to_date(script: ModuleType) -> None:
    fresh = script.page()

    assert (ROOT / "docs/reference/metrics.md").read_text() == fresh, (
        "run .venv/bin/python scripts/metrics_reference.py"
    )


def test_the_registries_declare_what_the_contract_has(script: ModuleType) -> None:
    declared = {
        family.name: (family.kind, frozenset(family.labelnames))
        for _title, _how, registry in script.registries()
        for family in registry.families()
    }

    contract = {
        name: (one.type, (one.labels or frozenset()) - metrics.TARGET_LABELS)
        for name, one in metrics.load().families.items()
        if name.startswith(OURS) and name not in BY_A_COLLECTOR
    }

    assert {name: declared.get(name) for name in contract} == contract


def test_the_shipper_has_the_labels_of_the_contract() -> None:
    recorded = ROOT / "tests/monitoring/expositions/topmast_shipper-0.1.0.prom"
    families = text_string_to_metric_families(recorded.read_text())
    said = {sample.name: frozenset(sample.labels) for family in families for sample in family.samples}

    contract = {name: metrics.load().families[name].labels or frozenset() for name in said}

    assert said == {name: labels - metrics.TARGET_LABELS for name, labels in contract.items()}


def test_what_others_names_became_exists() -> None:
    page = (ROOT / "docs/coming-from.md").read_text()
    named = set(re.findall(r"\b((?:app_http|db|cache)_[a-z_]+)", page))

    assert len(named) > 5
    assert {name for name in named if metrics.load().get(name) is None} == set()


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        pytest.param("app_http_requests_total", "", id="a count"),
        pytest.param("db_pool_wait_seconds", "seconds", id="seconds"),
        pytest.param("cache_value_bytes_total", "bytes", id="bytes of a counter"),
        pytest.param("app_start_time_seconds", "unix time", id="a moment"),
        pytest.param("elasticsearch_indices_search_query_time_seconds", "seconds", id="a time that is none"),
        pytest.param("llm_cost_usd_total", "USD", id="money"),
    ],
)
def test_a_name_ends_in_its_unit(script: ModuleType, name: str, unit: str) -> None:
    assert script.unit_of(name) == unit
