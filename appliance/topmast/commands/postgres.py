"""`topmast postgres`: what the collector needs of a PostgreSQL server."""

import json

import click
from topmast_exporter.collectors import postgres as collector


@click.group()
def postgres() -> None:
    """What the collector needs of a PostgreSQL server."""


@postgres.command()
@click.option("--role", default="topmast", show_default=True, metavar="NAME", help="The role to make.")
@click.option("--json", "as_json", is_flag=True, help="Print {statements: […]} as JSON.")
def grants(role: str, as_json: bool) -> None:
    """Print the statements that make a role which may read what is exported, and no more.

    For psql, as a superuser: `topmast postgres grants | psql`. Set its password there with \\password.
    """
    quoted = '"' + role.replace('"', '""') + '"'
    statements = [one.format(role=quoted) for one in collector.GRANTS]
    click.echo(json.dumps({"statements": statements}, indent=2) if as_json else "\n".join(statements))


COMMAND = postgres
