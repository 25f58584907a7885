"""What would keep the containers from starting is one sentence with its remedy, before anything starts."""

import socket
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from topmast import compose, preflight
from topmast.errors import PrerequisiteError
from topmast.layout import Layout, find_home

COMPOSE = Path(sys.executable).with_name("docker-compose")


def docker(engine: str | None, plugin: str | None) -> Callable[[Sequence[str]], str | None]:
    return lambda argv: engine if argv[1] == "version" else plugin


@pytest.mark.parametrize(
    ("engine", "plugin", "ok"),
    [
        ("28.2.2\n", "5.6.1\n", [True, True]),
        ("20.10.24", "v2.20.0", [True, True]),
        ("19.03.1", "2.19.9", [False, False]),
        ("28.2.2", None, [True, False]),
        (None, "2.20.0", [False, True]),
        ("garbage", "5.6.1", [False, True]),
    ],
)
def test_dockers_versions(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, engine: str | None, plugin: str | None, ok: list[bool]
) -> None:
    program = tmp_path / "docker"
    program.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))

    found = list(preflight.docker(docker(engine, plugin)))

    assert [each.ok for each in found] == ok
    assert all(each.remedy for each in found if not each.ok)


def test_without_docker_it_is_said_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")

    [found] = preflight.docker(docker(None, None))

    assert found.message == "no docker on PATH"


def test_the_containers_limits_and_ports_are_read_off_the_compose_file() -> None:
    stack = {
        "services": {
            "a": {
                "mem_limit": "1073741824",
                "ports": [{"published": "9090", "host_ip": "127.0.0.1", "target": 9090}],
            },
            "b": {"mem_limit": "128m", "ports": [{"published": "3001", "target": 3000}]},
            "once": {"mem_limit": "4g", "restart": "no"},
        }
    }

    assert preflight.limits(stack) == 1152 * 1024**2
    assert preflight.published(stack) == {
        "a/9090": ("127.0.0.1", 9090),
        # Docker's own default.
        "b/3001": ("0.0.0.0", 3001),  # noqa: S104 - asked for, not listened at
    }
    assert preflight.limits({}) == 0


def test_a_port_in_use_names_who_has_it_and_another_address() -> None:
    with socket.socket() as plug:
        plug.bind(("127.0.0.1", 0))
        plug.listen()
        port = plug.getsockname()[1]
        wanted = {f"page/{port}": ("127.0.0.1", port)}

        taken = preflight.listeners(wanted, frozenset())
        own = preflight.listeners(wanted, frozenset({port}))
        elsewhere = preflight.listeners({"page": ("127.0.0.78", port)}, frozenset())

    assert (taken.ok, own.ok, elsewhere.ok) == (False, True, True)
    assert f"{port} (page/{port}) by " in taken.message
    assert "BIND_ADDR=127.0.0.2" in str(taken.remedy)


@pytest.mark.parametrize(
    ("there", "ok"),
    [
        pytest.param(set(), True, id="a clean machine"),
        pytest.param({"topmast_secrets", "topmast_elasticsearch", "topmast_grafana"}, True, id="whole"),
        pytest.param({"topmast_secrets"}, True, id="secrets without data: it starts anew with them"),
        pytest.param({"topmast_elasticsearch"}, False, id="data without secrets"),
        pytest.param({"topmast_grafana", "other_secrets"}, False, id="another project's secrets"),
        pytest.param({"topmast_prometheus"}, True, id="data that no password locks"),
    ],
)
def test_half_deleted_volumes(there: set[str], ok: bool) -> None:
    found = preflight.volumes("topmast", frozenset(there))

    assert found.ok == ok
    if not ok:
        assert "docker volume rm topmast_" in str(found.remedy)


