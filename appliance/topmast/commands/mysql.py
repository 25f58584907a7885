"""`topmast mysql`: what the collector needs of a MySQL or MariaDB server."""

import json

import click
from topmast_exporter.collectors import mysql as collector


@click.group()
def mysql() -> None:
    """What the collector needs of a MySQL or MariaDB server."""


@mysql.command()
@click.option("--user", default="topmast", show_default=True, metavar="NAME", help="The user to make.")
@click.option("--host", default="localhost", show_default=True, metavar="HOST", help="From where it connects.")
@click.option("--mariadb", is_flag=True, help="For MariaDB 10.5 and newer, where replication has a right of its own.")
@click.option("--json", "as_json", is_flag=True, help="Print {statements: […]} as JSON.")
def grants(user: str, host: str, mariadb: bool, as_json: bool) -> None:
    """Print the statements that make a user who may read what is exported, and no more.

    For the server's client, as its administrator. The password is yours to set: `ALTER USER … IDENTIFIED BY …`.
    """
    account = "@".join("'" + one.replace("\\", "\\\\").replace("'", "''") + "'" for one in (user, host))
    wanted = [*collector.GRANTS, *(collector.GRANTS_MARIADB if mariadb else ())]
    statements = [one.format(account=account) for one in wanted]
    click.echo(json.dumps({"statements": statements}, indent=2) if as_json else "\n".join(statements))


COMMAND = mysql
