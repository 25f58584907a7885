"""Compose mode: what the containers read, and what `docker compose ps` says as our status."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from nobody import as_nobody
from topmast import cli, compose, composition, config, marking, preflight, running, silencing
from topmast.errors import ConfigError, NotRunningError, StateError
from topmast.layout import Layout

HOME = Path(__file__).resolve().parents[2]


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(HOME, tmp_path / "state")


def said(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "topmast.yml"
    path.write_text(text)
    return path


def test_what_the_user_says_reaches_the_containers(layout: Layout, tmp_path: Path) -> None:
    path = said(
        tmp_path,
        "environment: staging\n"
        "alerts: {HostCpuHigh: {threshold: 0.77}, HostMemoryLow: {enabled: false}}\n"
        "targets: {app: [{address: 'shop:8000'}]}\n",
    )

    target = composition.render(layout, path)

    cpu = (target / "prometheus" / "alerts" / "cpu.yml").read_text()
    assert "0.77" in cpu
    assert "HostMemoryLow" not in (target / "prometheus" / "alerts" / "memory.yml").read_text()
    assert "environment: staging" in (target / "prometheus" / "prometheus.yml").read_text()
    assert {"targets": ["shop:8000"], "labels": {}} in yaml.safe_load(
        (target / "prometheus" / "targets" / "app.yml").read_text()
    )
    # The stack's own members stay: the exporter is still scraped by its name in the network.
    exporter = yaml.safe_load((target / "prometheus" / "targets" / "exporter.yml").read_text())
    assert exporter[0]["targets"] == ["exporter:9470"]


def test_the_containers_keep_their_own_listeners(layout: Layout, tmp_path: Path) -> None:
    target = composition.render(layout, said(tmp_path, "exporter: {dependencies: [app]}\n"))

    inside = yaml.safe_load((target / "topmast.yml").read_text())
    assert inside["exporter"]["listen"] == "0.0.0.0:9470"
    assert inside["exporter"]["dependencies"] == ["app"]


@pytest.mark.parametrize(
    ("told", "address"),
    [
        pytest.param("", "http://localhost:3002", id="the page's own port, not Grafana's"),
        pytest.param("public_url: https://mon.example.com/\n", "https://mon.example.com", id="public_url"),
    ],
)
def test_the_links_of_messages_lead_to_the_page(layout: Layout, tmp_path: Path, told: str, address: str) -> None:
    target = composition.render(layout, said(tmp_path, f"environment: staging\n{told}"))

    text = (target / "alertmanager" / "templates" / "default.tmpl").read_text()
    assert f'{{{{ define "topmast.public_url" }}}}{address}{{{{ end }}}}' in text
    assert f'"{address}/query?g0.expr="' in text


def test_a_mistake_is_told_before_docker_is_asked(layout: Layout, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"\$\.alerts\.HostCpuHihg"):
        composition.render(layout, said(tmp_path, "alerts: {HostCpuHihg: {threshold: 0.5}}\n"))


@pytest.mark.parametrize(
    ("text", "demo", "said"),
    [
        pytest.param(
            "{elasticsearch: {target: main, url: 'http://mine:9200'}}",
            False,
            "another elasticsearch has",
            id="the stack's own",
        ),
        pytest.param(
            "{redis: {target: cache, url: 'redis://mine:6379'}}", True, "another redis has", id="the demo's"
        ),
        pytest.param("{redis: {target: cache, url: 'redis://mine:6379'}}", False, "", id="a name that is free"),
    ],
)
def test_a_server_that_stands_twice_is_told_before_a_container_starts(
    layout: Layout, tmp_path: Path, text: str, demo: bool, said: str
) -> None:
    path = said_in(tmp_path, text)
    rendered = composition.render(layout, path)

    if not said:
        composition.refuse(rendered, path, "full", with_the_demo=demo)
        return
    with pytest.raises(ConfigError, match=said):
        composition.refuse(rendered, path, "full", with_the_demo=demo)


def test_a_timeout_beyond_its_interval_is_told_before_a_container_starts(layout: Layout, tmp_path: Path) -> None:
    path = said_in(
        tmp_path, "{redis: {target: a, url: 'redis://mine:6379', timeout_seconds: 60, interval_seconds: 15}}"
    )

    with pytest.raises(ConfigError, match=r"collectors\[0\]\.redis\.timeout_seconds: longer than the interval"):
        composition.render(layout, path)


def said_in(tmp_path: Path, collector: str) -> Path:
    return said(tmp_path, f"exporter: {{collectors: [{collector}]}}\n")


def line(**told: object) -> str:
    return json.dumps({"Service": "x", "State": "running", "Image": "example/image:v9.8.7", **told})


@pytest.mark.parametrize(
    ("told", "state"),
    [
        pytest.param(line(Health="healthy"), "ready", id="healthy"),
        pytest.param(line(Health=""), "ready", id="no health check"),
        pytest.param(line(Health="starting"), "starting", id="starting"),
        pytest.param(line(Health="unhealthy"), "failing", id="unhealthy"),
        pytest.param(line(Service="secrets", State="exited", ExitCode=0), "done", id="a one-shot that ended well"),
        pytest.param(line(State="exited", ExitCode=0), "exited", id="one that was stopped and said 0"),
        pytest.param(line(State="exited", ExitCode=1), "exited", id="one that did not"),
        pytest.param(line(State="restarting"), "restarting", id="restarting"),
    ],
)
def test_a_container_s_state_is_told_in_our_words(told: str, state: str) -> None:
    (component,) = compose.parse_ps(told)

    assert (component["state"], component["version"]) == (state, "v9.8.7")


def test_the_published_address_is_told() -> None:
    (component,) = compose.parse_ps(line(Publishers=[{"URL": "127.0.0.1", "PublishedPort": 9090}]))

    assert component["address"] == "127.0.0.1:9090"


def test_a_service_without_a_container_is_named() -> None:
    told = [line(Service="page"), line(Service="secrets", State="exited", ExitCode=0)]
    there = compose.parse_ps("\n".join(told))

    found = compose.with_missing(there, ["page", "grafana", "secrets", "elasticsearch-setup"])

    assert [(each["name"], each["state"]) for each in found] == [
        ("grafana", "absent"), ("page", "ready"), ("secrets", "done"),
    ]  # fmt: skip
    checked = running.container(found[0])
    assert (checked.ok, checked.message) == (False, "is absent: it has no container")


@pytest.mark.parametrize(
    ("words", "inside"),
    [
        pytest.param(["cost", "--by", "feature"], "cost --by feature", id="cost"),
        pytest.param(["cost", "calls", "--top", "3"], "cost calls --top 3", id="calls"),
        pytest.param(["cost", "reprice", "--since", "7d"], "cost reprice --since 7d", id="reprice"),
        pytest.param(["cost", "prices", "unpriced"], "cost prices unpriced", id="prices"),
        pytest.param(
            ["cost", "reconcile", "--provider", "openai", "{file}", "absent.json"],
            "cost reconcile --provider openai /tmp/given/0/costs.json absent.json",
            id="a file of the user's",
        ),
    ],
)
def test_costs_are_asked_beside_the_ledger_in_its_volume(
    topmast_in_compose_mode: Path, layout: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    words: list[str], inside: str,
) -> None:  # fmt: skip
    monkeypatch.setenv("COLUMNS", "91")
    monkeypatch.chdir(tmp_path)
    # A file whose name is an option's value is not handed in.
    (tmp_path / "openai").touch()
    (tmp_path / "costs.json").write_text("{}")

    with pytest.raises(SystemExit) as left:
        cli.main(["--state", str(layout.state), *(word.format(file=tmp_path / "costs.json") for word in words)])

    assert left.value.code == 7
    assert (
        topmast_in_compose_mode.read_text()
        .splitlines()[-1]
        .endswith(f"run --rm -T --no-deps -e COLUMNS=91 cost python -m topmast.setup.given {inside}")
    )


def test_help_and_an_override_start_no_container(
    topmast_in_compose_mode: Path, layout: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for words in (["reprice", "--help"], ["prices", "override", "acme/big", "--free"]):
        with pytest.raises(SystemExit) as left:
            cli.main(["--state", str(layout.state), "-c", str(said(tmp_path, "")), "cost", *words])

        assert left.value.code == 0
    assert not topmast_in_compose_mode.exists()


def test_the_mode_is_remembered(layout: Layout) -> None:
    assert compose.mode(layout, None) == "embedded"
    assert compose.mode(layout, "compose") == "compose"
    assert compose.mode(layout, None) == "compose"


def test_what_a_volume_holds_is_asked_for_in_its_container(
    topmast_in_compose_mode: Path, capfd: pytest.CaptureFixture[str], layout: Layout
) -> None:
    with pytest.raises(SystemExit) as left:
        cli.main(["--state", str(layout.state), "logs", "level:error", "--since", "1h", "--json"])

    assert left.value.code == 7
    file = HOME / compose.FILE
    assert topmast_in_compose_mode.read_text().splitlines()[-1] == (
        f"compose --project-directory {HOME} -f {file} exec -T page "
        "python -m topmast --state /var/lib/topmast logs level:error --since 1h --json"
    )
    assert capfd.readouterr().out == "from the container\n"


def test_a_state_folder_of_another_user_is_told(layout: Layout) -> None:
    layout.state.mkdir(parents=True, exist_ok=True)
    layout.state.chmod(0)
    try:
        with as_nobody(), pytest.raises(StateError, match="no permission to read it; run this as the user who"):
            compose.mode(layout, None)
    finally:
        layout.state.chmod(0o700)


def test_the_inbox_too(topmast_in_compose_mode: Path, layout: Layout) -> None:
    with pytest.raises(SystemExit):
        cli.main(["--state", str(layout.state), "inbox", "--limit", "3"])

    assert topmast_in_compose_mode.read_text().splitlines()[-1].endswith("/var/lib/topmast inbox --limit 3")


@pytest.mark.parametrize(
    ("env", "host"),
    [
        pytest.param("", "127.0.0.1", id="nothing said"),
        pytest.param("BIND_ADDR=127.0.0.2\n", "127.0.0.2", id="another loopback address"),
        pytest.param("BIND_ADDR=192.0.2.10\n", "127.0.0.1", id="behind the gateway, still loopback"),
    ],
)
def test_the_command_line_asks_where_the_containers_are_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, env: str, host: str
) -> None:
    monkeypatch.delenv("BIND_ADDR", raising=False)
    (tmp_path / ".env").write_text(env)
    layout = Layout(tmp_path, tmp_path / "state")
    compose.mode(layout, "compose")

    assert compose.url(layout, "page") == f"http://{host}:3002"
    assert silencing.address(layout) == f"http://{host}:9093"
    monkeypatch.setenv("TOPMAST_INGEST_TOKEN", "secret")
    there = marking.ingest(layout, config.load(None, layout).values)
    assert (there.url, there.token) == (f"http://{host}:4318", "secret")


def test_marks_are_told_with_the_token_of_the_container(topmast_in_compose_mode: Path, layout: Layout) -> None:
    with pytest.raises(NotRunningError, match="token cannot be read"):
        compose.ingest_token(layout)

    assert " exec -T exporter python -c " in topmast_in_compose_mode.read_text().splitlines()[-1]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        pytest.param(["ship", "--stdin"], "topmast-app-logs", id="lines that nobody would read"),
        pytest.param(["demo", "inject", "errors"], "--mode embedded --demo", id="a demo that is not broken"),
    ],
)
def test_what_compose_mode_has_not_says_what_to_do_instead(
    topmast_in_compose_mode: Path, layout: Layout, capfd: pytest.CaptureFixture[str], words: list[str], says: str
) -> None:
    with pytest.raises(SystemExit) as left:
        cli.main(["--state", str(layout.state), *words])

    assert left.value.code in (3, 69)
    assert says in capfd.readouterr().err
    assert not topmast_in_compose_mode.exists()


def test_the_size_and_the_demo_pick_the_files_and_are_remembered(
    topmast_in_compose_mode: Path, layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preflight, "refuse", lambda _: None)  # tests/appliance/test_preflight.py

    def files() -> list[str]:
        return re.findall(r"docker-compose\.(\w+)\.yml", topmast_in_compose_mode.read_text().splitlines()[-1])

    def run(*arguments: str) -> list[str]:
        with pytest.raises(SystemExit):
            cli.main(["--state", str(layout.state), *arguments])
        return files()

    assert run("up", "--mode", "compose", "--size", "lite", "--demo", "--detach") == ["monitoring", "lite", "demo"]
    assert "up --remove-orphans --detach --wait" in topmast_in_compose_mode.read_text()
    assert run("inbox") == ["monitoring", "lite", "demo"]
    assert run("up", "--size", "full", "--detach") == ["monitoring"]
    assert run("inbox") == ["monitoring"]


def test_what_a_profile_leaves_out_is_removed_and_ended(
    topmast_in_compose_mode: Path, layout: Layout, tmp_path: Path
) -> None:
    """To Compose it is no orphan: it would let Elasticsearch run on beside the stack for 4 GB."""
    (layout.state / "size").write_text("lite\n")
    compose.up(layout, None, detach=True)
    compose.up(layout, said(tmp_path, "targets: {blackbox: [{url: 'https://shop.example/'}]}\n"), detach=True)
    compose.down(layout, purge=False)

    told = [line.split(".yml ")[-1] for line in topmast_in_compose_mode.read_text().splitlines()]
    removed = [line for line in told if " rm --stop --force " in line]
    elk = "elasticsearch elasticsearch-setup logstash kibana kibana-setup"
    assert [line.partition("--force ")[2] for line in removed] == [f"{elk} blackbox-exporter", elk]
    assert all(line.startswith("--profile elk --profile url rm") for line in removed)
    assert told[-1] == "--profile elk --profile url down"


def test_in_the_foreground_ctrl_c_is_compose_s_to_hear(topmast_in_compose_mode: Path, layout: Layout) -> None:
    """It stops the containers; killed a quarter of a second later, as a child would be, it left them running."""
    program = topmast_in_compose_mode.parent / "bin" / "docker"
    program.write_text('#!/bin/sh\ncase "$*" in *" up "*) echo "up as $$ of $PPID";; esac\n')
    script = (
        "import os, pathlib; from topmast import compose; from topmast.layout import Layout; print(os.getpid());"
        f"compose.up(Layout(pathlib.Path({str(HOME)!r}), pathlib.Path({str(layout.state)!r})), None, detach=False)"
    )

    done = subprocess.run([sys.executable, "-uc", script], capture_output=True, text=True, timeout=60, check=True)

    pid, said = done.stdout.splitlines()
    assert said == f"up as {pid} of {os.getpid()}"


def test_what_the_user_says_is_laid_over_the_demo(layout: Layout, tmp_path: Path) -> None:
    path = said(
        tmp_path,
        "environment: staging\ntargets: {app: [{address: 'shop:8000'}]}\n"
        "exporter: {collectors: [{redis: {target: mine, url: 'redis://mine:6379'}}]}\n",
    )

    target = composition.render(layout, path)

    told = yaml.safe_load((target / "demo" / "topmast.full.yml").read_text())
    names = [(kind, options["target"]) for each in told["exporter"]["collectors"] for kind, options in each.items()]
    assert {("redis", "cache"), ("redis", "mine"), ("postgres", "main")} <= set(names)
    apps = yaml.safe_load((target / "demo" / "targets" / "app.yml").read_text())
    assert [each["targets"] for each in apps] == [["shop:8000"], ["demo-app:18000"]]
    # Without the demo nothing of it is there.
    assert "demo-" not in (target / "topmast.yml").read_text()
    assert "demo-" not in (target / "prometheus" / "targets" / "app.yml").read_text()


def test_a_server_that_the_exporter_reads_is_asked_for_by_prometheus(layout: Layout, tmp_path: Path) -> None:
    asked = "{__exporter__: 'exporter:9470', __param_target: told}"
    path = said(
        tmp_path,
        "exporter:\n  collectors:\n"
        "    - redis: {target: cache, url: 'redis://cache:6380'}\n"
        "    - redis: {target: told, url: 'redis://told:6379'}\n"
        f"targets: {{redis: [{{address: 'told:6379', labels: {asked}}}]}}\n",
    )

    target = composition.render(layout, path)

    redis = yaml.safe_load((target / "prometheus" / "targets" / "redis.yml").read_text())
    # The one whose target the user named is not asked for twice.
    assert sorted(each["targets"][0] for each in redis) == ["cache:6380", "told:6379"]


@pytest.fixture
def topmast_in_compose_mode(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layout: Layout) -> Path:
    """Return the file of calls that a stand-in for Docker writes, one line each."""
    calls, program = tmp_path / "calls", tmp_path / "bin" / "docker"
    program.parent.mkdir()
    program.write_text(
        f'#!/bin/sh\necho "$*" >> {calls}\ncase "$*" in *exec*|*run*) echo from the container; exit 7;; esac\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    compose.mode(layout, "compose")
    return calls
