"""Alertmanager: groups, routes and sends. The real one, version 0.25 or newer.

Debian's 0.25 opens /usr/share/prometheus/alertmanager/default.tmpl by its absolute path and dies where the package
is only unpacked. A private copy of the binary reads `/proc/self/cwd///…` instead, the same number of bytes, and is
started in the folder that holds its templates (docs/decisions has the other ways that were tried).
"""

import os
import shutil
from pathlib import Path

from topmast.binaries import Program, find
from topmast.component import Component
from topmast.engine import Engine, Setup
from topmast.errors import PrerequisiteError

_BUILT_IN = b"/usr/share/prometheus/alertmanager"
_HERE = b"/proc/self/cwd".ljust(len(_BUILT_IN), b"/")


def relocated(program: Program, into: Path) -> Path:
    """Return a copy of the unpacked program that finds its templates in its working directory.

    Raises PrerequisiteError when the built-in path is not where it is expected.
    """
    target = into / "alertmanager"
    if target.is_file() and target.stat().st_mtime >= program.path.stat().st_mtime:
        return target
    built = program.path.read_bytes()
    if _BUILT_IN not in built:
        return program.path  # an official build: its templates are inside
    into.mkdir(parents=True, exist_ok=True)
    draft = target.with_suffix(f".{os.getpid()}")
    draft.write_bytes(built.replace(_BUILT_IN, _HERE))
    draft.chmod(0o755)
    draft.rename(target)
    return target


def runnable(setup: Setup) -> tuple[Program, Path, Path]:
    """Return the program, the path to start it by, and the working directory in which it finds its templates."""
    layout = setup.layout
    program = find("alertmanager", ("alertmanager", "prometheus-alertmanager"), layout, setup.settings, setup.say)
    path, cwd = program.path, layout.state
    if program.origin == "package":
        templates = program.path.parents[1] / "share" / "prometheus" / "alertmanager"
        path = relocated(program, layout.engines / "relocated")
        cwd = layout.engines / "relocated"
        for name in ("default.tmpl", "email.tmpl"):
            if not (templates / name).is_file():
                raise PrerequisiteError(f"{templates / name}: the alertmanager package lacks its templates")
            shutil.copyfile(templates / name, cwd / name)
    return program, path, cwd


def component(setup: Setup) -> Component:
    layout = setup.layout
    program, path, cwd = runnable(setup)
    data = layout.data / "alertmanager"
    data.mkdir(parents=True, exist_ok=True)
    return Component(
        name="alertmanager",
        argv=(
            str(path),
            f"--config.file={layout.rendered / 'alertmanager' / 'alertmanager.yml'}",
            f"--storage.path={data}",
            "--data.retention=120h",
            f"--web.listen-address={layout.address('alertmanager')}",
            f"--web.external-url={layout.url('alertmanager')}/",
            "--cluster.listen-address=",  # one of it: no gossip port
            "--log.level=warn",
        ),
        version=program.version(),
        address=layout.address("alertmanager"),
        ready=f"{layout.url('alertmanager')}/-/ready",
        cwd=str(cwd),
        env={"GOMAXPROCS": "1"},
    )


ENGINE = Engine(name="alertmanager", summary="groups, routes and sends alerts", component=component)
