"""An installation of one distribution, made of links, holds what it needs and not what is beside it."""

import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from topmast.installation import link, needs


def run(path: list[Path], *lines: str) -> str:
    argv = [sys.executable, "-S", "-c", "\n".join(lines)]
    done = subprocess.run(
        argv,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, path))},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stdout.strip()


def test_an_extra_is_asked_for_by_its_name() -> None:
    assert "redis" in needs("topmast-exporter[redis]")
    assert "redis" not in needs("topmast-exporter")
    assert needs("topmast-exporter[redis]")["topmast-exporter"] == {"prometheus-client", "redis"}


def test_what_is_not_installed_is_said() -> None:
    with pytest.raises(metadata.PackageNotFoundError):
        needs("no-such-distribution")


def test_it_imports_what_it_needs_and_nothing_else(tmp_path: Path) -> None:
    path = link("topmast-exporter[standalone]", tmp_path)

    found = run(
        path,
        "import importlib.util, topmast_exporter.standalone, psycopg, redis, yaml, google.protobuf",
        "import opentelemetry.proto.trace.v1.trace_pb2",
        "print([bool(importlib.util.find_spec(n)) for n in ('pytest', 'topmast', 'opentelemetry.sdk', 'lark')])",
    )

    assert found == "[False, False, False, False]"
