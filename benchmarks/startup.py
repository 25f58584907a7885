"""How long a person waits, and what the appliance costs: start to panels, memory, idle CPU."""

import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from topmast import chromium
from topmast.benchmark import Benchmark, Run
from topmast.errors import PrerequisiteError, TopmastError
from topmast.layout import Layout
from topmast.measure import Measure, measure
from topmast.processes import cpu_seconds

OFFSET = 4000
CORE = ("prometheus", "alertmanager", "node_exporter", "exporter", "shipper", "page")


def run(bench: Run) -> Sequence[Measure]:
    with tempfile.TemporaryDirectory(prefix="topmast-startup-") as folder:
        measures = [*_idle(bench, Path(folder) / "idle"), *_demo(bench, Path(folder) / "demo")]
        measures.append(_from_clone(bench, Path(folder) / "clone"))
    return measures


@contextmanager
def _up(home: Path, state: Path, *arguments: str) -> Iterator[dict[str, Any]]:
    """Yield the status of a started appliance, and stop it afterwards."""
    launcher = [str(home / "topmast"), "--state", str(state)]
    argv = [*launcher, "up", "--detach", "--json", "--port-offset", str(OFFSET), *arguments]
    try:
        done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=400)
        if done.returncode != 0:
            raise TopmastError(f"up {' '.join(arguments)}: {done.stderr.strip()[-300:]}")
        yield json.loads(done.stdout)
    finally:
        subprocess.run([*launcher, "down"], capture_output=True, check=False, timeout=120)


def _with_engines(bench: Run, state: Path) -> Path:
    """Return a fresh state folder that has the engines: packages installed is what these measures say."""
    unpacked = Path(os.environ.get("TOPMAST_STATE", bench.home / ".topmast")) / "engines"
    if unpacked.is_dir():
        shutil.copytree(unpacked, state / "engines", symlinks=True)
    return state


def _idle(bench: Run, state: Path) -> Iterator[Measure]:
    """Measure without the demo: engines ready, memory and CPU with nothing to do."""
    _with_engines(bench, state)
    with _up(bench.home, state) as status:
        pids = {one["name"]: one["pid"] for one in status["components"]}
    began = time.monotonic()
    with _up(bench.home, state) as status:
        ready = time.monotonic() - began
        yield measure("startup.engines_ready", ready, "s", "<= 3", note="second start; from the command to all ready")
        pids = {one["name"]: one["pid"] for one in status["components"] if one["name"] in CORE}
        pids["supervisor"] = status["pid"]
        seconds = 600 if bench.full else 60
        bench.say(f"idle for {seconds} s")
        time.sleep(5)
        before = sum(cpu_seconds(pid) for pid in pids.values())
        time.sleep(seconds)
        share = (sum(cpu_seconds(pid) for pid in pids.values()) - before) / seconds * 100
        each = {name: _pss_bytes(pid) / 1e6 for name, pid in pids.items()}
        told = ", ".join(f"{name} {value:.0f}" for name, value in sorted(each.items(), key=lambda kv: -kv[1]))
        yield measure("startup.memory", sum(each.values()), "MB", "<= 280", note=f"PSS after {seconds} s: {told}")
        yield measure("startup.idle_cpu", share, "% of a core", "<= 5", note=f"over {seconds} s")


def _demo(bench: Run, state: Path) -> Iterator[Measure]:
    """Measure with the demo: until the first and until all 17 panels are drawn with data in a browser."""
    _with_engines(bench, state)
    layout = Layout(bench.home, state, OFFSET)
    try:
        browser = chromium.find(layout, bench.say)
    except PrerequisiteError as error:
        for name, goal in (("first_panel", "<= 20"), ("all_panels", "<= 60")):
            yield measure(f"startup.{name}", None, "s", goal, note=str(error))
        return
    began = time.monotonic()
    with _up(bench.home, state, "--demo"):
        first, everything, note = _drawn(browser, layout.url("page"), began)
        yield measure("startup.first_panel", first, "s", "<= 20", note="from the command; demo, Chromium")
        yield measure("startup.all_panels", everything, "s", "<= 60", note=note)


def _drawn(browser: Path, page: str, began: float) -> tuple[float | None, float | None, str]:
    """Return the seconds until one and until all panels have data, and a note that names what was missing."""
    from playwright.sync_api import sync_playwright

    first = None
    with sync_playwright() as play:
        chrome = play.chromium.launch(executable_path=str(browser), args=["--no-sandbox", "--disable-gpu"])
        tab = chrome.new_page(viewport={"width": 1600, "height": 1000})
        tab.goto(page)
        while True:
            states = tab.eval_on_selector_all(
                "[data-panel-id]", "panels => panels.map(p => [p.dataset.panelId, p.dataset.state])"
            )
            ready = [panel for panel, state in states if state == "ready"]
            now = time.monotonic() - began
            if ready and first is None:
                first = now
            if len(ready) == len(states) == 17:
                return first, now, "17 panels with data, none with an error"
            if now > 120:
                missing = sorted(panel for panel, state in states if state != "ready")
                return first, None, f"after 120 s {len(ready)} of {len(states)}; without data: panels {missing}"
            time.sleep(0.2)


def _from_clone(bench: Run, folder: Path) -> Measure:
    """Measure a clone with nothing installed: `./topmast up --demo` until everything is ready."""
    done = subprocess.run(
        ["git", "clone", "-q", str(bench.home), str(folder)], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        return measure("startup.from_clone", None, "s", "<= 120", note=f"git clone: {done.stderr.strip()[:200]}")
    bench.say("from a clone: installs everything")
    began = time.monotonic()
    with _up(folder, folder / ".topmast", "--demo"):
        seconds = time.monotonic() - began
    return measure("startup.from_clone", seconds, "s", "<= 120", note="venv, packages, engines, all components ready")


def _pss_bytes(pid: int) -> int:
    # proc(5): Pss counts a shared page's share, so that the sum over processes is what the machine pays.
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return 0


BENCHMARK = Benchmark(name="startup", summary="from the command to panels; memory and idle CPU", run=run)
