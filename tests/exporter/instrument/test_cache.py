"""A real Valkey, the synchronous and the asynchronous redis-py client."""

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
import redis.asyncio
import redis.exceptions
from topmast_exporter.instrument.cache import CacheMetrics, wrap
from topmast_exporter.instrument.cache_commands import is_miss, reason_of, size_of
from topmast_exporter.registry import Registry
from topmast_exporter.testing import samples, value


@pytest.fixture
def registry() -> Registry:
    return Registry()


@pytest.fixture
def cache(valkey: str, registry: Registry) -> Iterator[Any]:
    """A measured client on an empty database of its own."""
    client = redis.Redis.from_url(valkey.replace("/0", "/5"))
    client.flushdb()
    yield CacheMetrics(registry).wrap(client)
    client.close()


def lookups(registry: Registry) -> dict[tuple[str, str, str], float]:
    return {
        (labels["namespace"], labels["operation"], labels["result"]): count
        for labels, count in samples(registry, "cache_requests_total")
        if count
    }


def test_hits_and_misses_are_told_apart_by_namespace(cache: Any, registry: Registry) -> None:
    cache.set("llm:1", "answer", ex=60)
    cache.get("llm:1")
    cache.get("llm:2")
    cache.get("sess:1")
    cache.get("elsewhere")
    cache.mget("emb:1", "llm:1", "emb:2")
    cache.hset("rag:1", "field", "value")
    cache.hget("rag:1", "field")
    cache.hgetall("rag:2")

    assert lookups(registry) == {
        ("llm_response", "get", "hit"): 1,
        ("llm_response", "get", "miss"): 1,
        ("session", "get", "miss"): 1,
        ("_other", "get", "miss"): 1,
        ("embedding", "mget", "miss"): 2,
        ("llm_response", "mget", "hit"): 1,
        ("rag", "hget", "hit"): 1,
        ("rag", "hget", "miss"): 1,
    }


def test_writes_bytes_and_invalidations_are_counted(cache: Any, registry: Registry) -> None:
    cache.set("llm:1", "x" * 100)
    cache.execute_command("SETEX", "llm:2", 60, "é")
    cache.get("llm:1")
    cache.expire("llm:1", 5)
    cache.touch("llm:1")
    cache.incr("rl:client")
    cache.delete("llm:1", "llm:2", "llm:3")

    assert value(registry, "cache_writes_total", namespace="llm_response", operation="set") == 2
    assert value(registry, "cache_writes_total", namespace="llm_response", operation="expire") == 1
    assert value(registry, "cache_writes_total", namespace="llm_response", operation="touch") == 1
    assert value(registry, "cache_writes_total", namespace="rate_limit", operation="set") == 1
    assert value(registry, "cache_value_bytes_total", namespace="llm_response", direction="written") == 102
    assert value(registry, "cache_value_bytes_total", namespace="llm_response", direction="read") == 100
    assert value(registry, "cache_invalidations_total", namespace="llm_response", reason="explicit") == 2


def test_each_operation_has_its_time(cache: Any, registry: Registry) -> None:
    cache.get("llm:1")
    cache.get("llm:1")
    cache.ping()

    assert value(registry, "cache_operation_duration_seconds_count", namespace="llm_response", operation="get") == 2
    assert value(registry, "cache_operation_duration_seconds_count") == 2
    bounds = {labels["le"] for labels, _ in samples(registry, "cache_operation_duration_seconds_bucket")}
    assert "0.005" in bounds


def test_a_pipeline_counts_each_command_and_takes_its_time_as_one(cache: Any, registry: Registry) -> None:
    with cache.pipeline() as pipeline:
        pipeline.set("llm:1", "a").get("llm:1").get("llm:2").lpush("llm:1", "wrong type")
        answers = pipeline.execute(raise_on_error=False)

    assert answers[:3] == [True, b"a", None]
    assert lookups(registry) == {("llm_response", "get", "hit"): 1, ("llm_response", "get", "miss"): 1}
    assert value(registry, "cache_errors_total", namespace="llm_response", reason="protocol") == 1
    assert value(registry, "cache_operation_duration_seconds_count", operation="pipeline") == 1
    assert value(registry, "cache_operation_duration_seconds_count") == 1


