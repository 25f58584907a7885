"""redis-py is loaded without the SDK of OpenTelemetry, which the tests' environment has."""

import json
import subprocess
import sys

import pytest

TOLD = "import json; print(json.dumps(sorted(m for m in sys.modules if m.startswith('opentelemetry'))))"


def loaded(*lines):
    """Return the modules of OpenTelemetry that a fresh process holds after these lines."""
    script = "\n".join(("import sys", *lines, TOLD))
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True, timeout=60)
    return json.loads(done.stdout)


def test_redis_py_by_itself_imports_what_this_leaves_out():
    assert "opentelemetry.sdk.metrics" in loaded("import redis")


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param(("from topmast_exporter import redis_library", "redis_library.load()"), id="by itself"),
        pytest.param(
            (
                "from topmast_exporter.collectors.redis import Config, RedisSource",
                "RedisSource(Config('cache', 'redis://127.0.0.1:9/0'))",
                "from redis.connection import Connection",
            ),
            id="by the collector",
        ),
    ],
)
def test_no_sdk_comes_with_it(lines):
    assert [name for name in loaded(*lines) if "metrics" in name or "sdk" in name] == []


def test_who_imports_the_sdk_afterwards_has_it():
    lines = ("from topmast_exporter import redis_library", "redis_library.load()", "import opentelemetry.sdk.metrics")

    assert "opentelemetry.sdk.metrics" in loaded(*lines)


def test_an_sdk_that_is_there_already_stays():
    before = "import opentelemetry.sdk.metrics as sdk"
    after = "assert sys.modules['opentelemetry.sdk.metrics'] is sdk"

    assert loaded(before, "from topmast_exporter import redis_library", "redis_library.load()", after)


def test_it_works_without_it(valkey):
    script = (
        "from topmast_exporter import redis_library\n"
        "import sys\n"
        "with redis_library.load().Redis.from_url(sys.argv[1]) as client: print(client.ping())"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, valkey], check=True, capture_output=True, text=True, timeout=60
    )

    assert done.stdout == "True\n"
