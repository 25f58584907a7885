"""The demo's PostgreSQL: made once, reached with its password alone, also when root starts it."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from topmast import demo, probe
from topmast.component import Component
from topmast.engine import Setup
from topmast.engines.demo_postgres import ENGINE, Account, data_home
from topmast.errors import StateError
from topmast.layout import PORTS, Layout


@pytest.fixture
def layout(tmp_path: Path, port: int) -> Iterator[Layout]:
    made = Layout(tmp_path, tmp_path / "state", port - PORTS["demo-postgres"])
    made.state.mkdir(mode=0o700)
    yield made
    shutil.rmtree(demo.outside(made), ignore_errors=True)


def prepared(layout: Layout, said: list[str]) -> Component:
    setup = Setup(layout=layout, settings={}, demo=True, real_clocks=False, say=said.append)
    return ENGINE.component(setup)


@contextmanager
def running(component: Component) -> Iterator["subprocess.Popen[bytes]"]:
    process = subprocess.Popen(component.argv, cwd=component.cwd, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 30
        while not probe.answers(component.ready):
            assert process.poll() is None and time.monotonic() < deadline, "the server did not come up"
            time.sleep(0.02)
        yield process
    finally:
        process.send_signal(signal.Signals[component.stop_signal])
        process.wait(20)


def connect(layout: Layout, user: str, password: str) -> "psycopg.Connection[tuple[object, ...]]":
    dsn = f"host=127.0.0.1 port={layout.port('demo-postgres')} dbname=shop user={user} password={password}"
    deadline = time.monotonic() + 30
    while True:
        try:
            return psycopg.connect(dsn, connect_timeout=5)
        except psycopg.OperationalError as error:
            # The port answers a moment before the server does.
            if "starting up" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def test_the_shop_and_the_exporter_reach_it_and_nobody_else(layout: Layout) -> None:
    component = prepared(layout, [])
    password = demo.postgres_password_file(layout).read_text()

    with running(component) as process:
        with connect(layout, "shop", password) as shop:
            shop.execute("CREATE TABLE orders (id integer)")
        with connect(layout, "topmast", password) as exporter:
            statements = exporter.execute("SELECT count(*) > 0 FROM pg_stat_statements").fetchone()
            monitors = exporter.execute("SELECT pg_has_role('topmast', 'pg_monitor', 'member')").fetchone()
        with pytest.raises(psycopg.OperationalError, match="password"):
            connect(layout, "shop", "guessed")
        with pytest.raises(psycopg.OperationalError, match=r"pg_hba\.conf"):
            connect(layout, "postgres", password)

    assert statements == (True,)
    assert monitors == (True,)
    assert process.returncode == 0
    assert demo.postgres_password_file(layout).stat().st_mode & 0o077 == 0


def test_a_second_start_finds_the_data_of_the_first(layout: Layout) -> None:
    said: list[str] = []
    with running(prepared(layout, said)), connect(layout, "shop", _password(layout)) as shop:
        shop.execute("CREATE TABLE kept AS SELECT 7 AS value")

    with running(prepared(layout, said)), connect(layout, "shop", _password(layout)) as shop:
        assert shop.execute("SELECT value FROM kept").fetchone() == (7,)

    assert said == ["making the demo's database (once)"]


def test_after_a_purge_the_database_is_made_again(layout: Layout) -> None:
    said: list[str] = []
    prepared(layout, said)
    shutil.rmtree(demo.demo_folder(layout))
    shutil.rmtree(layout.data, ignore_errors=True)

    prepared(layout, said)

    assert said == ["making the demo's database (once)"] * 2


def test_a_database_of_another_major_version_is_made_again(layout: Layout) -> None:
    component = prepared(layout, [])
    (Path(component.cwd) / "PG_VERSION").write_text("9\n")
    said: list[str] = []

    prepared(layout, said)

    assert said == ["making the demo's database (once)"]


def test_an_ordinary_user_s_data_lie_in_the_state_folder(layout: Layout) -> None:
    assert data_home(layout, None) == layout.data


@pytest.mark.skipif(os.geteuid() != 0, reason="only root starts the server as another account")
def test_a_folder_that_somebody_else_made_is_refused(layout: Layout) -> None:
    demo.outside(layout).mkdir()

    with pytest.raises(StateError, match="does not belong to nobody"):
        data_home(layout, Account("nobody", 65534, 65534))


def _password(layout: Layout) -> str:
    return demo.postgres_password_file(layout).read_text()