def test_waiting_for_a_lock_is_measured(cache: Any, registry: Registry) -> None:
    with cache.lock("llm:lock:1", timeout=5):
        assert cache.lock("llm:lock:1").acquire(blocking=False) is False

    assert value(registry, "cache_lock_wait_seconds_count", namespace="llm_response") == 2


def test_what_starts_at_zero_is_there_before_the_first_call(cache: Any, registry: Registry) -> None:
    for namespace in ("llm_response", "embedding", "semantic", "session", "rag", "rate_limit", "_other"):
        assert value(registry, "cache_requests_total", namespace=namespace, operation="get", result="hit") == 0
        assert value(registry, "cache_errors_total", namespace=namespace, reason="timeout") == 0


def test_the_backend_and_the_pool_are_seen(cache: Any, registry: Registry) -> None:
    before = time.time()
    pubsub = cache.pubsub()
    pubsub.subscribe("channel")
    cache.get("llm:1")

    assert value(registry, "cache_backend_up", backend="redis") == 1
    assert (value(registry, "cache_last_success_timestamp_seconds") or 0) >= before
    assert value(registry, "cache_pool_connections_in_use", pool="redis") == 1
    assert value(registry, "cache_pool_connections_max", pool="redis") == 100
    pubsub.close()


def test_the_client_stays_what_it_was(cache: Any) -> None:
    assert type(cache) is redis.Redis
    with pytest.raises(redis.exceptions.ResponseError):
        cache.execute_command("LPUSH")


def test_an_error_has_a_reason_and_reaches_the_caller(cache: Any, registry: Registry) -> None:
    cache.set("llm:1", "text")

    with pytest.raises(redis.exceptions.ResponseError):
        cache.hget("llm:1", "field")
    with pytest.raises(redis.exceptions.DataError):
        cache.set("llm:1", object())

    assert value(registry, "cache_errors_total", namespace="llm_response", reason="protocol") == 1
    assert value(registry, "cache_errors_total", namespace="llm_response", reason="serialization") == 1
    assert lookups(registry) == {("llm_response", "hget", "error"): 1}
    assert value(registry, "cache_backend_up") == 1


def test_a_server_that_is_gone_is_a_connection_error(port: int, registry: Registry) -> None:
    client = wrap(redis.Redis(port=port), registry)

    with pytest.raises(redis.exceptions.ConnectionError):
        client.get("llm:1")

    assert value(registry, "cache_errors_total", namespace="llm_response", reason="connection") == 1
    assert value(registry, "cache_backend_up") == 0
    assert value(registry, "cache_last_success_timestamp_seconds") is None
    client.close()


def test_a_server_that_hangs_is_a_timeout(start_valkey: Callable[..., Any], registry: Registry) -> None:
    server = start_valkey()
    client = wrap(redis.Redis.from_url(server.url, socket_timeout=0.2), registry)
    client.get("llm:1")

    with server.frozen(), pytest.raises(redis.exceptions.TimeoutError):
        client.get("llm:1")

    assert value(registry, "cache_errors_total", namespace="llm_response", reason="timeout") == 1
    assert value(registry, "cache_backend_up") == 0
    client.close()


def test_a_full_server_is_out_of_memory(start_valkey: Callable[..., Any], registry: Registry) -> None:
    server = start_valkey("--maxmemory", "1mb", "--maxmemory-policy", "noeviction")
    client = wrap(redis.Redis.from_url(server.url), registry)

    with pytest.raises(redis.exceptions.OutOfMemoryError):
        client.set("llm:1", "x" * 2_000_000)
        client.set("llm:2", "x" * 2_000_000)

    assert value(registry, "cache_errors_total", namespace="llm_response", reason="oom") == 1
    client.close()