@pytest.fixture
def docker_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Layout:
    """A `docker` that reads the compose files as the real one does, and has no engine's volumes or containers."""
    home = tmp_path / "clone"
    home.mkdir()
    for file in find_home().glob("docker-compose.*.yml"):
        (home / file.name).write_bytes(file.read_bytes())
    (home / "monitoring").symlink_to(find_home() / "monitoring")
    program = tmp_path / "bin" / "docker"
    program.parent.mkdir()
    program.write_text(
        f"""#!/bin/sh
case "$*" in
    "compose version"*) echo 5.6.1 ;;
    version*) echo 28.2.2 ;;
    compose*config*) shift; exec {COMPOSE} "$@" ;;
esac
"""
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    monkeypatch.delenv("BIND_ADDR", raising=False)
    return Layout(home, tmp_path / "state")


def test_the_files_of_the_size_and_of_the_demo_are_looked_at(docker_here: Layout) -> None:
    full, _ = preflight.files(docker_here)
    (docker_here.state).mkdir()
    (docker_here.state / "size").write_text("lite\n")
    compose.demo(docker_here, chosen=True)
    lite, found = preflight.files(docker_here)

    assert found.message == "docker-compose.monitoring.yml docker-compose.lite.yml docker-compose.demo.yml"
    assert "elasticsearch/9200" in preflight.published(full)
    assert "elasticsearch/9200" not in preflight.published(lite)
    assert preflight.limits(lite) < preflight.limits(full)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("BIND_ADDR=198.51.100.7\n", "198.51.100.7: no address of this machine", id="another's address"),
        pytest.param("BIND_ADDR=0.0.0.0\n", "names every address", id="every address"),
        pytest.param("BIND_ADDR=everywhere\n", "everywhere", id="no address"),
        pytest.param("BIND_ADDR: 127.0.0.1\nnonsense here\n", ".env", id="a broken .env"),
        pytest.param("METRICS_RETENTION=a month\n", "METRICS_RETENTION=a month: not a time", id="no time"),
        pytest.param("METRICS_SIZE=5\n", "METRICS_SIZE=5: not a size such as 5GB", id="a size without its unit"),
        pytest.param("LOGS_DAYS=30d\n", "LOGS_DAYS=30d: not a number of days", id="days with a unit"),
        pytest.param("TOPMAST_RENDERED=/nowhere\n", "/nowhere/.* is not there", id="a folder that is not there"),
        pytest.param(
            "BIND_ADDR=192.0.2.10\nTLS_CERTIFICATE=/nowhere/tls.crt\n", "/nowhere/tls.crt is not there", id="no file"
        ),
        pytest.param("BIND_ADDR=192.0.2.10\nPUBLIC_NAME=a b\n", "PUBLIC_NAME: not a host's name", id="no name"),
    ],
)
def test_what_env_says_is_refused_in_one_sentence(docker_here: Layout, text: str, said: str) -> None:
    (docker_here.home / ".env").write_text(text)

    with pytest.raises(PrerequisiteError, match=said) as refused:
        preflight.refuse(docker_here)

    assert "\n" not in str(refused.value)
    assert "; " in str(refused.value)


def test_a_public_address_adds_the_gateway_and_is_refused_without_it(docker_here: Layout) -> None:
    (docker_here.home / ".env").write_text("BIND_ADDR=192.0.2.10\n")
    stack, found = preflight.files(docker_here)
    bare = {"services": {"secrets": {"environment": {"BIND_ADDR": "192.0.2.10"}}}}

    refused = preflight.address(bare)

    assert "docker-compose.public.yml" in found.message
    assert {name for name, (at, _) in preflight.published(stack).items() if at == "192.0.2.10"} >= {"gateway/9090"}
    assert not refused.ok
    assert "without TLS and a password" in refused.message
    assert "docker-compose.public.yml" in str(refused.remedy)


def test_an_old_engine_keeps_it_from_starting(docker_here: Layout) -> None:
    program = docker_here.home.parent / "bin" / "docker"
    program.write_text(program.read_text().replace("28.2.2", "19.03.1"))

    with pytest.raises(PrerequisiteError, match=r"docker engine: 19\.03\.1 is too old; 20\.10 or newer is needed"):
        preflight.refuse(docker_here)


def test_too_little_memory_and_disk_keep_it_from_starting(
    docker_here: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = {"MemTotal": 2 * 1000**3, "MemAvailable": 10**9}
    monkeypatch.setattr(preflight.machine, "meminfo", lambda: known)
    with pytest.raises(PrerequisiteError, match=r"memory: .*; a larger machine, or --size lite"):
        preflight.refuse(docker_here)

    known["MemTotal"] = known["MemAvailable"] = 64 * 1000**3
    monkeypatch.setattr(preflight, "DISK_BYTES", 10**18)
    with pytest.raises(PrerequisiteError, match=r"disk: .*; free some disk"):
        preflight.refuse(docker_here)
