"""`topmast notify`: which channels reach a person, set one up, and send a test through it."""

import json
import os
import socket
import sys
from pathlib import Path
from typing import Any

import click

from topmast import applying, config, ownfile, routing, sending, yamledit
from topmast.cli import Call
from topmast.errors import TopmastError
from topmast.layout import Layout

# What each channel is for, as the routes of monitoring/alertmanager/ have it.
_FOR = {
    "slack": "warnings, and criticals beside PagerDuty",
    "pagerduty": "criticals",
    "email": "cost",
    "webhook": "the heartbeat, for a service that calls you when it stops",
}
_SECRETS = {"slack": ("api_url_file", "slack-webhook"), "pagerduty": ("routing_key_file", "pagerduty-key")}
_PASSWORD = ("password_file", "smtp-password")


@click.group("notify")
def notify() -> None:
    """See where alerts go, set a channel up, send a test.

    \b
    topmast notify list
    topmast notify setup slack                     asks for the webhook's address
    topmast notify setup email --smarthost smtp.example.com:587 --from a@example.com --to team@example.com
    topmast notify test                            one marked message through each channel

    A channel that is not set up goes to the inbox (`topmast inbox`). `topmast drill` shows which alert goes where.
    """


@notify.command("list")
@click.option("--json", "as_json", is_flag=True, help='{"channels": [{"channel", "configured", "for", "problem"}]}')
@click.pass_obj
def list_(call: Call, as_json: bool) -> None:
    """List the channels: what each is for, and whether it is set up."""
    set_up = config.load(call.config, Layout(call.home, call.state)).values["notify"]
    found = [
        {
            "channel": name,
            "configured": name in set_up,
            "for": purpose,
            "problem": _problem(set_up.get(name, {})),
        }
        for name, purpose in _FOR.items()
    ]
    if as_json:
        click.echo(json.dumps({"channels": found}, indent=2, ensure_ascii=False))
        return
    for each in found:
        mark, state = ("●", "set up") if each["configured"] else ("○", "goes to the inbox")
        problem = f"; {each['problem']}" if each["problem"] else ""
        click.echo(f"{mark} {each['channel']:<10} {state + problem:<20} {each['for']}")
    if not set_up:
        click.echo("\nNobody is told yet: `topmast notify setup slack|email|pagerduty|webhook`")


def _problem(options: dict[str, Any]) -> str:
    files = [Path(value) for key, value in options.items() if key.endswith("_file")]
    return "; ".join(f"{path} is missing" for path in files if not path.is_file())


@notify.command("setup")
@click.argument("channel", type=click.Choice(tuple(_FOR)))
@click.option("--url", help="webhook: the address to call; pagerduty: another than PagerDuty's own.")
@click.option("--secret-file", type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="FILE",
              help="Holds the webhook's address (slack), the key (pagerduty), the password (email).")  # fmt: skip
@click.option("--smarthost", metavar="HOST:PORT", help="email: the server that takes the mail.")
@click.option("--from", "sender", metavar="ADDRESS", help="email: who it is from.")
@click.option("--to", metavar="ADDRESS", help="email: who gets it; several with commas.")
@click.option("--username", help="email: the login, when the server wants one.")
@click.option("--no-tls", is_flag=True, help="email: a server of your own network that has no TLS.")
@click.option("--remove", is_flag=True, help="Take the channel away; what it got goes to the inbox again.")
@click.option("--json", "as_json", is_flag=True, help='{"channel", "file", "applied"}')
@click.pass_obj
def setup(call: Call, /, channel: str, as_json: bool, remove: bool, secret_file: Path | None, **given: Any) -> None:
    """Set CHANNEL up: slack, email, pagerduty or webhook. What is not said is asked for.

    A secret never stands in topmast.yml or on a command line: it is asked for without echo and kept in a file that
    only you may read, or read from the file that --secret-file names. A running Alertmanager takes the change at
    once.
    """
    layout, path = Layout(call.home, call.state), ownfile.place(call.config)
    where = ("notify", channel)
    options = {} if remove else _options(channel, given, secret_file, path.parent.absolute())

    def change(text: str) -> str:
        try:
            text = yamledit.remove(text, where)
        except (KeyError, TypeError):
            if remove:
                raise TopmastError(f"{channel} is not set up in {path}") from None
        for key, value in options.items():
            text = yamledit.put(text, (*where, key), value)
        return text

    text, values = ownfile.draft(path, change, layout)
    routing.check(values["notify"])
    ownfile.write(path, text)
    applied = applying.apply_routing(layout, values)
    if as_json:
        click.echo(json.dumps({"channel": channel, "file": str(path), "applied": applied.state}, indent=2))
        return
    click.echo(f"{path}: {channel} is {'taken away' if remove else 'set up'}; {applied.message}")
    if not remove:
        click.echo(f"Try it: topmast notify test {channel}")


