"""`topmast targets` adds to topmast.yml, takes away from it, and says what each endpoint answers."""

import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.end_headers()
        self.wfile.write(b"up 1\nhits_total 2\n")

    def log_message(self, *_arguments: Any) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def app() -> Iterator[str]:
    """HOST:PORT of an application."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"127.0.0.1:{running.server_address[1]}"
        running.shutdown()
        thread.join()


OWN = '# ours\ntargets:\n  app:\n    - {address: "127.0.0.1:1"}  # old\nslo: {}\n'


@pytest.fixture
def own(tmp_path: Path) -> Path:
    path = tmp_path / "topmast.yml"
    path.write_text(OWN)
    return path


@pytest.fixture
def targets(topmast: Any, own: Path) -> Any:
    """Call `topmast -c OWN targets …`."""
    return lambda *arguments: topmast("--config", str(own), "targets", *arguments)


def test_adds_one_beside_the_others_and_asks_it(targets, own: Path, app: str) -> None:
    answer = targets("add", "app", app, "--environment", "staging")

    assert answer.code == 0
    assert answer.out.splitlines() == [
        f"{own}: app http://{app}/metrics is a target; applies at the next `topmast up`",
        f"http://{app}/metrics: fine: HTTP 200, text/plain; version=0.0.4, 2 series",
        "note: environment staging: its alerts go to the team's channel and never page",
    ]
    added = f'    - {{address: "{app}", labels: {{environment: staging}}}}\n'
    assert own.read_text() == OWN.replace("# old\n", "# old\n" + added)


def test_adds_one_with_a_password_whose_path_alone_is_written(targets, own: Path, app: str, tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("s3cret")
    file.chmod(0o600)

    answer = targets("add", "postgres", f"http://{app}", "--username", "u", "--password-file", str(file), "--json")

    told = json.loads(answer.out)
    assert (told["check"]["ok"], told["applied"]) == (True, "next-start")
    assert told["target"]["basic_auth"] == {"username": "u", "password_file": str(file)}
    assert str(file) in own.read_text()
    assert "s3cret" not in own.read_text() + answer.out + answer.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(("add", "app", "127.0.0.1:1"), "it is there already", id="twice"),
        pytest.param(("add", "url", "a.example"), "write the whole address", id="half a URL"),
        pytest.param(("add", "url", "https://u:s3cret@a.example/"), "seen by everybody", id="a password in the URL"),
        pytest.param(
            ("add", "url", "https://a.example/", "--ca-file", "a.pem"), "without a password", id="a URL's CA"
        ),
        pytest.param(("add", "apps", "a:1"), "did you mean app?", id="no such job"),
        pytest.param(("add", "app", "http://u:s3cret@a:1"), "--password-file", id="a password in the address"),
        pytest.param(("remove", "app", "127.0.0.1:2"), "there are: http://127.0.0.1:1/metrics", id="no such target"),
        pytest.param(("remove", "prometheus", "127.0.0.1:9090"), "none of your own", id="ours"),
        pytest.param(("check", "redis"), "no such target of yours", id="nothing to check"),
    ],
)
def test_refuses_and_leaves_the_file(targets, own: Path, arguments: Any, message: str) -> None:
    answer = targets(*arguments)

    assert answer.code != 0
    assert message in answer.err
    assert "s3cret" not in answer.err
    assert own.read_text() == OWN


def test_removes_one(targets, own: Path) -> None:
    told = json.loads(targets("remove", "app", "127.0.0.1:1", "--json").out)

    assert told["target"]["url"] == "http://127.0.0.1:1/metrics"
    assert own.read_text() == "# ours\nslo: {}\n"


def test_checks_each_and_leaves_with_one_that_does_not_answer(targets, app: str) -> None:
    targets("add", "node", app)

    answer = targets("check", "--json")

    checks = {each["job"]: each for each in json.loads(answer.out)["checks"]}
    assert answer.code == 1
    assert (checks["node"]["ok"], checks["node"]["series"]) == (True, 2)
    assert (checks["app"]["ok"], checks["app"]["message"]) == (False, "nothing listens there")
    assert targets("check", "node", app).code == 0


def test_a_page_is_asked_from_outside(targets, own: Path, app: str) -> None:
    url = f"http://{app}/health?full=1"

    added = targets("add", "url", url, "--environment", "staging")
    told = json.loads(targets("list", "--json").out)["targets"]
    checked = json.loads(targets("check", "url", "--json").out)["checks"]
    removed = targets("remove", "url", url)

    assert added.out.splitlines()[0] == f"{own}: blackbox {url} is a target; applies at the next `topmast up`"
    assert f"{url}: fine: HTTP 200 after" in added.out
    page = next(each for each in told if each["job"] == "blackbox")
    assert (page["url"], page["address"], page["labels"]["environment"]) == (url, app, "staging")
    assert [(each["job"], each["ok"], each["status"]) for each in checked] == [("blackbox", True, 200)]
    assert removed.code == 0
    assert own.read_text() == OWN


def test_lists_ours_and_the_users(targets) -> None:
    found = json.loads(targets("list", "--json").out)["targets"]

    assert {(each["job"], each["origin"]) for each in found} == {
        *((job, "topmast") for job in ("prometheus", "alertmanager", "node", "exporter", "shipper", "page")),
        ("app", "topmast.yml"),
    }
    assert {each["health"] for each in found} == {"unknown"}


def test_lists_the_jobs(targets) -> None:
    lines = targets("list", "--jobs").out.splitlines()

    assert len(lines) == 17
    assert lines[6].split() == ["app", "1"]
