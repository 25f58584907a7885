"""Real servers and the field's own exporters, out of the distribution's packages, without root and without a trace.

The proof of parity, the benchmark of the collectors and the tests start them in a folder of their own, on ports of
their own. PostgreSQL and MariaDB refuse to run as root, and run as `nobody` then.
"""

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from topmast import debian
from topmast.errors import PrerequisiteError

READY_SECONDS = 60.0

# What each needs beside what every Debian has.
MARIADB = ("mariadb-server-core", "libaio1", "libnuma1", "liburing2")
REDIS = ("redis-server", "redis-tools", "libjemalloc2", "liblzf1", "libatomic1")
POSTGRES = ("postgresql-15", "postgresql-client-15", "libpq5", "libldap-2.5-0", "libsasl2-2", "libicu72", "libxml2")
# The field's own exporters, by the server that they read.
EXPORTERS = {
    "redis": "prometheus-redis-exporter",
    "postgres": "prometheus-postgres-exporter",
    "mysql": "prometheus-mysqld-exporter",
    "elasticsearch": "prometheus-elasticsearch-exporter",
}


@dataclass(frozen=True)
class Running:
    """One process that was started here, and what it listens on."""

    process: subprocess.Popen[bytes]
    port: int
    folder: Path

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """Stop it in its tracks (SIGSTOP): connections stay open, nothing is answered."""
        pids = self._pids()
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)

    def _pids(self) -> list[int]:
        # not the group: each backend of PostgreSQL makes one of its own
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [self.process.pid, *map(int, children.read_text().split() if children.exists() else ())]

    def stop(self) -> None:
        """End it and what it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(10)
        shutil.rmtree(self.folder, ignore_errors=True)


def free_port() -> int:
    """Return a port of 127.0.0.1 that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def mariadb(state: Path, say: Callable[[str], None], options: Sequence[str] = ()) -> Running:
    """Return a MariaDB whose user `root` has no password. Raises PrerequisiteError."""
    root = debian.unpack(MARIADB, state / "engines" / "mariadb", say)
    binary = root / "usr/sbin/mariadbd"
    folder = _folder("mariadb-")
    _open_to_others(root)
    data, port = folder / "data", free_port()
    data.mkdir()
    _give_away(data)
    share = root / "usr/share/mysql"
    common = [
        "--no-defaults",
        f"--datadir={data}",
        f"--lc-messages-dir={share}",
        f"--character-sets-dir={share / 'charsets'}",
        "--innodb-flush-log-at-trx-commit=0",
        "--innodb-buffer-pool-size=32M",
        "--innodb-log-file-size=8M",
    ]
    system = "".join(
        (share / name).read_text() for name in ("mysql_system_tables.sql", "mysql_system_tables_data.sql")
    )
    boot = (
        "CREATE DATABASE mysql;\nUSE mysql;\n"
        f"SET @auth_root_socket=NULL;\n{system}\nUPDATE global_priv SET priv='{{\"access\":18446744073709551615}}'"
        " WHERE User='root';\n"
    )
    done = _run([str(binary), *common, "--bootstrap", "--enforce-storage-engine="], folder, root, boot.encode())
    if done.returncode:
        raise PrerequisiteError(f"mariadbd --bootstrap: {done.stderr.decode(errors='replace')[-300:]}")
    argv = [
        str(binary),
        *common,
        f"--port={port}",
        "--bind-address=127.0.0.1",
        f"--socket={folder / 'sock'}",
        *options,
    ]
    return _started(argv, folder, root, port, "MariaDB")


def redis(state: Path, say: Callable[[str], None], options: Sequence[str] = ()) -> Running:
    """Return a Redis without persistence. Raises PrerequisiteError."""
    root = debian.unpack(REDIS, state / "engines" / "redis", say)
    _open_to_others(root)
    folder, port = _folder("redis-"), free_port()
    argv = [str(root / "usr/bin/redis-server"), "--port", str(port), "--bind", "127.0.0.1", "--save", "", *options]
    return _started(argv, folder, root, port, "Redis")


