"""The full stack on a real engine: it comes up by itself, is what it says, and a second start changes nothing."""

import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from running import wait_for
from topmast import dockerengine, outages, passwords, recovery, volumes
from topmast.checkup import Checkup
from topmast.compose import ONE_SHOTS
from topmast.dockerengine import DockerEngine
from topmast.errors import StateError
from topmast.rehearsal import BASE, BIND_ADDR, PROJECT, STOOD_IN, Project
from topmast.setup import volumes as setup_volumes

# The images are built here, once.
pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]

ASK_STAND_IN = (
    """printf 'user = "elastic:%s"' "$(cat /run/topmast/elastic-password)" | """
    "curl -fsS -K - http://127.0.0.1:9200/_stand_in/documents"
)


def get(port: int, path: str) -> Any:
    with urllib.request.urlopen(f"http://{BIND_ADDR}:{port}{path}", timeout=10) as answer:
        return json.load(answer)


def test_every_service_is_healthy_and_every_one_shot_has_ended(stack: Project) -> None:
    told = stack.services()
    once = ONE_SHOTS & told.keys()

    assert once == {"secrets", "elasticsearch-setup", "kibana-setup"}
    assert {name: one["Health"] for name, one in told.items() if name not in ONE_SHOTS} == dict.fromkeys(
        told.keys() - ONE_SHOTS, "healthy"
    )
    assert {name: (told[name]["State"], told[name]["ExitCode"]) for name in once} == dict.fromkeys(
        once, ("exited", 0)
    )


def test_every_port_is_on_the_address_asked_for(stack: Project) -> None:
    published = [
        publisher["URL"]
        for one in stack.services().values()
        for publisher in one["Publishers"]
        if publisher["PublishedPort"]
    ]

    assert set(published) == {BIND_ADDR}


def test_the_engine_applies_what_the_file_says(stack: Project) -> None:
    for name in sorted(stack.services().keys() - ONE_SHOTS):
        host = stack.inspect(name)["HostConfig"]

        assert host["CapDrop"] == ["ALL"], name
        assert "no-new-privileges:true" in host["SecurityOpt"], name
        assert host["Memory"] > 0, name
        assert host["PidsLimit"] > 0, name
        assert host["LogConfig"]["Config"]["max-size"] == "10m", name
        assert not host["Privileged"], name


@pytest.mark.parametrize("name", ["exporter", "shipper", "page"])
def test_ours_run_as_nobody_on_a_file_system_that_they_cannot_write(stack: Project, name: str) -> None:
    told = stack.inspect(name)

    assert (told["Config"]["User"], told["HostConfig"]["ReadonlyRootfs"]) == ("10001:10001", True)
    assert told["Config"]["Healthcheck"]["Test"][0] == "CMD"
    assert told["State"]["Health"]["Status"] == "healthy"


@pytest.mark.parametrize("name", ["exporter", "shipper", "page"])
def test_ours_carry_the_bytecode_that_they_cannot_write(stack: Project, name: str) -> None:
    """Of the standard library and of ourselves: else every start and every health check compiles it."""
    package = {"page": "topmast"}.get(name, f"topmast_{name}")
    script = f"import os, socket, {package} as p; print(*(os.path.exists(m.__cached__) for m in (socket, p)))"

    assert stack.shell(name, f"python -c '{script}'").split() == ["True", "True"]


def test_no_secret_is_in_an_environment_or_a_command_line(stack: Project) -> None:
    secrets = set()
    for name in ("grafana", "logstash", "elasticsearch"):
        script = "for f in /run/topmast/*; do [ -f $f ] && cat $f && echo; done"
        secrets |= set(re.findall(r"^[\w-]{32}$", stack.shell(name, script), re.MULTILINE))

    told = "".join(json.dumps(stack.inspect(name)) for name in stack.services())

    assert len(secrets) >= 4
    assert [secret for secret in secrets if secret in told] == []


def test_prometheus_reaches_everything_that_runs(stack: Project) -> None:
    def down() -> list[str]:
        targets = get(9090, "/api/v1/targets")["data"]["activeTargets"]
        return [one["labels"]["job"] for one in targets if one["health"] != "up"]

    # A stand-in has no metrics; the exporter's own answer about it is `elasticsearch_up 0`.
    assert wait_for("targets up", lambda: set(down()) <= STOOD_IN and "exporter" not in down(), seconds=60)


