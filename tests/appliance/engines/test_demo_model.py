"""The demo's model provider starts, is ready, and sees the faults that the demo is given."""

import json
import os
import subprocess
import time
import urllib.request
from pathlib import Path

from topmast import demo, probe
from topmast.engine import Setup
from topmast.engines.demo_model import ENGINE
from topmast.layout import PORTS, Layout

HOME = Path(__file__).parents[3]


def test_a_fault_that_was_injected_reaches_it(tmp_path: Path, port: int) -> None:
    layout = Layout(HOME, tmp_path, port - PORTS["demo-model"])
    component = ENGINE.component(Setup(layout, {}, demo=True, real_clocks=False, say=print))

    process = subprocess.Popen(component.argv, env={**os.environ, **component.env})
    try:
        deadline = time.monotonic() + 30
        while not probe.answers(component.ready):
            assert process.poll() is None and time.monotonic() < deadline, "the provider did not come up"
            time.sleep(0.02)
        demo.start_fault(layout, "llm-outage", 60)
        while "llm-outage" not in active(layout):
            assert time.monotonic() < deadline, "the fault did not arrive"
            time.sleep(0.02)
    finally:
        process.terminate()
        process.wait(10)


def active(layout: Layout) -> dict[str, float]:
    with urllib.request.urlopen(f"{layout.url('demo-model')}/control", timeout=5) as answer:
        found: dict[str, float] = json.load(answer)["active"]
    return found
