"""A metrics endpoint is asked as Prometheus would; what is wrong comes with a remedy, and never with the password."""

import http.server
import threading
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from topmast import endpoint

PAGES: dict[str, tuple[int, dict[str, str], bytes]] = {
    "/metrics": (200, {"Content-Type": "text/plain; version=0.0.4"}, b'# HELP up x\nup 1\nhits_total{a="} "} 2 17\n'),
    "/untyped": (200, {}, b"up 1\n"),
    "/html": (200, {"Content-Type": "text/html"}, b"<html><p>hello 1</p></html>"),
    "/empty": (200, {"Content-Type": "text/plain"}, b""),
    "/moved": (301, {"Location": "https://there/metrics"}, b""),
    "/broken": (500, {}, b"up 1\n"),
}


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/private":
            asked = self.headers.get("Authorization", "")
            fine = asked == "Bearer t0ken" or (
                asked.startswith("Basic ") and b64decode(asked[6:]) == b"metrics:s3cret"
            )
            status, headers, body = PAGES["/metrics"] if fine else (401, {}, b"")
        else:
            status, headers, body = PAGES.get(self.path, (404, {}, b""))
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: Any) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{running.server_address[1]}"
        running.shutdown()
        thread.join()


def test_counts_the_series(server: str) -> None:
    answer = endpoint.ask(f"{server}/metrics", {})

    assert (answer.ok, answer.status, answer.series, answer.remedy) == (True, 200, 2, "")
    assert answer.content_type == "text/plain; version=0.0.4"


@pytest.mark.parametrize(
    ("path", "message", "remedy"),
    [
        pytest.param("/untyped", "does not say what it sends", "Prometheus 3 refuses that", id="no content type"),
        pytest.param("/html", "a page for people", "most often /metrics", id="a page"),
        pytest.param("/empty", "it answers with nothing", "most often /metrics", id="nothing"),
        pytest.param("/moved", "HTTP 301: it has moved", "add https://there/metrics instead", id="moved"),
        pytest.param("/broken", "HTTP 500", "look into its log", id="an error"),
        pytest.param("/nowhere", "HTTP 404", "name the path of its metrics", id="another path"),
        pytest.param("/private", "HTTP 401: it asks who you are", "--password-file", id="no password"),
    ],
)
def test_says_what_is_wrong_and_what_to_do(server: str, path: str, message: str, remedy: str) -> None:
    answer = endpoint.ask(server + path, {})

    assert answer.ok is False
    assert message in answer.message
    assert remedy in answer.remedy


def secret(folder: Path, text: str) -> str:
    path = folder / "secret"
    path.write_text(text)
    path.chmod(0o600)
    return str(path)


def test_asks_with_a_password_or_a_token_from_a_file(server: str, tmp_path: Path) -> None:
    token = {"bearer_token_file": secret(tmp_path, "t0ken\n")}
    assert endpoint.ask(f"{server}/private", token).ok

    password = {"basic_auth": {"username": "metrics", "password_file": secret(tmp_path, "s3cret\n")}}
    assert endpoint.ask(f"{server}/private", password).ok


def test_a_password_that_is_refused_is_named_by_its_file_alone(server: str, tmp_path: Path) -> None:
    file = secret(tmp_path, "wr0ng")

    answer = endpoint.ask(f"{server}/private", {"basic_auth": {"username": "metrics", "password_file": file}})

    assert (answer.ok, answer.remedy) == (False, f"correct the user, or what stands in {file}")
    assert "wr0ng" not in repr(answer)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        pytest.param("http://127.0.0.1:1/metrics", "nothing listens there", id="a closed port"),
        pytest.param("http://nowhere.invalid:80/metrics", "not known on this machine", id="no such host"),
    ],
)
def test_who_does_not_answer_is_told_with_the_reason(url: str, message: str) -> None:
    assert message in endpoint.ask(url, {}).message


def test_who_does_not_speak_tls_is_told_so(server: str) -> None:
    answer = endpoint.ask(server.replace("http:", "https:") + "/metrics", {})

    assert (answer.ok, answer.message) == (False, "it does not speak TLS")


@pytest.mark.parametrize(
    ("text", "mode", "problem"),
    [
        pytest.param("s3cret", 0o600, "", id="fine"),
        pytest.param("s3cret\n", 0o640, "", id="for a group"),
        pytest.param("s3cret", 0o644, "everybody on this machine", id="for everybody"),
        pytest.param("", 0o600, "it is empty", id="empty"),
        pytest.param("user\ns3cret\n", 0o600, "more than one line", id="two lines"),
    ],
)
def test_a_file_for_a_secret(tmp_path: Path, text: str, mode: int, problem: str) -> None:
    path = tmp_path / "secret"
    path.write_text(text)
    path.chmod(mode)

    said = endpoint.secret_problem(path)

    assert problem in said
    assert bool(said) is bool(problem)
    assert "s3cret" not in said


def test_a_secret_that_is_no_file(tmp_path: Path) -> None:
    assert "is a folder" in endpoint.secret_problem(tmp_path)
    assert "no such file" in endpoint.secret_problem(tmp_path / "none")