def test_what_runs_on_the_host_is_reached(stack: Project) -> None:
    asked: list[str] = []

    class App(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(204)
            self.end_headers()

        def do_POST(self) -> None:
            self.do_GET()

    named = """python -c 'import socket; print(socket.gethostbyname("host.docker.internal"))'"""
    host = stack.shell("exporter", named).split()[0]
    with ThreadingHTTPServer((host, 0), App) as app:
        Thread(target=app.serve_forever, daemon=True).start()
        url = f"http://host.docker.internal:{app.server_port}"
        # who asks is the service itself: promtool is in Prometheus' image, Python in the exporter's
        stack.shell("prometheus", f"promtool query instant {url} 1 || true")
        stack.shell("exporter", f"python -c 'import urllib.request as r; r.urlopen(\"{url}/metrics\", timeout=10)'")
        app.shutdown()

    assert asked == ["/api/v1/query", "/metrics"]


def test_a_line_of_an_app_is_a_document_under_its_own_id(stack: Project) -> None:
    line = json.dumps({"level": "error", "message": "card declined 4711", "service": "shop"})
    # Only the shipper mounts the apps' volume here, and for reading: an app's container would write it.
    volume = f"{PROJECT}-app-logs:/logs"
    # As any user: whoever an app's image runs as can write there.
    script = f"echo '{line}' >> /logs/shop.log"
    stack.engine.run("run", "--rm", "--user", "4711:4711", "-v", volume, BASE, "sh", "-c", script)

    def stored() -> dict[str, Any]:
        told = json.loads(stack.shell("elasticsearch", ASK_STAND_IN) or "{}")
        return {path: body for path, body in told.items() if body["message"] == "card declined 4711"}

    ((path, document),) = wait_for("the document", stored, seconds=60).items()

    assert path == f"/logs-app-default/_create/{document['event']['id']}"
    assert (document["log"]["level"], document["service"]["name"]) == ("error", "shop")


def test_kibana_has_a_data_view_and_saved_searches(stack: Project) -> None:
    """In the stand-in, which asks Elasticsearch's who the user is."""
    kept = json.loads(stack.shell("kibana", "cat /usr/share/kibana/data/stand-in.json"))

    assert {each.partition(":")[0] for each in kept} == {"index-pattern", "search"}
    assert len(kept) == 5


def test_a_password_is_shown_and_made_anew(stack: Project) -> None:
    ask = "curl -s -o /dev/null -w '%{http_code}' -K - http://127.0.0.1:9200/_security/_authenticate"

    def accepted(password: str) -> str:
        script = f"printf 'user = \"elastic:{password}\"' | {ask}"
        return stack.shell("elasticsearch", script).strip()

    before = passwords.show(stack.run, "elasticsearch")
    after = passwords.rotate(stack.run, "elasticsearch")

    assert passwords.show(stack.run, "elasticsearch") == after != before
    assert (accepted(before), accepted(after)) == ("401", "200")
    # Every copy followed: the health check logs in with one.
    assert stack.shell("elasticsearch", "cat /run/topmast/elastic-password").strip() == after


def test_the_bill_of_materials_of_an_image_is_read_inside_it(stack: Project) -> None:
    script = stack.home / "scripts/bill_of_materials.py"
    path = f"{Path(stack.engine.client).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, **stack.engine.environment, "PATH": path}

    argv = [sys.executable, script, "image", stack.inspect("exporter")["Config"]["Image"]]
    done = subprocess.run(argv, capture_output=True, text=True, env=environment)

    assert done.returncode == 0, done.stderr
    urls = {part["purl"].partition("@")[0] for part in json.loads(done.stdout)["components"]}
    assert {"pkg:pypi/topmast-exporter", "pkg:pypi/uvicorn", "pkg:pypi/psycopg-binary"} <= urls
    # The base made here is unpacked packages without dpkg's database; the makers' base has one.
    assert "no dpkg database" in done.stderr


def test_a_second_start_changes_nothing(stack: Project) -> None:
    def containers() -> dict[str, str]:
        return {name: stack.inspect(name)["Id"] for name in stack.services()}

    before = containers()
    stack.compose("up", "--detach", "--wait", "--wait-timeout", "120")

    assert containers() == before
    assert "secrets: nothing to do" in stack.compose("logs", "secrets")
    assert "elasticsearch: nothing to do" in stack.compose("logs", "elasticsearch-setup")
    assert "kibana: nothing to do" in stack.compose("logs", "kibana-setup")


def test_the_watchdog_reaches_the_inbox(stack: Project) -> None:
    def arrived() -> bool:
        notifications = get(3002, "/api/inbox")["notifications"]
        return any("Watchdog" in one["alerts"] for one in notifications)

    assert wait_for("the Watchdog in the inbox", arrived, seconds=120)


@pytest.fixture(scope="module")
def well(stack: Project) -> list[Checkup]:
    """What `topmast verify` says once nothing is wrong, or after 90 s as it is."""
    deadline = time.monotonic() + 90
    while True:
        told = stack.verify()
        if all(each.ok for each in told) or time.monotonic() > deadline:
            return told


def test_verify_is_well(well: list[Checkup]) -> None:
    assert [f"{each.name}: {each.message}" for each in well if not each.ok] == []


def test_verify_has_logstash_test_its_configuration(well: list[Checkup]) -> None:
    """The stand-in's `-t`, with our grammar; what is proved is the way into the container, and its secret there."""
    told = {each.name: each for each in well}

    assert told["logstash -t"].message == "accepts every pipeline"


def test_verify_names_the_one_that_stops(stack: Project) -> None:
    stack.compose("stop", "node-exporter")
    took = outages.named(stack, "node-exporter", time.monotonic())
    stack.up("node-exporter")

    assert took is not None, f"not named within {outages.VERIFY_SECONDS} s"


def test_what_was_recorded_comes_back_from_a_backup(stack: Project, tmp_path: Path) -> None:
    file = tmp_path / "backup.tar.gz"

    differing, asked = recovery.run(stack, file)

    assert differing == []
    assert asked > 10
    # Every password is in it.
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_backup_is_not_put_over_what_runs(stack: Project, tmp_path: Path) -> None:
    file = tmp_path / "backup.tar.gz"
    (tmp_path / "none").mkdir()
    with file.open("wb") as out:
        setup_volumes.save(tmp_path / "none", out)

    with pytest.raises(StateError, match="still run; `topmast down` first"):
        volumes.restore(stack.argv, file, replace=True, environment=stack.environment)


def test_a_health_check_fails_where_its_service_does_not_run(stack: Project) -> None:
    """Each check of the compose file, in a container of its image in which the service itself was not started."""
    services = json.loads(stack.compose("config", "--format", "json"))["services"]
    checks = {name: each["healthcheck"]["test"] for name, each in services.items() if "healthcheck" in each}

    def outcome(name: str) -> int:
        kind, *words = (word.replace("$$", "$") for word in checks[name])
        argv = ["sh", "-c", *words] if kind == "CMD-SHELL" else words
        ask = ("run", "--rm", "-T", "--no-deps", "--entrypoint", "sh", name, "-c", 'exec "$@"', "sh", *argv)
        return stack.run(ask).returncode

    with ThreadPoolExecutor(3) as pool:
        outcomes = dict(zip(checks, pool.map(outcome, checks), strict=True))

    assert len(outcomes) == 11
    # 126 and 127: there is nothing to ask with, which would tell nothing of the service.
    assert {name: code for name, code in outcomes.items() if code in (0, 126, 127)} == {}


def test_an_image_of_ours_is_built_and_no_registry_is_asked(images: DockerEngine, tmp_path: Path) -> None:
    """As on a clean clone: what docker-compose.monitoring.yml says of ours, with an image that is not there yet."""
    (tmp_path / "Dockerfile").write_text(f"FROM {BASE}\n")
    service = {"image": f"{PROJECT}/not-there-yet:0.1.0", "build": {"context": "."}, "pull_policy": "never"}
    (tmp_path / "compose.yml").write_text(json.dumps({"services": {"one": {**service, "command": ["true"]}}}))
    argv = [str(Path(sys.executable).with_name("docker-compose")), "--progress", "plain", "-f"]
    argv += [str(tmp_path / "compose.yml"), "--project-name", f"{PROJECT}-built"]

    try:
        said = dockerengine.call([*argv, "up"], images.environment, 300)
    finally:
        dockerengine.call([*argv, "down", "--rmi", "local"], images.environment, 60)

    assert "pull" not in (said.stdout + said.stderr).lower()


def test_secrets_that_lost_their_data_open_what_is_made_anew(stack: Project) -> None:
    """Elasticsearch's volume is gone, and with it its users and the token that Kibana logs in with."""
    stack.compose("down", "--timeout", "5")
    stack.engine.run("volume", "rm", f"{PROJECT}_elasticsearch")
    before = passwords.show(stack.run, "elasticsearch")

    # With it Elasticsearch and its set-up.
    stack.up("kibana")

    assert passwords.show(stack.run, "elasticsearch") == before
    assert "nothing to do" in stack.compose("logs", "secrets").splitlines()[-1]
    assert "nothing to do" not in stack.compose("logs", "elasticsearch-setup").splitlines()[-1]
    # It logs in there as a user of Elasticsearch's, and ends with an error where that does not know it.
    stack.compose("run", "--rm", "-T", "--no-deps", "kibana-setup")


def refused(stack: Project) -> str:
    """Start it, which must fail without anything running; return what the secrets' set-up said."""
    said = stack.compose("up", "--detach", "--wait", "prometheus", check=False)

    assert "secrets" in said
    assert "prometheus" not in {n for n, one in stack.services().items() if one["State"] == "running"}
    told = stack.compose("logs", "secrets").splitlines()[-1]
    # One sentence; and it ends there instead of being tried again.
    assert stack.inspect("secrets")["RestartCount"] == 0
    return told


def test_data_older_than_its_secrets_is_told_before_anything_starts(stack: Project) -> None:
    """As after a backup of the data alone was put back."""
    stack.compose("down", "--timeout", "5")
    volume = f"{PROJECT}_elasticsearch:/data"
    stack.engine.run("run", "--rm", "-v", volume, BASE, "touch", "-d", "2020-01-01", "/data/older")

    assert "is older than the secrets in topmast_secrets" in refused(stack)

    stack.engine.run("run", "--rm", "-v", volume, BASE, "rm", "/data/older")


def test_data_that_lost_its_secrets_is_told_before_anything_starts(stack: Project) -> None:
    """The last one: it takes the stack down and its secrets away."""
    stack.compose("down", "--timeout", "5")
    stack.engine.run("volume", "rm", f"{PROJECT}_secrets")

    assert "the secrets that open it are gone" in refused(stack)
