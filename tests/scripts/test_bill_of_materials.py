"""The bills of materials: valid, whole, and the same for the same content."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "scripts/bill_of_materials.py"
DISTRIBUTIONS = ("topmast-exporter", "topmast-exporter[standalone]", "topmast-shipper[elasticsearch,grok]", "topmast")


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("bill_of_materials", SCRIPT)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def refused(text: str) -> Any:
    return JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)


def names(text: str) -> set[str]:
    return {part["name"] for part in json.loads(text)["components"]}


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_a_wheels_bill_is_valid(script: ModuleType, name: str) -> None:
    assert refused(script.wheel_bill(name)) is None


def test_a_broken_bill_is_not_valid(script: ModuleType) -> None:
    document = json.loads(script.wheel_bill("topmast-exporter"))
    document["components"][0]["type"] = "wheel"

    assert refused(json.dumps(document)) is not None


def test_what_an_app_installs_is_small_and_listed(script: ModuleType) -> None:
    assert names(script.wheel_bill("topmast-exporter")) == {"prometheus-client"}


def test_extras_and_what_they_bring_are_listed(script: ModuleType) -> None:
    found = names(script.wheel_bill("topmast-exporter[standalone]"))

    # pydantic-core comes by genai-prices and pydantic.
    assert {"redis", "psycopg", "psycopg-binary", "uvicorn", "h11", "pydantic-core"} <= found


def test_our_own_distributions_are_parts_of_the_appliance(script: ModuleType) -> None:
    document = json.loads(script.wheel_bill("topmast"))

    needed = {entry["ref"]: set(entry.get("dependsOn", ())) for entry in document["dependencies"]}
    assert {"pkg:pypi/topmast-exporter@0.1.0", "pkg:pypi/topmast-shipper@0.1.0"} <= needed["pkg:pypi/topmast@0.1.0"]
    # Every part is there, so that none hangs in the air.
    assert {part["bom-ref"] for part in document["components"]} | {"pkg:pypi/topmast@0.1.0"} == set(needed)


def test_nothing_of_the_tests_is_delivered(script: ModuleType) -> None:
    found = set().union(*(names(script.wheel_bill(name)) for name in DISTRIBUTIONS))

    assert found & {"pytest", "ruff", "mypy", "playwright", "cyclonedx-python-lib"} == set()


def test_the_same_content_gives_the_same_bytes(script: ModuleType) -> None:
    assert script.wheel_bill("topmast") == script.wheel_bill("topmast")
    assert "timestamp" not in script.wheel_bill("topmast")


def test_an_image_tells_of_both_its_worlds(script: ModuleType) -> None:
    answer = json.dumps(
        {
            "python": [
                {
                    "name": "Topmast_Exporter",
                    "version": "0.1.0",
                    "license_expression": "Apache-2.0",
                    "requires": ["h11"],
                },
                {"name": "h11", "version": "0.16.0", "license": "MIT", "requires": []},
                {"name": "odd", "version": "1", "license": "MIT License\n\nCopyright …", "requires": ["absent>=1"]},
            ],
            "dpkg": "Package: libc6\nStatus: install ok installed\nVersion: 2.36-9+deb12u9\nDescription: GNU C\n more"
            "\n\nPackage: gone\nStatus: deinstall ok config-files\nVersion: 1\n",
            "os": 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\n',
        }
    )

    text = script.image_bill("some/exporter:1", answer)

    assert refused(text) is None
    document = json.loads(text)
    assert {part["purl"] for part in document["components"]} == {
        "pkg:pypi/topmast-exporter@0.1.0",
        "pkg:pypi/h11@0.16.0",
        "pkg:pypi/odd@1",
        "pkg:deb/debian/libc6@2.36-9%2Bdeb12u9",
    }
    assert document["metadata"]["component"]["type"] == "container"
    needed = {entry["ref"]: set(entry.get("dependsOn", ())) for entry in document["dependencies"]}
    assert needed["pkg:pypi/topmast-exporter@0.1.0"] == {"pkg:pypi/h11@0.16.0"}
    assert "pkg:pypi/h11@0.16.0" not in needed["some/exporter:1"]


@pytest.mark.parametrize(
    ("told", "licence"),
    [
        ({"license_expression": "MIT", "license": "other"}, "MIT"),
        ({"license": "BSD-3-Clause\nmore"}, "BSD-3-Clause"),
        ({"classifier": ["License :: OSI Approved :: MIT License"]}, "MIT License"),
        ({}, None),
    ],
)
def test_the_licence_is_what_the_metadata_declares(
    script: ModuleType, told: dict[str, Any], licence: str | None
) -> None:
    assert script.licence_of(told) == licence


def test_a_distribution_that_is_not_here_is_said(script: ModuleType) -> None:
    done = subprocess.run([sys.executable, SCRIPT, "wheel", "topmast-absent"], capture_output=True, text=True)

    assert done.returncode == 1
    assert "topmast-absent" in done.stderr
    assert "./topmast test" in done.stderr
