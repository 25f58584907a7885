"""`topmast redis`: questions to a Redis or Valkey that no scrape asks."""

import json
from pathlib import Path

import click
from topmast_exporter import redis_keys
from topmast_exporter.collector import read_secret

from topmast.errors import TopmastError


@click.group()
def redis() -> None:
    """Questions to a Redis or Valkey that no scrape asks."""


@redis.command()
@click.option("--url", default="redis://127.0.0.1:6379/0", show_default=True, help="redis://, rediss:// or unix://.")
@click.option("--password-file", type=Path, metavar="FILE", help="Holds the password.")
@click.option("--sample", default=10_000, show_default=True, type=click.IntRange(1), help="Keys to look at, about.")
@click.option("--top", default=10, show_default=True, type=click.IntRange(1, 1000), help="Keys to show of each.")
@click.option("--json", "as_json", is_flag=True, help="Print {database_keys, looked_at, biggest, hottest} as JSON.")
def keys(url: str, password_file: Path | None, sample: int, top: int, as_json: bool) -> None:
    """Show the biggest keys, and the hottest where the server counts (an LFU maxmemory-policy).

    A sample in small steps: a server under load is not held up. Exit code 1 when it does not answer.
    """
    from redis import Redis, RedisError

    password = {"password": read_secret(str(password_file))} if password_file else {}
    try:
        with Redis.from_url(url, socket_timeout=10, socket_connect_timeout=5, protocol=2, **password) as client:
            found = redis_keys.look(client, sample, top)
    except (RedisError, OSError, ValueError) as error:
        raise TopmastError(f"{url.rpartition('@')[2]}: {error}") from error
    if as_json:
        click.echo(json.dumps(redis_keys.as_json(found), indent=2))
        return
    click.echo(f"{found.looked_at} of {found.database_keys} keys looked at")
    if found.refused:
        click.echo(f"the server refuses: {found.refused}")
    for title, some in (("biggest", found.biggest), ("hottest", found.hottest)):
        if some:
            click.echo(f"\n{title}")
        for one in some:
            heat = "" if one.frequency is None else f"  frequency {one.frequency}"
            click.echo(f"  {one.bytes:>12,} B  {one.kind:<7} {one.name}{heat}")
    if not found.hottest and not found.refused:
        click.echo("\nhottest: not known, maxmemory-policy is none of the LFU ones")


COMMAND = redis
