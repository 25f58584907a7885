"""The real LiteLLM against a small real HTTP server, in an environment of its own (380 MB, its libraries pinned).

python -m venv .topmast/litellm && .topmast/litellm/bin/pip install litellm langchain-core
"""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[4]
PYTHON = Path(os.environ.get("TOPMAST_LITELLM_PYTHON") or ROOT / ".topmast/litellm/bin/python")
COUNTED = {"input": 100, "output": 20, "cache_read": 64, "reasoning": 12}

pytestmark = pytest.mark.skipif(
    not PYTHON.is_file(), reason="no LiteLLM: the first lines of this file say how to make its environment"
)


@pytest.fixture(scope="module")
def recorded() -> dict[str, list[dict[str, Any]]]:
    """What was recorded of each kind of call (litellm_calls.py)."""
    path = os.pathsep.join(str(ROOT / folder) for folder in ("exporter", "tests"))
    environment = {**os.environ, "PYTHONPATH": path, "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    script = Path(__file__).with_name("litellm_calls.py")
    done = subprocess.run([PYTHON, script], env=environment, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr[-3_000:]
    found: dict[str, list[dict[str, Any]]] = json.loads(done.stdout[done.stdout.index('{"whole"') :])
    return found


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        pytest.param("whole", {"feature": "search", "key_alias": "prod", "usage": COUNTED}, id="whole"),
        pytest.param("stream", {"stream": True, "usage": COUNTED}, id="stream"),
        pytest.param("async stream", {"stream": True, "usage": COUNTED}, id="asynchronous stream"),
        pytest.param(
            "embedding",
            {"operation": "embeddings", "model": "text-embedding-3-small", "outcome": "ok"},
            id="embedding",
        ),
        pytest.param("limited", {"outcome": "rate_limited"}, id="limited"),
        pytest.param("broken", {"outcome": "error"}, id="broken"),
        pytest.param("over an instrumented client", {"usage": COUNTED}, id="over an instrumented client"),
        pytest.param("under langchain", {"usage": COUNTED, "provider": "openai"}, id="under LangChain"),
    ],
)
def test_a_call_is_recorded_once(recorded: Any, call: str, expected: dict[str, Any]) -> None:
    found = recorded[call]

    assert [{name: one.get(name) for name in expected} for one in found] == [expected]
    assert found[0]["provider"] == "openai"
    assert "hunter2" not in json.dumps(found)


@pytest.mark.parametrize("call", ["in threads", "in tasks"])
def test_layers_side_by_side_count_once_each(recorded: Any, call: str) -> None:
    assert [one["usage"] for one in recorded[call]] == [COUNTED] * 4
