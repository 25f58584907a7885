"""The tables "What is promised" of the documentation: each promise names the tests that hold it, and they exist."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from topmast import metrics

ROOT = Path(__file__).resolve().parents[2]
# The page and how many promises it has at least.
PAGES = [("exporter.md", 50), ("pushing.md", 15), ("shipping.md", 38)]
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
# What names a person, a place in the network, or holds what somebody wrote.
PERSONAL = {"client_ip", "ip", "user", "user_id", "email", "user_email", "user_agent", "prompt", "message", "error"}


def promises(page: str) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Yield (promise, its tests) of the page's tables; a row in bold is a heading."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    tables = [part.split("\n## ", 1)[0] for part in text.split("\n## What is promised")[1:]]
    for line in "".join(tables).splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if line.startswith("| ") and not line.startswith("| **") and len(cells) == 2 and cells[0] != "promise":
            yield cells[0], NAMED.findall(cells[1])


@pytest.mark.parametrize(("page", "least"), PAGES)
def test_every_promise_is_held_by_a_test_that_exists(page: str, least: int) -> None:
    held = dict(promises(page))

    assert len(held) >= least
    assert [promise for promise, tests in held.items() if not tests] == []
    missing = [
        f"{path}::{name}"
        for tests in held.values()
        for path, name in tests
        if not (ROOT / path).is_file() or name not in functions(ROOT / path)
    ]
    assert missing == []


def functions(path: Path) -> set[str]:
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {each.name for each in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(each, kinds)}


@pytest.mark.parametrize("prefix", ["app_", "agent_", "cache_", "llm_", "db_", "exporter_"])
def test_no_label_of_ours_names_a_person_or_holds_what_somebody_wrote(prefix: str) -> None:
    labels = {
        label
        for name, metric in metrics.load().families.items()
        if name.startswith(prefix)
        for label in metric.labels or ()
    }

    assert labels & PERSONAL == set()