def test_the_asynchronous_client_is_measured_alike(valkey: str, registry: Registry) -> None:
    async def use() -> Any:
        client = CacheMetrics(registry).wrap(redis.asyncio.Redis.from_url(valkey.replace("/0", "/6")))
        await client.flushdb()
        await client.set("llm:1", "a")
        await client.get("llm:1")
        async with client.pipeline() as pipeline:
            answers = await pipeline.get("llm:1").get("llm:2").execute()
        async with client.lock("llm:lock", timeout=5):
            pass
        with pytest.raises(redis.exceptions.ResponseError):
            await client.hget("llm:1", "field")
        await client.aclose()
        return answers

    assert asyncio.run(use()) == [b"a", None]
    assert lookups(registry) == {
        ("llm_response", "get", "hit"): 2,
        ("llm_response", "get", "miss"): 1,
        ("llm_response", "hget", "error"): 1,
    }
    assert value(registry, "cache_lock_wait_seconds_count") == 1
    assert value(registry, "cache_pool_connections_in_use") is not None


def test_what_only_the_application_knows_is_said_by_it(registry: Registry) -> None:
    cache = CacheMetrics(registry)

    cache.saved("llm_response", "openai", "gpt-4o-mini", usd=0.25, tokens=812)
    cache.lookup("semantic", "stale")
    cache.lookup("semantic", "perhaps")
    cache.invalidated("rag", "pattern", 12)
    cache.stampede_wait("llm_response")
    cache.http_response("/items/{item}", "bypass")
    with cache.lock_wait("rag"):
        pass

    assert value(registry, "cache_saved_usd_total", namespace="llm_response", model="gpt-4o-mini") == 0.25
    assert value(registry, "cache_saved_tokens_total", provider="openai") == 812
    assert value(registry, "cache_requests_total", namespace="semantic", result="stale") == 1
    assert value(registry, "cache_requests_total", namespace="semantic", result="_other") == 1
    assert value(registry, "cache_invalidations_total", namespace="rag", reason="pattern") == 12
    assert value(registry, "cache_stampede_waits_total", namespace="llm_response") == 1
    assert value(registry, "cache_http_responses_total", route="/items/{item}", result="bypass") == 1
    assert value(registry, "cache_lock_wait_seconds_count", namespace="rag") == 1


def test_a_mistake_in_what_is_said_is_swallowed_and_counted(registry: Registry) -> None:
    CacheMetrics(registry).saved("llm_response", "openai", "x", usd=-1)

    assert value(registry, "exporter_internal_errors_total", site="cache") == 1


def test_at_least_fifteen_cache_families_are_there(cache: Any, registry: Registry) -> None:
    families = {family.name for family in registry.families() if family.name.startswith("cache_")}

    assert len(families) == 15


@pytest.mark.parametrize(
    ("answer", "miss"),
    [
        (None, True),
        ([None, None], True),
        ([None, b"a"], False),
        ({}, True),
        ({b"a": b"b"}, False),
        (set(), True),
        (b"", False),
    ],
)
def test_an_empty_answer_is_a_miss(answer: object, miss: bool) -> None:
    assert is_miss(answer) is miss


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (redis.exceptions.BusyLoadingError(), "connection"),
        (redis.exceptions.AuthenticationError(), "connection"),
        (redis.exceptions.ReadOnlyError(), "protocol"),
        (redis.exceptions.InvalidResponse(), "protocol"),
        (redis.exceptions.ResponseError("OOM command not allowed"), "oom"),
        (TimeoutError(), "timeout"),
        (OSError(), "connection"),
        (KeyError(), "other"),
    ],
)
def test_an_error_is_told_by_its_kind(error: Exception, reason: str) -> None:
    assert reason_of(error) == reason


@pytest.mark.parametrize(("value_", "size"), [(b"abc", 3), ("é", 2), (12, 2), (1.5, 3), (object(), 0)])
def test_sizes_are_bytes_on_the_wire(value_: object, size: int) -> None:
    assert size_of(value_) == size
