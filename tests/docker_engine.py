"""A Docker engine for the suite `docker`: the one that answers, else one of our own in a folder of our own.

Our own comes out of Debian's docker.io, unpacked, not installed (as root only: an engine needs it). It keeps its
data, its socket and its process below the folder that it is given, and ends with the tests.
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

# What docker.io needs beside it where nothing is installed.
PACKAGES = ("docker.io", "containerd", "runc", "iptables", "libip4tc2", "libip6tc2", "libxtables12", "libmnl0")
LIBRARIES = ("libnetfilter-conntrack3", "libnfnetlink0", "libnftnl11", "tini")
READY_SECONDS = 60


class NoEngineError(Exception):
    """Why there is no engine to test with."""


@dataclass(frozen=True)
class Engine:
    """A client and where its engine listens."""

    client: str
    environment: Mapping[str, str] = field(default_factory=dict)

    def run(
        self, *arguments: str | Path, seconds: float = 600, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run `docker ARGUMENTS`; fail with its last words."""
        return call([self.client, *map(str, arguments)], self.environment, seconds, check)


def call(
    argv: Sequence[str], environment: Mapping[str, str], seconds: float, check: bool = True
) -> subprocess.CompletedProcess[str]:
    told = {**os.environ, **environment}
    done = subprocess.run(argv, env=told, capture_output=True, text=True, timeout=seconds, check=False)
    assert not check or done.returncode == 0, (
        f"{argv[:6]}: exit {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    )
    return done


@contextmanager
def engine(folder: Path) -> Iterator[Engine]:
    """Yield an engine that answers. Raises NoEngineError with the reason when this machine has none."""
    present = shutil.which("docker")
    if present and subprocess.run([present, "info"], capture_output=True, check=False, timeout=30).returncode == 0:
        yield Engine(present, {"DOCKER_BUILDKIT": "0"})
        return
    if os.geteuid() != 0:
        raise NoEngineError("no Docker engine answers, and only root can start one")
    root = debian.unpack([*PACKAGES, *LIBRARIES], folder / "packages", lambda _: None)
    library = root / "usr/lib/x86_64-linux-gnu"
    environment = {
        "PATH": f"{root / 'usr/bin'}:{root / 'usr/sbin'}:{tools(root, folder)}:{os.environ['PATH']}",
        "LD_LIBRARY_PATH": str(library),
        "XTABLES_LIBDIR": str(library / "xtables"),
        "DOCKER_HOST": f"unix://{folder / 'd.sock'}",
        # The builder that every engine has; ours need nothing of the newer one.
        "DOCKER_BUILDKIT": "0",
    }
    argv = [str(root / "usr/sbin/dockerd"), "-H", environment["DOCKER_HOST"], "--data-root", str(folder / "data")]
    argv += ["--exec-root", str(folder / "exec"), "--pidfile", str(folder / "d.pid")]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(argv, env={**os.environ, **environment}, stdout=log, stderr=log)
    found = Engine(str(root / "usr/bin/docker"), environment)
    try:
        deadline = time.monotonic() + READY_SECONDS
        while found.run("info", check=False, seconds=30).returncode != 0:
            if process.poll() is not None or time.monotonic() > deadline:
                raise NoEngineError(f"dockerd does not start here: {(folder / 'log').read_text()[-400:]}")
            time.sleep(0.2)  # the step of a polled condition
        yield found
    finally:
        process.terminate()
        process.wait(60)


def tools(root: Path, folder: Path) -> Path:
    """Return a folder with iptables by its plain name, which the package leaves to update-alternatives."""
    links = folder / "links"
    links.mkdir()
    for name in ("iptables", "ip6tables"):
        (links / name).symlink_to(root / "usr/sbin" / f"{name}-legacy")
    return links


def unpack_closure(packages: Sequence[str], into: Path) -> None:
    """Unpack the packages and all that they depend on, as if nothing was installed: the root of an image.

    Nothing is configured: what a package's own scripts would make is not there.
    """
    work = into.parent / f"{into.name}.apt"
    for name in ("lists/partial", "cache/archives/partial"):
        (work / name).mkdir(parents=True)
    (work / "status").touch()
    options = [f"Dir::State::lists={work / 'lists'}", f"Dir::Cache={work / 'cache'}"]
    options += [f"Dir::State::status={work / 'status'}", "APT::Sandbox::User=", "Debug::NoLocking=true"]
    options += ["APT::Install-Recommends=false", "Acquire::Languages=none"]
    apt = ["apt-get", "-q", "-y", *(word for option in options for word in ("-o", option))]
    call([*apt, "update"], {}, 300)
    call([*apt, "install", "--download-only", *packages], {}, 600)
    for archive in sorted((work / "cache/archives").glob("*.deb")):
        call(["dpkg", "-x", str(archive), str(into)], {}, 60)
    shutil.rmtree(work)
