"""The newest promtool and Alertmanager, built from their Go modules: our files are for Debian 12's and for these.

github.com/prometheus/prometheus is tagged v0.3MM.P for release 3.MM.P; whatever is the latest is built, once.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from topmast.errors import PrerequisiteError
from topmast.layout import Layout

VARIABLE = "TOPMAST_PROMTOOL_NEWEST"
ALERTMANAGER = "TOPMAST_ALERTMANAGER_NEWEST"
"""Names the folder of amtool and alertmanager."""
_MODULE = "github.com/prometheus/prometheus"
_STAMP = "github.com/prometheus/common/version.Version"
# Without the clouds' service discoveries: no rule needs them, and they are most of what would be fetched.
_TAGS = ("-tags", "remove_all_sd")
_SECONDS = 1800
_ALERTMANAGER_MODULE = "github.com/prometheus/alertmanager"
_PROGRAMS = ("amtool", "alertmanager")


def find(layout: Layout) -> Path | None:
    """Return the newest promtool: as the environment names it, else as it was built; None when neither is there."""
    named = os.environ.get(VARIABLE)
    path = Path(named) if named else layout.engines / "newest" / "promtool"
    return path.resolve() if path.is_file() else None


def build(layout: Layout, say: Callable[[str], None]) -> Path:
    """Return the newest promtool, built if it is not there. Raises PrerequisiteError with Go's words."""
    found = find(layout)
    if found is not None:
        return found
    if shutil.which("go") is None:
        raise PrerequisiteError("no go on PATH to build the newest promtool with")
    folder = layout.engines / "newest"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "go.mod").write_text("module newest\n", encoding="utf-8")
    _go(folder, "get", *_TAGS, f"{_MODULE}/cmd/promtool@latest")
    version = release(_go(folder, "list", "-m", "-f", "{{.Version}}", _MODULE).strip())
    say(f"building promtool {version}, once; some minutes")
    # Under its final name only when it is whole.
    stamp = ("-ldflags", f"-X {_STAMP}={version}")
    _go(folder, "build", *_TAGS, *stamp, "-o", "promtool.new", f"{_MODULE}/cmd/promtool")
    return (folder / "promtool.new").rename(folder / "promtool")


def build_alertmanager(layout: Layout, say: Callable[[str], None]) -> Path:
    """Return the folder of the newest amtool and alertmanager, built if they are not there.

    Raises PrerequisiteError with Go's words. The module comes without its web page, which its own build makes with
    Node: an empty one stands in.
    """
    folder = Path(os.environ.get(ALERTMANAGER) or layout.engines / "newest-alertmanager").resolve()
    if all((folder / name).is_file() for name in _PROGRAMS):
        return folder
    if shutil.which("go") is None:
        raise PrerequisiteError("no go on PATH to build the newest Alertmanager with")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "go.mod").write_text("module newest\n", encoding="utf-8")
    commands = [f"{_ALERTMANAGER_MODULE}/cmd/{name}" for name in _PROGRAMS]
    _go(folder, "get", *(f"{each}@latest" for each in commands))
    version, source = _go(folder, "list", "-m", "-f", "{{.Version}} {{.Dir}}", _ALERTMANAGER_MODULE).split()
    say(f"building Alertmanager {version}, once; some minutes")
    copy = folder / "source"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(source, copy, copy_function=shutil.copyfile)
    for path in (copy, *copy.rglob("*")):
        if path.is_dir():
            path.chmod(0o755)  # the module cache is read-only
    for page in ("elm", "mantine"):
        (copy / "ui" / "app" / "dist" / page).mkdir(parents=True)
        (copy / "ui" / "app" / "dist" / page / "index.html").write_text("<!doctype html>\n", encoding="utf-8")
    _go(folder, "mod", "edit", f"-replace={_ALERTMANAGER_MODULE}=./source")
    for name, command in zip(_PROGRAMS, commands, strict=True):
        _go(folder, "build", "-ldflags", f"-X {_STAMP}={version}", "-o", f"{name}.new", command)
        (folder / f"{name}.new").rename(folder / name)
    shutil.rmtree(copy)
    return folder


def release(tag: str) -> str:
    """Return the release of a module's version: `3.15.0` of `v0.315.0`."""
    found = re.fullmatch(r"v0\.(\d)(\d\d)\.(\d+)", tag)
    return f"{found[1]}.{int(found[2])}.{found[3]}" if found else tag


def _go(folder: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(
            ["go", *arguments],
            cwd=folder,
            # Only promtool's own code is needed; no C compiler is asked for.
            env={**os.environ, "CGO_ENABLED": "0"},
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PrerequisiteError(f"go {arguments[0]}: {error}") from error
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or ["no message"]
        raise PrerequisiteError(f"go {arguments[0]}: {' '.join(lines[-2:])[:300]}")
    return done.stdout