def postgres(state: Path, say: Callable[[str], None], options: Sequence[str] = ()) -> Running:
    """Return a PostgreSQL with pg_stat_statements, whose superuser `postgres` has no password.

    Raises PrerequisiteError.
    """
    root = debian.unpack(POSTGRES, state / "engines" / "postgres", say)
    _open_to_others(root)
    folder, port = _folder("postgres-"), free_port()
    binaries, data = root / "usr/lib/postgresql/15/bin", folder / "data"
    initdb = [str(binaries / "initdb"), "-D", str(data), "-U", "postgres", "--auth=trust", "-E", "utf8", "--no-sync"]
    done = _run(initdb, folder, root)
    if done.returncode:
        raise PrerequisiteError(f"initdb: {done.stderr.decode(errors='replace')[-300:]}")
    settings = ("shared_preload_libraries=pg_stat_statements", "fsync=off", "jit=off", *options)
    argv = [str(binaries / "postgres"), "-D", str(data), "-p", str(port), "-h", "127.0.0.1", "-k", str(folder)]
    argv += [word for setting in settings for word in ("-c", setting)]
    running = _started(argv, folder, root, port, "PostgreSQL")
    ready = [str(binaries / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(port)]
    deadline = time.monotonic() + READY_SECONDS
    while _run(ready, folder, root).returncode:  # it listens before it lets anybody in
        if time.monotonic() > deadline:
            running.stop()
            raise PrerequisiteError(f"PostgreSQL lets nobody in for {READY_SECONDS:g} s")
        time.sleep(0.05)
    return running


def exporter(kind: str, state: Path, say: Callable[[str], None], server: int, options: Sequence[str] = ()) -> Running:
    """Return the field's own exporter of a kind of server, reading the one at that port. Raises PrerequisiteError."""
    root = debian.unpack(tuple(EXPORTERS.values()), state / "engines" / "exporters", say)
    folder, port = _folder("exporter-"), free_port()
    binary, listen = str(root / "usr/bin" / EXPORTERS[kind]), f"127.0.0.1:{port}"
    argv, source = {
        "redis": ([f"-redis.addr=redis://127.0.0.1:{server}", f"-web.listen-address={listen}"], ""),
        "postgres": (
            [f"--web.listen-address={listen}"],
            f"postgresql://postgres@127.0.0.1:{server}/postgres?sslmode=disable",
        ),
        "mysql": ([f"--web.listen-address={listen}"], f"root@(127.0.0.1:{server})/"),
        "elasticsearch": ([f"--es.uri=http://127.0.0.1:{server}", f"--web.listen-address={listen}"], ""),
    }[kind]
    _open_to_others(root)
    return _started([binary, *argv, *options], folder, root, port, EXPORTERS[kind], {"DATA_SOURCE_NAME": source})


def _folder(prefix: str) -> Path:
    folder = Path(tempfile.mkdtemp(prefix=prefix))  # short: a Unix socket's path has at most 107 bytes
    _give_away(folder)
    return folder


def _give_away(folder: Path) -> None:
    if account := _account():
        os.chown(folder, account["user"], account["group"])


def _account() -> dict[str, Any]:
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid}


def _open_to_others(root: Path) -> None:
    """Raise PrerequisiteError when `nobody` cannot enter: better here than as a riddle of the loader's."""
    if os.geteuid() == 0 and not all(one.stat().st_mode & 0o005 == 0o005 for one in (root, *root.parents)):
        raise PrerequisiteError(f"{root}: closed to others, and the server must not run as root")


def environment(root: Path) -> dict[str, str]:
    """Return the environment in which unpacked programs find their unpacked libraries."""
    libraries = sorted({str(one.parent) for one in (root / "usr/lib").rglob("*.so*")} | {str(root / "lib")})
    return {**os.environ, "LD_LIBRARY_PATH": ":".join(libraries), "LC_ALL": "C"}


def _run(argv: Sequence[str], folder: Path, root: Path, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        argv,
        input=given,
        cwd=folder,
        env=environment(root),
        capture_output=True,
        timeout=120,
        check=False,
        **_account(),
    )


def _started(
    argv: Sequence[str], folder: Path, root: Path, port: int, what: str, more: Mapping[str, str] | None = None
) -> Running:
    options: dict[str, Any] = {"env": {**environment(root), **(more or {})}, "start_new_session": True, **_account()}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(argv, cwd=folder, stdout=log, stderr=log, **options)
    running = Running(process, port, folder)
    deadline = time.monotonic() + READY_SECONDS
    while not _answers(port):
        if process.poll() is not None or time.monotonic() > deadline:
            said = (folder / "log").read_text(errors="replace")[-400:]
            running.stop()
            raise PrerequisiteError(f"{what} did not start: {said}")
        time.sleep(0.05)
    return running


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False
