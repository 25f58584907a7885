"""A limit on what processes take of memory: control groups (version 2, else 1) of a run's own. Needs root.

A page is charged to the group that its process was in when it first touched it, so a limit binds whoever was born in
the group: move the parent in, let it fork, move it back (`birthplace`).
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from topmast.errors import PrerequisiteError

MOUNTS = Path("/proc/self/mounts")
_EMPTY_SECONDS = 10.0


@dataclass(frozen=True)
class Limits:
    """A folder of groups, one a name, each with its limit."""

    version: int
    mount: Path
    folder: Path

    def group(self, name: str, limit_bytes: int) -> None:
        """Make a group whose processes take no more than `limit_bytes` together; the kernel ends one that does."""
        group = self.folder / name
        group.mkdir()
        # cgroup-v2.rst (memory.max); cgroup-v1/memory.rst (memory.limit_in_bytes)
        (group / {1: "memory.limit_in_bytes", 2: "memory.max"}[self.version]).write_text(str(limit_bytes))

    @contextmanager
    def birthplace(self, name: str, parent: int) -> Iterator[None]:
        """Have whatever `parent` forks meanwhile be born in the group; the parent goes back afterwards."""
        home = self.mount / _path(parent, self.version).lstrip("/")
        (self.folder / name / "cgroup.procs").write_text(str(parent))
        try:
            yield
        finally:
            (home / "cgroup.procs").write_text(str(parent))

    def members(self, name: str) -> set[int]:
        return {int(pid) for pid in (self.folder / name / "cgroup.procs").read_text().split()}

    def killed(self, name: str) -> int:
        """Return how many processes the kernel has ended in the group for want of memory."""
        told = (self.folder / name / {1: "memory.oom_control", 2: "memory.events"}[self.version]).read_text()
        return next((int(line.split()[1]) for line in told.splitlines() if line.startswith("oom_kill ")), 0)


@contextmanager
def limits(name: str, mounts: Path = MOUNTS) -> Iterator[Limits]:
    """Yield a folder for groups; it is gone afterwards, so what ran in them has ended by then.

    Raises PrerequisiteError with the reason where this machine has none to give.
    """
    version, mount = _hierarchy(mounts)
    # Below what this process is in, so that a limit that holds for it holds for them, too. In version 2 only the
    # root may have both processes and groups with limits.
    above = mount / _path(os.getpid(), version).lstrip("/") if version == 1 else mount
    folder = above / name
    try:
        folder.mkdir()
        if version == 2:
            (folder / "cgroup.subtree_control").write_text("+memory")
    except OSError as error:
        raise PrerequisiteError(f"{error.filename}: {error.strerror}") from error
    try:
        yield Limits(version, mount, folder)
    finally:
        _remove(folder)


def _hierarchy(mounts: Path) -> tuple[int, Path]:
    """Return the version and the mount point of the hierarchy that limits memory."""
    if os.geteuid() != 0:
        raise PrerequisiteError("only root can set one")
    for line in mounts.read_text(encoding="utf-8").splitlines():
        _, where, kind, options = line.split()[:4]
        if kind == "cgroup" and "memory" in options.split(","):
            return 1, Path(where)
        if kind == "cgroup2" and "memory" in (Path(where) / "cgroup.subtree_control").read_text().split():
            return 2, Path(where)
    raise PrerequisiteError("no control group limits memory here")


def _path(pid: int, version: int) -> str:
    """Return the group that a process is in, below the hierarchy's mount (cgroups(7), /proc/PID/cgroup)."""
    for line in Path(f"/proc/{pid}/cgroup").read_text(encoding="utf-8").splitlines():
        number, controllers, path = line.split(":", 2)
        if "memory" in controllers.split(",") if version == 1 else number == "0":
            return path
    return "/"


def _remove(folder: Path) -> None:
    """Remove the groups; one whose last process is being buried is busy for a moment longer."""
    deadline = time.monotonic() + _EMPTY_SECONDS
    for group in [*(path for path in folder.iterdir() if path.is_dir()), folder]:
        while group.is_dir():
            with suppress(OSError):
                group.rmdir()
                break
            if time.monotonic() > deadline:
                return
            time.sleep(0.1)  # the step of a polled condition
