"""A Docker engine to prove the compose files on: the one that answers, else one of our own in a folder of our own.

Our own comes out of Debian's docker.io, unpacked, not installed (as root only: an engine needs it). It keeps its
data, its socket and its process below the folder that it is given, and ends with the proof.
"""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from topmast import debian
from topmast.errors import PrerequisiteError, TopmastError

# What docker.io needs beside it where nothing is installed.
PACKAGES = ("docker.io", "containerd", "runc", "iptables", "libip4tc2", "libip6tc2", "libxtables12", "libmnl0")
LIBRARIES = ("libnetfilter-conntrack3", "libnfnetlink0", "libnftnl11", "tini")
READY_SECONDS = 60
# The builder that every engine has; ours need nothing of the newer one.
BUILDER = {"DOCKER_BUILDKIT": "0"}


@dataclass(frozen=True)
class DockerEngine:
    """A client and where its engine listens."""

    client: str
    environment: Mapping[str, str] = field(default_factory=dict)

    def run(
        self, *arguments: str | Path, seconds: float = 600, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run `docker ARGUMENTS`. Raises TopmastError with its last words when it fails and `check` is set."""
        return call([self.client, *map(str, arguments)], self.environment, seconds, check)

    def version(self) -> str:
        return self.run("version", "--format", "{{.Server.Version}}").stdout.strip()


def call(
    argv: Sequence[str], environment: Mapping[str, str], seconds: float, check: bool = True, text: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end. Raises TopmastError with its last words when it fails and `check` is set."""
    told = {**os.environ, **environment}
    try:
        done = subprocess.run(
            argv, env=told, input=text, capture_output=True, text=True, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise TopmastError(f"{' '.join(argv[:6])}: not done after {seconds:.0f} s") from error
    if check and done.returncode != 0:
        said = f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        raise TopmastError(f"{' '.join(argv[:6])}: exit {done.returncode}\n{said}")
    return done


def refusal() -> str:
    """Return why this machine cannot have an engine, cheaply and without starting one; empty when it can."""
    if present() is not None:
        return ""
    if os.geteuid() != 0:
        return "no Docker engine answers, and only root can start one"
    if shutil.which("apt-get") is None:
        return "no Docker engine answers, and there is no apt-get to fetch one with"
    # An ordinary container's root may neither mount nor have control groups.
    if subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode != 0:
        return "no Docker engine answers, and root may not mount here"
    if "cgroup" not in Path("/proc/self/mounts").read_text(encoding="utf-8"):
        return "no Docker engine answers, and no control groups are mounted"
    return ""


def present() -> DockerEngine | None:
    """Return the engine that answers already, if one does."""
    client = shutil.which("docker")
    if client is None:
        return None
    try:
        done = subprocess.run([client, "info"], capture_output=True, check=False, timeout=30)
    except subprocess.TimeoutExpired:
        return None
    return DockerEngine(client, BUILDER) if done.returncode == 0 else None


@contextmanager
def engine(folder: Path) -> Iterator[DockerEngine]:
    """Yield an engine that answers. Raises PrerequisiteError with the reason when this machine has none.

    `folder` exists, is nobody else's, and its path is short: a socket's path has at most 107 bytes.
    """
    if answering := present():
        yield answering
        return
    if why := refusal():
        raise PrerequisiteError(why)
    root = debian.unpack([*PACKAGES, *LIBRARIES], folder / "packages", lambda _: None)
    library = next(iter(sorted((root / "usr/lib").glob("*-linux-gnu"))), root / "usr/lib")
    environment = {
        "PATH": f"{root / 'usr/bin'}:{root / 'usr/sbin'}:{_tools(root, folder)}:{os.environ['PATH']}",
        "LD_LIBRARY_PATH": str(library),
        "XTABLES_LIBDIR": str(library / "xtables"),
        "DOCKER_HOST": f"unix://{folder / 'd.sock'}",
        **BUILDER,
    }
    argv = [str(root / "usr/sbin/dockerd"), "-H", environment["DOCKER_HOST"], "--data-root", str(folder / "data")]
    argv += ["--exec-root", str(folder / "exec"), "--pidfile", str(folder / "d.pid")]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(argv, env={**os.environ, **environment}, stdout=log, stderr=log)
    found = DockerEngine(str(root / "usr/bin/docker"), environment)
    try:
        deadline = time.monotonic() + READY_SECONDS
        while found.run("info", check=False, seconds=30).returncode != 0:
            if process.poll() is not None or time.monotonic() > deadline:
                raise PrerequisiteError(f"dockerd does not start here: {(folder / 'log').read_text()[-400:]}")
            time.sleep(0.2)  # the step of a polled condition
        yield found
    finally:
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)


def _tools(root: Path, folder: Path) -> Path:
    """Return a folder with iptables by its plain name, which the package leaves to update-alternatives."""
    links = folder / "links"
    links.mkdir()
    for name in ("iptables", "ip6tables"):
        (links / name).symlink_to(root / "usr/sbin" / f"{name}-legacy")
    return links
