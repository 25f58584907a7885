"""The scraped listener: what is known, at once; configured names only."""

import asyncio
import gzip

import pytest
from topmast_exporter.admission import Limits
from topmast_exporter.collectors import redis as redis_module
from topmast_exporter.refresh import Targets
from topmast_exporter.registry import Registry
from topmast_exporter.server import Server, timeout_seconds


@pytest.fixture
def registry():
    return Registry()


@pytest.fixture
def targets(registry):
    return Targets(registry)


@pytest.fixture
def server(registry, targets):
    return Server(registry, lambda: targets)


def get(server, path, query="", headers=(), method="GET"):
    """Return (status, headers, body), without a socket."""
    sent = []

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message):
        sent.append(message)

    given = {"host": "127.0.0.1:9470", **dict(headers)}
    listed = [(key.encode(), value.encode()) for key, value in given.items()]
    scope = {"type": "http", "method": method, "path": path, "query_string": query.encode(), "headers": listed}
    asyncio.run(server(scope, receive, send))
    return sent[0]["status"], dict(sent[0]["headers"]), b"".join(one.get("body", b"") for one in sent[1:])


@pytest.fixture
def cache(targets, valkey):
    target = targets.add(redis_module.COLLECTOR, redis_module.Config(target="cache", url=valkey, timeout_seconds=0.5))
    yield target
    target._source.close()


def test_a_target_is_probed_by_its_name(server, cache):
    cache.refresh()

    status, headers, body = get(server, "/probe", "module=redis&target=cache")

    assert status == 200
    assert headers[b"content-type"].startswith(b"text/plain; version=0.0.4")
    assert b"\nredis_up 1.0\n" in body
    assert b"\nredis_connected_clients " in body
    assert b"exporter_" not in body  # each family comes from one place


def test_openmetrics_ends_as_it_must(server, cache):
    cache.refresh()

    _, headers, body = get(
        server, "/probe", "module=redis&target=cache", {"accept": "application/openmetrics-text;version=1.0.0"}
    )

    assert headers[b"content-type"].startswith(b"application/openmetrics-text")
    assert body.endswith(b"# EOF\n")


def test_a_probe_is_packed_when_it_is_asked_to_be(server, cache):
    cache.refresh()

    _, headers, body = get(server, "/probe", "module=redis&target=cache", {"accept-encoding": "gzip"})

    assert headers[b"content-encoding"] == b"gzip"
    assert b"redis_up 1.0" in gzip.decompress(body)


def test_a_server_that_was_never_read_is_down_and_nothing_else(server, cache):
    status, _, body = get(server, "/probe", "module=redis&target=cache")

    assert status == 200
    assert [line for line in body.decode().splitlines() if not line.startswith("#")] == ["redis_up 0.0"]


def test_a_frozen_server_costs_a_scrape_nothing(server, cache, valkey_server):
    cache.refresh()
    with valkey_server.frozen():
        cache.refresh()
        status, _, body = get(server, "/probe", "module=redis&target=cache")

    assert status == 200
    assert b"\nredis_up 0.0\n" in body
    assert b"\nredis_connected_clients " in body  # the last known good, for three intervals


@pytest.mark.parametrize(
    "query",
    [
        pytest.param("module=redis&target=other", id="another name"),
        pytest.param("module=redis&target=10.0.0.1:6379", id="an address: no open proxy"),
        pytest.param("module=nothing&target=cache", id="another kind"),
        pytest.param("", id="nothing"),
    ],
)
def test_only_configured_names_are_answered(server, cache, query):
    status, _, body = get(server, "/probe", query)

    assert status == 404
    assert body.endswith(b"is configured\n")


@pytest.mark.parametrize(
    ("path", "method", "headers", "status"),
    [
        pytest.param("/healthz", "GET", {}, 200, id="health"),
        pytest.param("/", "GET", {}, 200, id="what there is"),
        pytest.param("/metrics", "GET", {}, 200, id="metrics"),
        pytest.param("/apps/shop/metrics", "GET", {}, 503, id="an app of which no worker reported"),
        pytest.param("/nothing", "GET", {}, 404, id="nowhere"),
        pytest.param("/metrics", "POST", {}, 405, id="POST"),
        pytest.param("/metrics", "GET", {"host": "evil.example"}, 421, id="a rebound name"),
        pytest.param("/metrics", "GET", {"host": "localhost"}, 200, id="localhost"),
        pytest.param("/metrics", "GET", {"host": "[::1]:9470"}, 200, id="IPv6"),
    ],
)
def test_paths(server, path, method, headers, status):
    assert get(server, path, headers=headers, method=method)[0] == status


def test_a_listener_for_others_is_asked_under_any_name(registry, targets):
    server = Server(registry, lambda: targets, listens_on_loopback=False)

    assert get(server, "/healthz", headers={"host": "exporter:9470"})[0] == 200


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("10", 9.5), ("0.3", 0.1), ("", 10.0), ("soon", 10.0), ("-1", 10.0), ("nan", 10.0)],
)
def test_the_scrapes_own_timeout_is_honoured(value, seconds):
    assert timeout_seconds(value) == seconds


def test_many_series_are_rendered_within_the_scrape(targets):
    registry = Registry(Limits(10**6, 10**6))
    family = registry.counter("many_total", "Many.", ("n",))
    for n in range(20_000):
        family.labels(str(n)).inc()

    status, _, body = get(Server(registry, lambda: targets), "/metrics")

    assert status == 200
    assert body.count(b"\nmany_total{") == 20_000
