"""Every query of every runbook is answered by a running Prometheus, and what only looks is run on a running demo."""

import shlex
from pathlib import Path

import pytest
import requests
from running import HOME, Appliance
from topmast import runbookfile

pytestmark = pytest.mark.live

RUNBOOKS = sorted((HOME / "docs" / "runbooks").glob("*.md"))
# What changes nothing, tells nobody and ends by itself. `verify` fires an alert, `notify test` sends a message.
LOOKING = ("logs", "status", "cost", "inbox", "lint", "config check", "ship lag", "ship fsck", "targets check")


def lines(path: Path) -> list[str]:
    return [each.text for each in runbookfile.commands(path.read_text()) if each.kind == "topmast"]


def looks(line: str) -> bool:
    return line.removeprefix("topmast ").startswith(LOOKING) and not {"FILE", "NAME"} & set(shlex.split(line))


@pytest.mark.parametrize("path", RUNBOOKS, ids=lambda path: path.stem)
def test_every_query_is_answered(path: Path, demo: Appliance) -> None:
    url = f"http://127.0.0.1:{demo.port(9090)}/api/v1/query"

    found = {
        query: requests.post(url, data={"query": query}, timeout=30).json()
        for query, _ in runbookfile.queries(path.read_text())
    }

    assert {query: answer.get("error") for query, answer in found.items() if answer["status"] != "success"} == {}


@pytest.mark.parametrize("line", sorted({line for path in RUNBOOKS for line in lines(path) if looks(line)}))
def test_what_only_looks_is_run(line: str, demo: Appliance) -> None:
    done = demo.run(*shlex.split(line)[1:], check=False)

    # 1 is an answer too: a target that is down, a file that is behind.
    assert done.returncode in (0, 1), done.stderr
    assert "Traceback" not in done.stderr
