from collections.abc import Callable, Iterator

import pytest
import requests
from topmast_exporter.instrument.requests import instrument_requests
from topmast_exporter.registry import Registry
from topmast_exporter.testing import samples, value

Calls = Callable[[Registry], dict[tuple[str, str, str], float]]


@pytest.fixture
def everywhere() -> Iterator[Registry]:
    """A registry that counts every session of the process, until the test ends."""
    registry, send = Registry(), requests.Session.send
    instrument_requests(registry=registry)
    yield registry
    requests.Session.send = send  # type: ignore[method-assign]  # back to what it was


def test_calls_of_a_session_are_counted_by_host_method_and_status(server: str, calls: Calls) -> None:
    registry = Registry()

    with instrument_requests(requests.Session(), registry) as http:
        http.get(f"{server}/500")
        http.head(f"{server}/200")
        http.get(f"{server}/302")  # with where it leads to, one call
        http.request("HACK", f"{server}/200")

    assert calls(registry) == {
        ("127.0.0.1", "GET", "500"): 1,
        ("127.0.0.1", "HEAD", "200"): 1,
        ("127.0.0.1", "GET", "204"): 1,
        ("127.0.0.1", "_other", "501"): 1,
    }
    assert len(samples(registry, "app_http_client_request_duration_seconds_count")) == 4


def test_calls_without_an_answer_are_timeouts_or_errors(server: str, port: int, calls: Calls) -> None:
    registry = Registry()

    with instrument_requests(requests.Session(), registry) as http:
        with pytest.raises(requests.Timeout):
            http.get(f"{server}/hang", timeout=0.2)
        with pytest.raises(requests.ConnectionError):
            http.get(f"http://localhost:{port}/", timeout=5)

    assert calls(registry) == {("127.0.0.1", "GET", "timeout"): 1, ("localhost", "GET", "error"): 1}


def test_calls_without_a_session_are_counted_too(server: str, everywhere: Registry, calls: Calls) -> None:
    requests.get(f"{server}/302", timeout=5)
    requests.post(f"{server}/200", timeout=5)

    assert calls(everywhere) == {("127.0.0.1", "GET", "204"): 1, ("127.0.0.1", "POST", "501"): 1}


def test_other_sessions_are_left_alone(server: str) -> None:
    registry = Registry()
    instrument_requests(requests.Session(), registry)

    requests.get(f"{server}/200", timeout=5)

    assert value(registry, "app_http_client_requests_total") is None
