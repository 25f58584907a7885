"""What the demo adds to the configuration is valid, and agrees with the app that it runs."""

import importlib
import sys
from pathlib import Path
from types import ModuleType

import pytest
from topmast import config, demo
from topmast.commands.demo import fires_in
from topmast.layout import Layout

HOME = Path(__file__).parents[2]


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(HOME, tmp_path, 200)


def example(name: str) -> ModuleType:
    sys.path.insert(0, str(HOME / "examples"))
    try:
        return importlib.import_module(f"reference_app.{name}")
    finally:
        sys.path.pop(0)


def test_the_demo_s_configuration_is_accepted(layout: Layout) -> None:
    settings = config.load(None, layout, demo.demo_settings(layout))

    assert settings.origins["$.budgets.day_usd"] == "demo"


def test_the_scanned_namespaces_are_the_app_s() -> None:
    namespaces = example("cache").NAMESPACES

    assert {name: f"{each.prefix}:*" for name, each in namespaces.items()} == demo.NAMESPACES


def test_every_model_that_the_app_calls_is_known() -> None:
    assert {model.partition("/")[2] for model in demo.MODELS} == set(example("model_provider").MODELS)


def test_what_the_command_starts_the_app_sees(layout: Layout) -> None:
    demo.start_fault(layout, "errors", 60)
    demo.start_fault(layout, "latency", 60)

    assert set(example("faults").Faults(demo.faults_file(layout)).all_active()) == {"errors", "latency"}
    assert set(demo.active(layout)) == {"errors", "latency"}


def test_a_fault_that_is_over_is_forgotten(layout: Layout) -> None:
    demo.start_fault(layout, "errors", -1)

    assert demo.active(layout) == {}


def test_clearing_ends_all_of_them(layout: Layout) -> None:
    demo.start_fault(layout, "errors", 60)

    demo.clear_faults(layout)

    assert demo.active(layout) == {}


def test_every_alert_that_is_promised_exists() -> None:
    rules = "".join(path.read_text() for path in (HOME / "monitoring" / "prometheus").rglob("*.yml"))

    promised = {alert for fault in demo.FAULTS.values() for alert in fault.alerts}

    assert {alert for alert in promised if f"- alert: {alert}\n" not in rules} == set()


def test_a_fault_lasts_long_enough_to_fire_with_the_demo_s_clocks() -> None:
    short = {name for name, fault in demo.FAULTS.items() if fault.lasts_seconds < fires_in(fault, 10) + 10}

    assert short == set()
