"""The biggest and hottest keys of a real Valkey."""

import pytest
import redis
from topmast_exporter import redis_keys


@pytest.fixture
def client(start_valkey):
    server = start_valkey("--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lfu")
    with redis.Redis.from_url(server.url) as client:
        for number in range(1_200):
            client.set(f"small:{number}", "x")
        client.set("large", "x" * 10_000)
        client.rpush("list", *["y" * 100] * 50)
        for _ in range(200):
            client.get("small:7")
        yield client


def test_the_biggest_and_the_hottest_come_first(client):
    found = redis_keys.look(client, sample=10_000, top=2)

    assert [(key.name, key.kind) for key in found.biggest] == [("large", "string"), ("list", "list")]
    assert found.hottest[0].name == "small:7"
    assert (found.database_keys, found.looked_at, found.refused) == (1_202, 1_202, "")


def test_a_sample_is_bounded(client):
    assert redis_keys.look(client, sample=500, top=1).looked_at < 1_202


def test_a_server_that_counts_nothing_has_no_hottest(valkey):
    with redis.Redis.from_url(valkey) as plain:
        plain.set("keys:one", "x")

        assert redis_keys.look(plain, 100, 5).hottest == ()


def test_a_refusal_is_said(start_valkey):
    server = start_valkey()
    with redis.Redis.from_url(server.url) as client:
        client.set("a", "b")
        client.execute_command("ACL SETUSER watch on nopass ~* +scan +type +dbsize +select")
        with redis.Redis.from_url(server.url, username="watch", password="") as lesser:
            found = redis_keys.look(lesser, 100, 5)

    assert "memory" in found.refused
    assert redis_keys.as_json(found)["biggest"] == []
