"""The clients of docs/pushing.md for what can only push, against a real ingest that asks for a token."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from docs_blocks import Block, blocks

TOKEN = "only-for-this-test"
NODE = shutil.which("node")
EXPECTED = {"provider": "openai", "model": "gpt-4o-mini", "input": 1_200, "output": 300, "feature": "nightly"}


def client(language: str, word: str) -> Block:
    """Return the one block of that page and language that has this word."""
    page = "docs/pushing.md:"
    (found,) = [
        one for one in blocks() if one.where.startswith(page) and one.language == language and word in one.text
    ]
    return found


@pytest.fixture
def told(start: Callable[..., Any], tmp_path: Path) -> Callable[[list[str]], list[dict[str, Any]]]:
    """`told(argv)`: run a client twice in the test's folder; return the ledger's events of it."""
    ingest = start(token=TOKEN)

    def run(argv: list[str]) -> list[dict[str, Any]]:
        environment = {**os.environ, "TOPMAST_INGEST_URL": ingest.url, "TOPMAST_INGEST_TOKEN": TOKEN}
        for _ in range(2):
            done = subprocess.run(argv, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60)
            assert done.returncode == 0, done.stdout + done.stderr
        rows: list[dict[str, Any]] = ingest.rows(*EXPECTED)
        return rows

    return run


@pytest.mark.skipif(NODE is None, reason="no node")
def test_typescript(told: Any, tmp_path: Path) -> None:
    # It has no types that have to be taken out: a node that knows JavaScript alone runs it as it stands.
    (tmp_path / "usage.mjs").write_text(client("ts", "report").text)
    call = """{ id: "night-42", provider: "openai", model: "gpt-4o-mini", feature: "nightly",
        usage: { input: 1200, output: 300 } }"""
    (tmp_path / "function.mjs").write_text(f'import {{ report }} from "./usage.mjs";\nawait report({call});\n')

    assert told([str(NODE), "function.mjs"]) == [EXPECTED]  # the same id twice


@pytest.mark.skipif(NODE is None, reason="no node")
def test_typescript_says_what_the_ingest_refused(start: Callable[..., Any], tmp_path: Path) -> None:
    ingest = start(token=TOKEN)
    (tmp_path / "usage.mjs").write_text(client("ts", "report").text)
    (tmp_path / "function.mjs").write_text('import { report } from "./usage.mjs";\nawait report();\n')
    environment = {**os.environ, "TOPMAST_INGEST_URL": ingest.url, "TOPMAST_INGEST_TOKEN": "wrong"}

    done = subprocess.run([str(NODE), "function.mjs"], cwd=tmp_path, env=environment, capture_output=True, text=True)

    assert done.returncode == 1
    assert "usage is not reported: 401 a bearer token is wanted" in done.stderr


def test_python(told: Any, tmp_path: Path) -> None:
    (tmp_path / "usage.py").write_text(client("python", "def report").text)
    call = 'from usage import report; report("openai", "gpt-4o-mini", 1200, 300, "nightly")'

    assert told([sys.executable, "-c", call]) == [EXPECTED] * 2  # two calls, two ids


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl")
def test_curl(told: Any) -> None:
    assert told(["sh", "-eu", "-c", client("sh", "night-42").text]) == [EXPECTED]
