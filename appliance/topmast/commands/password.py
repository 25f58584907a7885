"""`topmast password`: what to log in to the stack in containers with."""

import json
import subprocess
from collections.abc import Sequence

import click

from topmast import compose, passwords
from topmast.cli import Call
from topmast.layout import Layout
from topmast.passwords import LOGINS

_SECONDS = 180

service = click.argument("service", type=click.Choice(sorted(LOGINS)))
as_json_option = click.option("--json", "as_json", is_flag=True, help="Print {service, user, password, url}.")


@click.group("password")
def password() -> None:
    """Show a password of compose mode, or make a new one.

    \b
    topmast password show grafana
    topmast password rotate ingest

    They are made at the first start, into volumes that only their services mount. Embedded mode has none: it listens
    on 127.0.0.1 alone.
    """


@password.command("show")
@service
@as_json_option
@click.pass_obj
def show(call: Call, /, service: str, as_json: bool) -> None:
    """Print the password of SERVICE and who logs in with it."""
    _tell(service, passwords.show(_compose(call), service), as_json)


@password.command("rotate")
@service
@as_json_option
@click.pass_obj
def rotate(call: Call, /, service: str, as_json: bool) -> None:
    """Make a new password for SERVICE while the stack runs, and print it; the old one is refused from then on."""
    _tell(service, passwords.rotate(_compose(call), service), as_json)


def _tell(service: str, secret: str, as_json: bool) -> None:
    login = LOGINS[service]
    if as_json:
        click.echo(json.dumps({"service": service, "user": login.user, "password": secret, "url": login.url}))
    else:
        who = f"user {login.user}, password {secret}" if login.user else f"bearer token {secret}"
        click.echo(f"{service} ({login.url}): {who}")


def _compose(call: Call) -> passwords.Compose:
    argv = compose.command(Layout(call.home, call.state))

    def run(arguments: Sequence[str], text: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [*argv, *arguments],
            cwd=call.home,
            input=text,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )

    return run


COMMAND = password
