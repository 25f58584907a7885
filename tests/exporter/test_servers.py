"""The fixtures of tests/conftest.py start real servers, and can freeze them."""

import psycopg
import redis


def test_valkey_answers(valkey):
    with redis.Redis.from_url(valkey) as client:
        assert client.ping()


def test_postgres_answers_and_freezes(postgres_server):
    with psycopg.connect(postgres_server.url) as connection:
        assert connection.execute("SELECT count(*) FROM pg_stat_statements").fetchone() is not None
        assert len(postgres_server.pids()) > 2
