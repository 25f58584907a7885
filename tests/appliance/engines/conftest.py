"""A set-up with programs that only tell their version: what the engines make of it."""

from pathlib import Path

import pytest
from topmast.engine import Setup
from topmast.layout import Layout


@pytest.fixture
def setup(tmp_path: Path) -> Setup:
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\necho 'program, version 9.8.7'\n")
    program.chmod(0o755)
    names = ("prometheus", "alertmanager", "node_exporter")
    settings = {
        "engines": {name: {"path": str(program)} for name in names},
        "retention": {"metrics_days": 12, "metrics_bytes": 3_000_000},
        "public_url": "http://localhost:3008",
        "page": {"listen": "", "web_config_file": "", "hosts": [], "trace_url": ""},
    }
    return Setup(Layout(tmp_path, tmp_path / "state", 7), settings, demo=False, real_clocks=False, say=print)
