"""The test suites: what each needs from the machine, how it is had, and why it was skipped.

`./topmast test` runs what the machine can; TOPMAST_REQUIRE=rules,live turns those suites' skips into failures.
"""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from topmast import chromium, dockerengine, elasticnode, litellmtests, newest
from topmast.binaries import find
from topmast.errors import PrerequisiteError
from topmast.layout import Layout

Say = Callable[[str], None]


@dataclass(frozen=True)
class Suite:
    """`prepare` gets what the suite needs and returns environment variables for its tests.

    It raises PrerequisiteError with the reason when this machine cannot have it.
    """

    name: str
    summary: str
    prepare: Callable[[Layout, Say], Mapping[str, str]]
    on_request: bool = False
    waits: bool = False
    """Its tests wait for servers and processes as much as they reckon: half as many workers again as cores."""
    spread: str = ""
    """How pytest-xdist shares the tests among the cores (`--dist`); empty: one after the other.

    `loadgroup` is tests/one_worker.py: what shares a costly fixture stays together.
    """
    aside: bool = False
    """Its tests wait for containers most of the time: the suites after it run meanwhile."""
    alone: bool = False
    """Its tests watch what happens within seconds: nothing runs meanwhile."""


def _nothing(_layout: Layout, _say: Say) -> Mapping[str, str]:
    return {}


def _engines(layout: Layout, say: Say) -> Mapping[str, str]:
    # promtool and amtool come in the same packages as the engines.
    return {
        f"TOPMAST_{tool.upper()}": str(find(tool, (tool,), layout, {}, say).path) for tool in ("promtool", "amtool")
    }


def _browser(layout: Layout, say: Say) -> Mapping[str, str]:
    return {**_engines(layout, say), "TOPMAST_CHROMIUM": str(chromium.find(layout, say))}


def _docker(_layout: Layout, _say: Say) -> Mapping[str, str]:
    if why := dockerengine.refusal():
        raise PrerequisiteError(why)
    return {}


def _elasticsearch(layout: Layout, say: Say) -> Mapping[str, str]:
    return {elasticnode.VARIABLE: str(elasticnode.install(layout, say).folder)}


def _newest(layout: Layout, say: Say) -> Mapping[str, str]:
    return {
        newest.VARIABLE: str(newest.build(layout, say)),
        newest.ALERTMANAGER: str(newest.build_alertmanager(layout, say)),
    }


def _litellm(layout: Layout, say: Say) -> Mapping[str, str]:
    return {litellmtests.VARIABLE: str(litellmtests.install(layout, say))}


SUITES = (
    Suite("unit", "Python and the packages' own servers", _nothing, waits=True, spread="loadfile"),
    Suite("docker", "the compose files on a Docker engine", _docker, aside=True),
    Suite("rules", "promtool and amtool over every rule and route", _engines, spread="worksteal"),
    Suite("elasticsearch", "a real Elasticsearch, fetched by maven", _elasticsearch),
    Suite("live", "the whole appliance on the real engines", _engines, spread="loadgroup", alone=True),
    Suite("browser", "the page in Chromium", _browser, spread="loadfile", alone=True),
    Suite(
        "newest",
        "every rule and route on the newest Prometheus and Alertmanager, built from source",
        _newest,
        on_request=True,
    ),
    Suite("litellm", "the hook on the real LiteLLM, installed apart", _litellm, on_request=True),
)


def required() -> set[str]:
    """Return the suites whose skip is a failure (TOPMAST_REQUIRE, separated by commas)."""
    return {name.strip() for name in os.environ.get("TOPMAST_REQUIRE", "").split(",") if name.strip()}


def marker_expression(suite: Suite) -> str:
    """Return pytest's `-m` of a suite: its marker, or for `unit` the absence of every other's."""
    if suite.name != "unit":
        return suite.name
    return " and ".join(f"not {other.name}" for other in SUITES if other.name != "unit")


def files(name: str, tests: Path) -> list[Path]:
    """Return the test files of a suite, those that name its marker: to read all costs what a small suite takes.

    `unit` is whatever no other suite is. So all are read: its list is empty.
    """
    if name == "unit":
        return []
    marker = re.compile(rf"\bmark\.{name}\b")
    return [path for path in sorted(tests.rglob("test_*.py")) if marker.search(path.read_text())]


def spreading(suite: Suite) -> list[str]:
    """Return pytest's arguments that use every core for a suite."""
    cores = os.cpu_count() or 1
    workers = cores + (cores + 1) // 2 if suite.waits else cores
    if not suite.spread:
        return []
    # By itself xdist begins with the files of many tests: those of few and long ones would end it, one core idle.
    order = ["--no-loadscope-reorder"] if suite.spread == "loadfile" else []
    return ["-n", str(workers), "--dist", suite.spread, *order]
