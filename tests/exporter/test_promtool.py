"""promtool's own lint over our own families, each with a sample."""

import importlib.util
import subprocess
from pathlib import Path

import pytest
from topmast.promtool import find_promtool
from topmast.suites import required
from topmast_exporter.families import Family
from topmast_exporter.registry import Registry
from topmast_exporter.render import render

pytestmark = pytest.mark.rules

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def promtool() -> Path:
    found = find_promtool()
    if found is None:
        reason = "no promtool: run `./topmast test --suite rules` or set TOPMAST_PROMTOOL"
        if "rules" in required():
            pytest.fail(reason)
        pytest.skip(reason)
    return found


def check(promtool: Path, text: bytes) -> tuple[int, str]:
    done = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, timeout=60)
    return done.returncode, (done.stdout + done.stderr).decode()


def every_family() -> Registry:
    """Return a registry that holds each family once, with one sample."""
    spec = importlib.util.spec_from_file_location("metrics_reference", ROOT / "scripts/metrics_reference.py")
    assert spec
    assert spec.loader
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    every = Registry()
    for _title, _how, registry in script.registries():
        for family in registry.families():
            declare(every, family)
    return every


def declare(registry: Registry, family: Family) -> None:
    about = (family.name, family.documentation, family.labelnames)
    values = ["x" for _ in family.labelnames]
    if family.kind == "counter":
        registry.counter(*about, sorted(family.open_labels)).labels(*values).inc()
    elif family.kind == "gauge":
        registry.gauge(*about, sorted(family.open_labels)).labels(*values).set(1)
    else:
        registry.histogram(*about, family.bounds, sorted(family.open_labels)).labels(*values).observe(0.1)


def test_promtool_finds_nothing_in_our_own_families(promtool: Path) -> None:
    text, _ = render(every_family())

    assert check(promtool, text) == (0, "")


def test_promtool_would_have_said_something(promtool: Path) -> None:
    code, output = check(promtool, b"# TYPE requests counter\nrequests 1\n")

    assert (code, "_total" in output) == (3, True)
