import json
import os
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from topmast_exporter.registry import Registry
from topmast_exporter.testing import CaughtUsage, value
from topmast_exporter.usage import Answer, UsageSender, http_post, post_from_environment


class Scripted:
    """A transport that answers as told, then 202; None means no answer at all."""

    def __init__(self, *answers: Answer | None) -> None:
        self._answers = list(answers)
        self.bodies: list[list[dict[str, Any]]] = []
        self.blocked = threading.Event()
        self.blocked.set()

    def __call__(self, body: bytes) -> Answer:
        self.blocked.wait(10)
        self.bodies.append([json.loads(line) for line in body.splitlines()])
        answer = self._answers.pop(0) if self._answers else Answer(202)
        if answer is None:
            raise ConnectionRefusedError
        return answer


def sender(post: Callable[[bytes], Answer], registry: Registry, **options: Any) -> UsageSender:
    return UsageSender(post, registry, interval_seconds=0.01, jitter=lambda: 0.0, **options)


def dropped(registry: Registry) -> dict[str, float]:
    found = {reason: value(registry, "exporter_usage_dropped_total", reason=reason) for reason in REASONS}
    return {reason: count for reason, count in found.items() if count}


REASONS = ("queue_full", "too_large", "malformed", "refused", "rejected", "exit")


def test_events_arrive_together_and_are_counted() -> None:
    registry, post = Registry(), Scripted()
    usage = sender(post, registry)

    for number in range(3):
        usage.send({"id": str(number)})
    assert usage.flush(10)

    assert [event["id"] for body in post.bodies for event in body] == ["0", "1", "2"]
    assert value(registry, "exporter_usage_sent_total") == 3
    assert dropped(registry) == {}


@pytest.mark.parametrize(
    "answer",
    [None, Answer(503), Answer(429, retry_after_seconds=0.01), Answer(500), Answer(401)],
    ids=["no answer", "unavailable", "too fast", "broken", "not yet allowed"],
)
def test_what_may_pass_is_tried_again_until_it_arrives(answer: Answer | None) -> None:
    registry, post = Registry(), Scripted(answer, answer)
    usage = sender(post, registry)

    usage.send({"id": "1"})
    while not usage.flush(0.05):  # a flush also ends a wait between two tries
        pass

    assert post.bodies == [[{"id": "1"}]] * 3
    assert value(registry, "exporter_usage_sent_total") == 1
    assert dropped(registry) == {}


def test_what_is_refused_for_good_is_dropped_and_the_next_goes_on() -> None:
    registry, post = Registry(), Scripted(Answer(400))
    usage = sender(post, registry)

    usage.send({"id": "1"})
    assert usage.flush(10)
    usage.send({"id": "2"})
    assert usage.flush(10)

    assert post.bodies == [[{"id": "1"}], [{"id": "2"}]]
    assert dropped(registry) == {"refused": 1}


def test_rejected_events_are_counted() -> None:
    registry = Registry()
    usage = sender(Scripted(Answer(202, b'{"accepted": 1, "rejected": [{"index": 0, "reason": "model"}]}')), registry)

    usage.send({"id": "1"})
    usage.send({"id": "2"})
    assert usage.flush(10)

    assert value(registry, "exporter_usage_sent_total") == 1
    assert dropped(registry) == {"rejected": 1}


def test_events_that_cannot_be_sent_are_dropped_one_by_one() -> None:
    registry, post = Registry(), Scripted()
    usage = sender(post, registry)

    usage.send({"id": object()})
    usage.send({"id": float("nan")})
    usage.send({"id": "x" * 20_000})
    usage.send({"id": "good"})
    assert usage.flush(10)

    assert post.bodies == [[{"id": "good"}]]
    assert dropped(registry) == {"malformed": 2, "too_large": 1}


def test_a_full_queue_drops_the_newest_and_never_waits() -> None:
    registry, post = Registry(), Scripted()
    post.blocked.clear()
    usage = sender(post, registry, max_queued=2)

    for number in range(50):
        usage.send({"id": str(number)})
    post.blocked.set()
    assert usage.flush(10)

    arrived = [event["id"] for body in post.bodies for event in body]
    assert arrived == [str(number) for number in range(len(arrived))]
    assert dropped(registry) == {"queue_full": 50 - len(arrived)}


def test_a_body_stays_below_what_the_receiver_takes() -> None:
    registry, sizes = Registry(), []

    def post(body: bytes) -> Answer:
        sizes.append(len(body))
        return Answer(202)

    usage = sender(post, registry)
    for number in range(200):
        usage.send({"id": str(number), "model": "m" * 10_000})
    assert usage.flush(10)

    assert len(sizes) > 1
    assert max(sizes) <= 1_048_576
    assert value(registry, "exporter_usage_sent_total") == 200


def test_closing_counts_what_did_not_arrive() -> None:
    registry, post = Registry(), Scripted(*[None] * 100)
    usage = sender(post, registry)

    usage.send({"id": "1"})
    usage.close(0.1)

    assert dropped(registry) == {"exit": 1}


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # 3.12: forking with threads is what we prove
def test_a_forked_child_sends_its_own_events_only() -> None:
    registry, post = Registry(), CaughtUsage()
    usage = sender(post, registry)
    usage.send({"id": "parent"})
    assert usage.flush(10)

    pid = os.fork()
    if pid == 0:
        post.events.clear()
        usage.send({"id": "child"})
        right = usage.flush(10) and [event["id"] for event in post.events] == ["child"]
        os._exit(0 if right else 1)
    _, status = os.waitpid(pid, 0)

    assert os.waitstatus_to_exitcode(status) == 0
    assert [event["id"] for event in post.events] == ["parent"]


@pytest.fixture
def ingest() -> Iterator[tuple[str, list[Any]]]:
    """A real HTTP server: its URL, and the (path, headers, body) of each request."""
    requests: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            requests.append((self.path, dict(self.headers), body))
            self.send_response(429 if len(requests) == 1 else 202)
            self.send_header("retry-after", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", requests
        server.shutdown()
        thread.join()


def test_events_reach_a_real_server_with_the_token_of_a_file(ingest: tuple[str, list[Any]], tmp_path: Any) -> None:
    url, requests = ingest
    token = tmp_path / "token"
    token.write_text("opensesame\n")
    registry = Registry()
    environment = {"TOPMAST_INGEST_URL": url, "TOPMAST_INGEST_TOKEN_FILE": str(token)}
    usage = sender(post_from_environment(environment), registry)

    usage.send({"id": "1"})
    while not usage.flush(0.05):  # the first answer is 429
        pass

    path, headers, body = requests[1]
    assert (path, body) == ("/v1/usage", b'{"id":"1"}\n')
    assert headers["authorization"] == "Bearer opensesame"
    assert headers["content-type"] == "application/x-ndjson"


@pytest.mark.parametrize("url", ["ftp://x", "nonsense", "http://"])
def test_a_wrong_url_is_refused_at_once(url: str) -> None:
    with pytest.raises(ValueError, match="an http or https URL is wanted"):
        http_post(url, "")