def _options(channel: str, given: dict[str, Any], secret_file: Path | None, folder: Path) -> dict[str, Any]:
    """Return what `notify:` says of the channel; a secret that was typed is written into a file of its own."""
    if channel == "webhook":
        return {"url": given["url"] or _ask("The address to call")}
    if channel == "slack":
        return {"api_url_file": _kept(secret_file, folder, _SECRETS["slack"][1], "The webhook's address", "http")}
    if channel == "pagerduty":
        key = _kept(secret_file, folder, _SECRETS["pagerduty"][1], "The integration key (Events API v2)")
        return {"routing_key_file": key, **({"url": given["url"]} if given["url"] else {})}
    options: dict[str, Any] = {
        "smarthost": given["smarthost"] or _ask("The mail server (HOST:PORT)"),
        "from": given["sender"] or _ask("From"),
        "to": given["to"] or _ask("To"),
    }
    if given["username"]:
        options |= {
            "username": given["username"],
            "password_file": _kept(secret_file, folder, _PASSWORD[1], "The password"),
        }
    return options | ({"require_tls": False} if given["no_tls"] else {})


def _ask(what: str, *, hidden: bool = False) -> str:
    if not sys.stdin.isatty():
        raise click.UsageError(f"{what.lower()} is missing, and nobody is there to be asked: see --help")
    answer: str = click.prompt(what, hide_input=hidden)
    return answer.strip()


def _kept(given: Path | None, folder: Path, name: str, what: str, begins: str = "") -> str:
    """Return the path of the file that holds a secret: the one that was named, or a new one that only we may read."""
    if given is not None:
        text, path = given.read_text(encoding="utf-8").strip(), given.absolute()
    else:
        text, path = _ask(what, hidden=True), folder / ".topmast-secrets" / name
    if not text.startswith(begins) or not text:
        raise click.UsageError(
            f"{what.lower()}: must begin with {begins}s://" if begins else f"{what.lower()}: is empty"
        )
    if given is None:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        (path.parent / ".gitignore").write_text("*\n", encoding="utf-8")
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as out:
            out.write(text + "\n")
    return str(path)


@notify.command("test")
@click.argument("channel", required=False, type=click.Choice(tuple(_FOR)))
@click.option("--json", "as_json", is_flag=True, help='{"channels": [{"channel", "ok", "answer"}]}')
@click.pass_obj
def test(call: Call, channel: str | None, as_json: bool) -> None:
    """Send one clearly marked message through CHANNEL, or through each; say what the service answered.

    Exit 1 when one did not take it. PagerDuty's test is resolved in the same breath.
    """
    set_up = config.load(call.config, Layout(call.home, call.state)).values["notify"]
    wanted = [channel] if channel else list(set_up)
    if not wanted:
        raise TopmastError("no channel is set up: `topmast notify setup slack|email|pagerduty|webhook`")
    found = []
    for name in wanted:
        if name not in set_up:
            raise TopmastError(f"{name} is not set up: `topmast notify setup {name}`")
        try:
            found.append(
                {"channel": name, "ok": True, "answer": sending.send(name, set_up[name], socket.gethostname())}
            )
        except sending.SendError as error:
            found.append({"channel": name, "ok": False, "answer": str(error)})
    if as_json:
        click.echo(json.dumps({"channels": found}, indent=2, ensure_ascii=False))
    for each in found if not as_json else ():
        click.echo(f"{'●' if each['ok'] else '✗'} {each['channel']:<10} {each['answer']}")
    raise click.exceptions.Exit(0 if all(each["ok"] for each in found) else 1)


COMMAND = notify
