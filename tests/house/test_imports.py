"""Arrows point one way, imports have no effect, and the supervisor needs nothing but Python."""

import json
import os
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = {"topmast": "appliance", "topmast_exporter": "exporter", "topmast_shipper": "shipper"}

# Imports modules one after the other and prints what each did beside defining names (the error, if it failed).
# What a foreign library does while it is being imported is its own affair: frames of the import system stand
# between it and us then.
WATCH = """
import importlib, json, os, sys

home, *names = sys.argv[1:]
did = []
seen = {}

def ours(direct=False):
    frame = sys._getframe(2)
    while frame is not None:
        file = frame.f_code.co_filename
        if file.startswith(home) and "site-packages" not in file:
            return f"{os.path.relpath(file, home)}:{frame.f_lineno}"
        if "importlib" in file or (direct and not file.endswith(("os>", "/os.py", "_abc>", "_abc.py"))):
            return None
        frame = frame.f_back
    return None

EFFECTS = {"socket.connect", "socket.bind", "subprocess.Popen", "os.system", "os.fork", "os.mkdir", "os.remove",
           "os.rename", "_thread.start_new_thread", "sqlite3.connect", "urllib.Request", "signal.pthread_kill"}

def hook(event, arguments):
    writes = event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+")
    if event in EFFECTS or writes:
        at = ours()
        if at:
            did.append(f"{at}: {event}")

class Watched(type(os.environ)):
    def __getitem__(self, key):
        at = ours(direct=True)  # what a library asks on its own (click: the language) is not ours
        if at:
            did.append(f"{at}: reads the environment: {key}")
        return super().__getitem__(key)

os.environ.__class__ = Watched
sys.addaudithook(hook)
for name in names:
    did.clear()
    try:
        importlib.import_module(name)
    except Exception as error:
        did.append(f"{type(error).__name__}: {error}")
    seen[name] = list(did)
print(json.dumps(seen))
"""


def names() -> list[str]:
    found = []
    for package, folder in PACKAGES.items():
        root = ROOT / folder / package
        found += [
            info.name
            for info in pkgutil.walk_packages([str(root)], prefix=f"{package}.", onerror=lambda _: None)
            if not info.name.endswith("__main__")
        ]
    return sorted(found)


def test_the_import_contracts_hold() -> None:
    lint = Path(sys.executable).with_name("lint-imports")

    done = subprocess.run([lint, "--no-cache"], cwd=ROOT, capture_output=True, text=True, timeout=120)

    # The count as well: a linter that ran nothing leaves with 0 too.
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 kept, 0 broken" in done.stdout


def watch(home: Path, names: list[str], cwd: Path, environment: dict[str, str]) -> dict[str, list[str]]:
    """Return what the import of each module did."""
    done = subprocess.run(
        [sys.executable, "-B", "-c", WATCH, str(home), *names],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    seen: dict[str, list[str]] = json.loads(done.stdout)
    return seen


def test_an_import_has_no_effect(tmp_path: Path) -> None:
    seen = watch(ROOT, names(), tmp_path, dict(os.environ))

    assert {name: did for name, did in seen.items() if did} == {}
    assert list(tmp_path.iterdir()) == []


def test_the_watch_sees_what_it_is_for(tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text("import os\nos.environ.get('X')\nopen('made', 'w').close()\n")
    (tmp_path / "broken.py").write_text("1 / 0\n")

    seen = watch(tmp_path, ["bad", "broken"], tmp_path, {"PYTHONPATH": "."})

    assert seen == {
        "bad": ["bad.py:2: reads the environment: X", "bad.py:3: open"],
        "broken": ["ZeroDivisionError: division by zero"],
    }


@pytest.mark.parametrize("module", ["topmast.supervisor", "topmast.guard", "topmast.child", "topmast.debian"])
def test_needs_nothing_but_python(module: str) -> None:
    """The supervisor stays small in memory, and bootstrap.py runs before anything is installed."""
    # -I -S: without site-packages a foreign import fails.
    script = f"import sys; sys.path.insert(0, {str(ROOT / 'appliance')!r}); import {module}"

    done = subprocess.run(
        [sys.executable, "-I", "-S", "-B", "-c", script], capture_output=True, text=True, timeout=30
    )

    assert done.returncode == 0, done.stderr
