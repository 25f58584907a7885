"""`topmast redis keys` against a real Valkey."""

import json

import redis
from click.testing import CliRunner
from topmast.cli import topmast
from topmast.errors import TopmastError


def test_keys_are_listed_for_people_and_machines(valkey: str) -> None:
    with redis.Redis.from_url(valkey) as client:
        client.set("command:large", "x" * 50_000)

    told = CliRunner().invoke(topmast, ["redis", "keys", "--url", valkey])
    listed = CliRunner().invoke(topmast, ["redis", "keys", "--url", valkey, "--json"])

    assert (told.exit_code, listed.exit_code) == (0, 0), told.output + listed.output
    assert "command:large" in told.output
    assert "command:large" in [one["key"] for one in json.loads(listed.output)["biggest"]]


def test_a_server_that_is_down_is_one_sentence_without_the_password(port: int) -> None:
    done = CliRunner().invoke(topmast, ["redis", "keys", "--url", f"redis://:s3cret@127.0.0.1:{port}/0"])

    assert isinstance(done.exception, TopmastError)
    assert "s3cret" not in str(done.exception)
