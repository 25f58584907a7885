"""The real LiteLLM against a small real HTTP server, in an environment of its own (suite `litellm`, on request)."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from openai_stand_in import COUNTED

ROOT = Path(__file__).resolve().parents[4]
PYTHON = Path(os.environ.get("TOPMAST_LITELLM_PYTHON") or ROOT / ".topmast/litellm/bin/python")
WHOLE = {"outcome": "ok", "stream": False, "attempt": 1, "usage": COUNTED}
STREAM = {**WHOLE, "stream": True}
CANCELLED = {"outcome": "cancelled", "usage": None}
FAILED = {"outcome": "error", "usage": None}

pytestmark = [
    pytest.mark.litellm,
    pytest.mark.skipif(not PYTHON.is_file(), reason="no LiteLLM: `./topmast test --suite litellm` installs it"),
]


@pytest.fixture(scope="module")
def recorded() -> dict[str, list[dict[str, Any]]]:
    """What was recorded of each kind of call (litellm_calls.py)."""
    path = os.pathsep.join(str(ROOT / folder) for folder in ("exporter", "tests"))
    environment = {**os.environ, "PYTHONPATH": path, "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    script = Path(__file__).with_name("litellm_calls.py")
    done = subprocess.run([PYTHON, script], env=environment, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr[-3_000:]
    found: dict[str, list[dict[str, Any]]] = json.loads(done.stdout[done.stdout.index('{"whole"') :])
    return found


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        pytest.param("whole", [{**WHOLE, "feature": "search", "key_alias": "prod"}], id="whole"),
        pytest.param("embedding", [{"operation": "embeddings", "model": "text-embedding-3-small"}], id="embedding"),
        pytest.param("text", [{**WHOLE, "operation": "completion"}], id="text"),
        pytest.param("text stream", [{**STREAM, "operation": "completion"}], id="stream of a text"),
        pytest.param("responses", [WHOLE, STREAM], id="responses"),
        pytest.param(
            "media",
            [
                {"operation": "transcription", "usage": {"input": 40, "output": 9, "audio_in": 31}},
                {"operation": "image", "usage": {"input": 50, "output": 1056, "image_in": 20}},
                {"operation": "speech", "usage": None},
            ],
            id="sound and images",
        ),
    ],
)
def test_each_kind_of_call_is_recorded(recorded: Any, call: str, expected: list[dict[str, Any]]) -> None:
    assert members(recorded[call], expected) == expected
    assert {one["provider"] for one in recorded[call]} == {"openai"}
    assert "hunter2" not in json.dumps(recorded[call])


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        pytest.param("stream", [STREAM, CANCELLED], id="read, and one that is not"),
        pytest.param("stream as asked", [STREAM], id="the application asks for its usage"),
        pytest.param("async stream", [STREAM], id="asynchronous"),
        pytest.param("silent stream", [{**STREAM, "usage": None}], id="without usage: LiteLLM's guess is none"),
        pytest.param("dropped", [CANCELLED], id="dropped half-way"),
        pytest.param("dropped async", [CANCELLED], id="dropped half-way, asynchronous"),
        pytest.param("broken off", [FAILED], id="broken off"),
    ],
)
def test_a_stream_is_recorded_at_its_end_whatever_that_is(
    recorded: Any, call: str, expected: list[dict[str, Any]]
) -> None:
    assert members(recorded[call], expected) == expected


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        pytest.param("limited", [{"outcome": "rate_limited", "usage": None, "attempt": 1}], id="limited"),
        pytest.param("broken", [FAILED], id="broken"),
        pytest.param("given up", [CANCELLED], id="cancelled by its task"),
        pytest.param("retried", [{**WHOLE, "attempt": 2, "retry_reason": "error"}], id="a retry that helps"),
        # LiteLLM itself does not log this one
        pytest.param("retried async", [{**WHOLE, "attempt": 2, "retry_reason": "error"}], id="asynchronous"),
        pytest.param("retried in vain", [{**FAILED, "attempt": 3, "retry_reason": "error"}], id="retries in vain"),
        pytest.param(
            "router retries", [{"outcome": "rate_limited", "usage": None}, WHOLE], id="a Router: each try is a call"
        ),
        pytest.param(
            "router falls back",
            [
                {**FAILED, "model": "broken"},
                {**WHOLE, "model": "gpt-4o-mini"},
                {"outcome": "rate_limited", "model": "limited"},
                {**STREAM, "model": "gpt-4o-mini"},
            ],
            id="a Router that falls back",
        ),
        pytest.param("fallbacks", [{**FAILED, "model": "broken"}, {**WHOLE, "model": "gpt-4o-mini"}], id="fallbacks"),
        pytest.param("cached", [WHOLE, {"outcome": "cached", "usage": COUNTED}], id="an answer from its cache"),
    ],
)
def test_a_failure_and_what_follows_are_told_apart(recorded: Any, call: str, expected: list[dict[str, Any]]) -> None:
    assert members(recorded[call], expected) == expected


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        pytest.param("over an instrumented client", [WHOLE], id="over an instrumented client"),
        pytest.param("stream over an instrumented client", [STREAM, STREAM], id="streams over it"),
        pytest.param("retried over an instrumented client", [FAILED, WHOLE], id="retries over it"),
        pytest.param("under langchain", [WHOLE], id="under LangChain"),
        pytest.param("in threads", [WHOLE] * 4, id="in threads"),
        pytest.param("in tasks", [WHOLE] * 4, id="in tasks"),
    ],
)
def test_layers_count_a_call_once(recorded: Any, call: str, expected: list[dict[str, Any]]) -> None:
    assert members(recorded[call], expected) == expected


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        pytest.param("callbacks replaced", [WHOLE, STREAM], id="the application replaces all callbacks"),
        pytest.param("imported before", [WHOLE], id="imported by its name before"),
        pytest.param("imported before, stream", [STREAM], id="so is a stream"),
        pytest.param("imported before, async", [WHOLE], id="and an asynchronous call"),
    ],
)
def test_nothing_hangs_on_callbacks_or_their_order(recorded: Any, call: str, expected: list[dict[str, Any]]) -> None:
    assert members(recorded[call], expected) == expected


def test_callbacks_of_the_application_are_told_as_before_though_one_fails(recorded: Any) -> None:
    assert all(told > 10 for told in recorded["callbacks of the application"])


def members(found: list[dict[str, Any]], expected: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return of each event what is expected of it; all of one that nobody expects."""
    wanted = [*expected, *[{}] * len(found)]
    return [{name: one.get(name) for name in names or one} for one, names in zip(found, wanted, strict=False)]
