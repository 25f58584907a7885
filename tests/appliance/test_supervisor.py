"""The supervisor with real children: order, restart, stop, and nothing left behind."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from topmast import handover, lock
from topmast.component import Component
from topmast.errors import NotRunningError, StateError
from topmast.layout import Layout

# Says it is ready by listening; ends at SIGTERM like a server.
SERVER = """
import signal, socket, sys
plug = socket.socket(); plug.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
plug.bind(("127.0.0.1", int(sys.argv[1]))); plug.listen(64)
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
while True:
    plug.accept()[0].close()
"""
STUBBORN = "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + SERVER.replace(
    "signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))\n", ""
)


def until(what: str, condition: Callable[[], Any], seconds: float = 20) -> Any:
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, what
        time.sleep(0.02)
    return value


def free_port() -> int:
    with socket.socket() as plug:
        plug.bind(("127.0.0.1", 0))
        port: int = plug.getsockname()[1]
        return port


def server(name: str, *, needs: tuple[str, ...] = (), code: str = SERVER, **more: Any) -> Component:
    port = free_port()
    argv = (sys.executable, "-c", code, str(port))
    return Component(name, argv, ready=f"tcp://127.0.0.1:{port}", address=f"127.0.0.1:{port}", needs=needs, **more)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


class Run:
    """One supervisor over a plan, in a state folder of its own."""

    def __init__(self, layout: Layout, components: list[Component]) -> None:
        self.layout = layout
        held = lock.acquire(layout, lambda _: None)
        handover.plan(layout, components, {"mode": "embedded", "demo": False, "port_offset": 0}, [])
        self.process = handover.detach_supervisor(layout, held)

    def component(self, name: str) -> dict[str, Any]:
        return next(one for one in self.status()["components"] if one["name"] == name)

    def status(self) -> dict[str, Any]:
        try:
            return lock.status(self.layout)
        except NotRunningError:
            return {"ready": False, "components": []}

    def ready(self) -> bool:
        ready: bool = self.status()["ready"]
        return ready

    def pids(self) -> list[int]:
        return [one["pid"] for one in self.status()["components"] if one["pid"]]

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)
        assert lock.wait_released(self.layout, 30)


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path, tmp_path / "state")


@pytest.fixture
def run(layout: Layout) -> Iterator[Callable[..., Run]]:
    runs: list[Run] = []

    def begin(*components: Component) -> Run:
        runs.append(Run(layout, list(components)))
        return runs[-1]

    yield begin
    for one in runs:
        one.end()


def test_starts_what_is_needed_first_and_says_ready(run: Callable[..., Run]) -> None:
    one = run(server("app", needs=("database",)), server("database"))

    until("ready", one.ready)

    log = (one.layout.logs / "supervisor.log").read_text()
    assert log.index("database") < log.index("app ")


def test_a_killed_child_is_back_and_status_says_so_meanwhile(run: Callable[..., Run]) -> None:
    one = run(server("app"))
    until("ready", one.ready)
    before = one.component("app")["pid"]

    os.kill(before, signal.SIGKILL)

    until("not ready meanwhile", lambda: not one.ready())
    until("back", one.ready)
    after = one.component("app")
    assert after["pid"] != before
    assert (after["restarts"], after["exit"]) == (1, "killed by SIGKILL")


def test_a_child_that_cannot_start_is_tried_again_and_told(run: Callable[..., Run]) -> None:
    one = run(Component("broken", ("/nowhere/program",), ready="tcp://127.0.0.1:1"))

    told = until(
        "two tries", lambda: one.component("broken") if one.pids() == [] and one.status()["components"] else {}
    )

    until("restarts", lambda: one.component("broken")["restarts"] >= 2)
    assert "cannot start" in one.component("broken")["exit"]
    assert told["state"] in ("restarting", "waiting", "starting")


def test_stop_ends_all_and_releases_the_folder(run: Callable[..., Run]) -> None:
    one = run(server("database"), server("app", needs=("database",)))
    until("ready", one.ready)
    pids = one.pids()

    one.end()

    assert not any(alive(pid) for pid in pids)
    assert one.process.returncode == 0


def test_a_child_that_ignores_the_stop_signal_is_killed(run: Callable[..., Run]) -> None:
    one = run(server("stubborn", code=STUBBORN, stop_seconds=0.3))
    until("ready", one.ready)
    (pid,) = one.pids()

    one.end()

    assert not alive(pid)


def test_no_orphan_when_the_supervisor_is_killed(run: Callable[..., Run]) -> None:
    one = run(server("app"), server("stubborn", code=STUBBORN))
    until("ready", one.ready)
    pids = one.pids()

    one.process.kill()
    one.process.wait(10)

    until("all children gone", lambda: not any(alive(pid) for pid in pids), seconds=30)
    assert lock.wait_released(one.layout, 20)


def test_a_child_of_a_child_goes_with_it(run: Callable[..., Run]) -> None:
    nested = f"import subprocess, sys\nsubprocess.Popen([sys.executable, '-c', {SERVER!r}, sys.argv[1]]).wait()"
    one = run(server("wrapper", code=nested))
    until("ready", one.ready)
    (pid,) = one.pids()
    inner = int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])

    os.kill(pid, signal.SIGKILL)

    until("the inner one is gone", lambda: not alive(inner))


def test_a_second_run_on_the_folder_is_refused_with_the_place(run: Callable[..., Run]) -> None:
    one = run(server("page"))
    until("ready", one.ready)

    with pytest.raises(StateError, match=r"already running \(pid \d+\): http://127.0.0.1:\d+"):
        lock.acquire(one.layout, lambda _: None)


def test_status_of_an_empty_folder_says_what_to_do(layout: Layout) -> None:
    with pytest.raises(NotRunningError, match="topmast up"):
        lock.status(layout)


def test_a_child_that_hangs_is_told_as_failing(run: Callable[..., Run]) -> None:
    # Answers once, then listens no more: alive, but of no use.
    once = SERVER.replace(
        "while True:\n    plug.accept()[0].close()", "plug.accept()[0].close(); plug.close()\nsignal.pause()"
    )
    one = run(server("hangs", code=once))

    until("failing", lambda: one.status()["components"] and one.component("hangs")["state"] == "failing", seconds=40)

    assert not one.ready()


def test_the_supervisor_imports_the_standard_library_only() -> None:
    code = "import sys, json, topmast.supervisor; print(json.dumps(sorted(m.split('.')[0] for m in sys.modules)))"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    foreign = {name for name in json.loads(done.stdout) if name not in sys.stdlib_module_names and name != "topmast"}
    # site-packages hooks of the environment itself are loaded by every interpreter there.
    assert {name for name in foreign if not name.startswith(("_", "sitecustomize", "__"))} == set()
