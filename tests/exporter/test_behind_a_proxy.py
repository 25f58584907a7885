"""Who asks through a proxy that is trusted is whom it names; whom another names is nobody."""

import http.client
from collections.abc import Callable
from typing import Any

import pytest
from topmast_exporter import turns

BURST = 5


def statuses(ingest: Any, source: str, count: int) -> list[int]:
    """Ask so many times over one connection, as a proxy does for somebody."""
    connection = http.client.HTTPConnection(ingest.url.rpartition("/")[2], timeout=30)
    found = []
    for _ in range(count):
        connection.request("GET", "/healthz", headers={"x-forwarded-for": source})
        answer = connection.getresponse()
        answer.read()
        found.append(answer.status)
    connection.close()
    return found


@pytest.mark.parametrize(
    ("trusted", "other"),
    [
        pytest.param("10.0.0.0/8,127.0.0.0/8", 200, id="the proxy is trusted"),
        pytest.param("192.0.2.1", 429, id="it is not: all that comes from it is one address"),
    ],
)
def test_a_flood_from_one_address_leaves_the_others_their_turns(
    start: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, trusted: str, other: int
) -> None:
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", trusted)
    monkeypatch.setattr(turns, "BURST", float(BURST))
    monkeypatch.setattr(turns, "PER_SECOND", 0.0)
    ingest = start(listens_on_loopback=False)

    assert statuses(ingest, "203.0.113.1", BURST + 2) == [200] * BURST + [429] * 2
    assert statuses(ingest, "203.0.113.2", 1) == [other]
