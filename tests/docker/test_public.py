"""The stack on a public address, on a real engine: TLS and a password in front of all that is published there.

The same stack as in test_lite.py, from outside; and of the full one with the demo what that has not, Kibana and
Elasticsearch, which are stand-ins.
"""

import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from running import wait_for
from topmast import passwords
from topmast.compose import ONE_SHOTS
from topmast.rehearsal import Project
from topmast.setup import given

# The images are built here, once.
pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]

# Asked for a password by the gateway; the others ask for one of their own.
GUARDED = {9090: "/-/ready", 9093: "/-/ready", 3002: "/healthz"}

ASK_STAND_IN = (
    """printf 'user = "elastic:%s"' "$(cat /run/topmast/elastic-password)" | """
    "curl -fsS -K - http://127.0.0.1:9200/_stand_in/documents"
)


def fetched(project: Project, folder: Path) -> Path:
    """The certificate that clients are given, as docs/operations.md says."""
    path = folder / "topmast-ca.crt"
    path.write_text(project.compose("exec", "-T", "gateway", "cat", "/run/topmast/ca.crt"))
    return path


@pytest.fixture(scope="module")
def authority(small: Project, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fetched(small, tmp_path_factory.mktemp("client"))


def curl(*arguments: str | Path) -> tuple[int, int, str]:
    """Return curl's exit code, the HTTP status and the body."""
    argv = ["curl", "-sS", "--noproxy", "*", "--max-time", "10", "-w", "\n%{http_code}", *map(str, arguments)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, env={"PATH": os.environ["PATH"]})
    body, _, status = done.stdout.rpartition("\n")
    return done.returncode, int(status), body


def password_file(project: Project, folder: Path, *, user: str = "topmast", of: str = "gateway") -> Path:
    """A file for curl -K, so that no process list shows the password."""
    path = folder / "curlrc"
    path.write_text(f'user = "{user}:{passwords.show(project.run, of)}"\n')
    return path


def test_it_is_healthy_and_the_gateway_alone_is_on_the_address(small: Project) -> None:
    told = small.services()

    lasting = {name: one["Health"] for name, one in told.items() if name not in ONE_SHOTS}
    assert lasting == dict.fromkeys(lasting, "healthy")
    at: dict[str, set[str]] = {}
    for name, one in told.items():
        for each in one["Publishers"]:
            if each["PublishedPort"]:
                at.setdefault(each["URL"], set()).add(name)
    assert at.keys() == {small.address, "127.0.0.1"}
    assert at[small.address] == {"gateway"}


@pytest.mark.parametrize("port", sorted(GUARDED))
def test_without_trust_password_or_tls_nothing_is_told(
    small: Project, authority: Path, tmp_path: Path, port: int
) -> None:
    url = f"https://{small.address}:{port}{GUARDED[port]}"

    plain = curl(url.replace("https", "http"))
    distrusted = curl(url)
    nobody = curl("--cacert", authority, url)
    wrong = curl("--cacert", authority, "-u", "topmast:wrong", url)
    known = curl("--cacert", authority, "-K", password_file(small, tmp_path), url)

    assert plain[1] == 400
    # curl's own code for a certificate that it does not trust.
    assert distrusted[:2] == (60, 0)
    assert (nobody[1], wrong[1]) == (401, 401)
    assert known[:2] == (0, 200)


def test_grafana_asks_for_its_own_login(small: Project, authority: Path) -> None:
    code, status, body = curl("--cacert", authority, f"https://{small.address}:3001/api/health")

    assert (code, status) == (0, 200)
    assert json.loads(body)["database"] == "ok"


def test_what_is_not_there_is_a_502_and_no_gateway_that_does_not_start(small: Project, authority: Path) -> None:
    assert curl("--cacert", authority, f"https://{small.address}:9200/")[1] == 502


def test_a_function_outside_pushes_with_its_token_alone(small: Project, authority: Path, tmp_path: Path) -> None:
    event: dict[str, Any] = {
        "id": "outside-1",
        "provider": "openai",
        "model": "gpt-4o-mini",
        "usage": {"input": 1000, "output": 200},
        "outcome": "ok",
        "feature": "pushed-from-outside",
    }
    (tmp_path / "token").write_text(f'header = "Authorization: Bearer {passwords.show(small.run, "ingest")}"\n')
    say = ("--cacert", authority, "-H", "content-type: application/json", "-d", json.dumps([event]))
    url = f"https://{small.address}:4318/v1/usage"

    nobody = curl(*say, url)
    code, status, body = curl(*say, "-K", tmp_path / "token", url)

    assert nobody[1] == 401
    assert (code, status) == (0, 202), body
    argv = ("run", "--rm", "-T", "--no-deps", "cost", "python", "-m", "topmast.setup.given")

    def counted() -> bool:
        done = small.run((*argv, "cost", "--by", "feature", "--json"))
        return done.returncode == 0 and "pushed-from-outside" in done.stdout

    # In the ledger's volume, where `topmast cost` asks for it.
    assert wait_for("the pushed event in the ledger", counted, seconds=60)


def test_a_flood_from_one_address_leaves_the_others_their_turns(small: Project) -> None:
    """Asked as the gateway asks for who comes to it: from the stack's own network, whom the ingest trusts."""
    script = """
import http.client
ask = http.client.HTTPConnection('exporter', 4318, timeout=10)
def status(source):
    ask.request('GET', '/healthz', headers={'host': 'exporter:4318', 'x-forwarded-for': source})
    answer = ask.getresponse()
    answer.read()
    return answer.status
flood = [status('203.0.113.1') for _ in range(2000)]
print(429 in flood, status('203.0.113.2'))
"""
    told = small.run(("exec", "-T", "page", "python", "-c", script))

    assert told.stdout.split() == ["True", "200"], told.stderr


def cost(project: Project, *arguments: str, files: tuple[Path, ...] = ()) -> subprocess.CompletedProcess[str]:
    """Run `topmast cost …` as compose mode does (topmast.compose.beside_the_ledger)."""
    payload, there = given.pack(files)
    words = [there.get(Path(word), word) for word in arguments]
    argv = ("run", "--rm", "-T", "--no-deps", "cost", "python", "-m", "topmast.setup.given", "cost", *words)
    return project.run(argv, payload.decode())


def test_the_ledger_is_corrected_and_compared_in_its_volume(small: Project, tmp_path: Path) -> None:
    """The commands of `topmast cost` that write the ledger or read a file of the user's."""
    wait_for("calls of the demo", lambda: json.loads(cost(small, "--json").stdout)["requests"], seconds=120)
    start = int(time.time()) // 86_400 * 86_400
    result = {"input_tokens": 1, "output_tokens": 1, "num_model_requests": 1, "model": "gpt-4o-mini"}
    bucket = {"start_time": start, "end_time": start + 86_400, "results": [result]}
    export = tmp_path / "usage.json"
    export.write_text(json.dumps({"object": "page", "data": [bucket]}))
    export.chmod(0o600)

    corrected = cost(small, "reprice", "--since", "1d", "--json")
    compared = cost(small, "reconcile", "--provider", "openai", str(export), "--json", files=(export,))
    priced = cost(small, "prices", "show", "openai/gpt-4o-mini")

    assert corrected.returncode == 0, corrected.stderr
    # Every call has today's price already.
    assert json.loads(corrected.stdout)["models"] == []
    # A bill of one call is not what the demo spent.
    assert compared.returncode == 1, compared.stderr
    assert [one["model"] for one in json.loads(compared.stdout)["models"]].count("gpt-4o-mini") == 1
    assert priced.returncode == 0, priced.stderr


def test_verify_is_well_and_the_services_among_themselves_go_on_as_without_it(small: Project) -> None:
    def wrong() -> list[str]:
        return [f"{each.name}: {each.message}" for each in small.verify() if not each.ok]

    assert wait_for("a run of verify without a finding", lambda: not wrong(), seconds=120), wrong()


def test_a_new_password_locks_the_old_one_out(small: Project, authority: Path, tmp_path: Path) -> None:
    url = f"https://{small.address}:9090/-/ready"
    (tmp_path / "old").mkdir()
    old = password_file(small, tmp_path / "old")

    passwords.rotate(small.run, "gateway")

    new = password_file(small, tmp_path)
    assert wait_for("the new password", lambda: curl("--cacert", authority, "-K", new, url)[1] == 200, seconds=30)
    assert curl("--cacert", authority, "-K", old, url)[1] == 401


def test_a_second_start_changes_nothing(small: Project) -> None:
    before = {name: small.inspect(name)["Id"] for name in small.services()}
    small.up()

    assert {name: small.inspect(name)["Id"] for name in small.services()} == before
    assert small.compose("logs", "secrets").splitlines()[-1].endswith("secrets: nothing to do")


# Of the full stack.


@pytest.fixture(scope="module")
def authority_of_full(full: Project, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fetched(full, tmp_path_factory.mktemp("client-of-full"))


def test_elasticsearch_asks_for_its_own_login(full: Project, authority_of_full: Path, tmp_path: Path) -> None:
    """A stand-in, which knows the stack's passwords: what is proved is the way to it, and that the login arrives."""
    url = f"https://{full.address}:9200/_cluster/health"
    login = password_file(full, tmp_path, user="elastic", of="elasticsearch")

    nobody = curl("--cacert", authority_of_full, url)
    plain = curl(url.replace("https", "http"))
    known = curl("--cacert", authority_of_full, "-K", login, url)

    assert (nobody[1], plain[1]) == (401, 400)
    assert known[:2] == (0, 200)
    assert json.loads(known[2])["timed_out"] is False


def test_kibana_asks_for_its_own_login(full: Project, authority_of_full: Path, tmp_path: Path) -> None:
    """A stand-in, which asks Elasticsearch's who somebody is."""
    url = f"https://{full.address}:5601"
    export = ("-H", "kbn-xsrf: true", "-d", '{"objects": []}', f"{url}/api/saved_objects/_export")
    login = password_file(full, tmp_path, user="elastic", of="kibana")

    assert curl(f"{url.replace('https', 'http')}/api/status")[1] == 400
    assert curl("--cacert", authority_of_full, f"{url}/api/status")[:2] == (0, 200)
    assert curl("--cacert", authority_of_full, *export)[1] == 401
    assert curl("--cacert", authority_of_full, "-K", login, *export)[1] == 200


def test_the_demo_s_lines_are_documents_of_elasticsearch(full: Project) -> None:
    """In the full size its lines go to both stores: here the shop's own, through Logstash's stand-in."""

    def stored() -> list[dict[str, Any]]:
        told = json.loads(full.shell("elasticsearch", ASK_STAND_IN) or "{}")
        return [each for each in told.values() if each.get("service", {}).get("name") == "shop"]

    assert wait_for("a line of the shop", stored, seconds=90)
