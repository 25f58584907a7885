"""`topmast notify`: who is told. Set a channel up, try it, see what there is."""

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from topmast import applying, channeltest, config, notification, ownfile, routing, yamledit
from topmast.cli import Call
from topmast.errors import ConfigError, StateError, TopmastError
from topmast.layout import Layout

# What each channel is for, the option that names its secret's file, and what to ask for.
CHANNELS: Mapping[str, tuple[str, str, str]] = {
    "slack": ("criticals, warnings and costs", "api_url_file", "Incoming webhook URL"),
    "pagerduty": ("criticals: it pages", "routing_key_file", "Integration key (Events API v2)"),
    "email": ("costs; everything where there is no Slack", "password_file", "Password"),
    "webhook": ("criticals, warnings and costs, as Alertmanager's JSON", "", ""),
    "heartbeat": ("the dead man's switch: a health-check URL outside this machine", "", ""),
}
MAX_SECRET = 4096


@click.group("notify")
def notify() -> None:
    """Say who is told, try it, see what there is.

    \b
    topmast notify setup slack                   asks for the webhook's URL, hidden
    topmast notify setup email --smarthost mail.example.com:587 --from a@example.com --to team@example.com
    topmast notify setup heartbeat --url https://hc.example.com/ping/1
    topmast notify test                          one marked message to each channel
    topmast notify list

    What no channel takes goes to the inbox (`topmast inbox`). Secrets stand in files of their own, never here.
    """


@notify.command("setup")
@click.argument("channel", type=click.Choice(list(CHANNELS)))
@click.option("--secret-file", type=click.Path(path_type=Path), help="A file of yours that holds the secret.")
@click.option("--url", help="webhook, heartbeat: the address. pagerduty: another region's Events API.")
@click.option("--smarthost", metavar="HOST:PORT", help="email: the server that takes mail from here.")
@click.option("--from", "sender", metavar="ADDRESS", help="email: the sender.")
@click.option("--to", metavar="ADDRESS", help="email: who is told; several with commas.")
@click.option("--username", help="email: for a server that asks for a password.")
@click.option("--require-tls/--no-tls", default=None, help="email: TLS or nothing (the default).")
@click.option("--json", "as_json", is_flag=True, help='{"channel", "file", "secret_file", "applied"}')
@click.pass_obj
def setup(
    call: Call,
    channel: str,
    secret_file: Path | None,
    url: str | None,
    smarthost: str | None,
    sender: str | None,
    to: str | None,
    username: str | None,
    require_tls: bool | None,
    as_json: bool,
) -> None:
    """Set up slack, email, pagerduty, webhook or heartbeat; what is missing is asked for.

    A secret is typed hidden, comes on standard input, or stays in your own --secret-file; it is written to a file in
    `secrets/` beside topmast.yml that only you can read. topmast.yml then names that file.
    """
    layout, path = Layout(call.home, call.state), ownfile.place(call.config)
    named = {"url": url, "smarthost": smarthost, "from": sender, "to": to, "username": username}
    wanted: dict[str, Any] = {key: value for key, value in named.items() if value}
    if require_tls is not None:
        wanted["require_tls"] = require_tls
    if channel in notification.CHANNELS:
        for key in sorted(notification.CHANNELS[channel][1] - set(wanted)):
            if not key.endswith("_file"):
                wanted[key] = _asked(f"{channel}: {key}", f"--{key}")
    _, option, prompt = CHANNELS[channel]
    secret = ""
    if option and (channel != "email" or username or secret_file):
        if secret_file is not None:
            if not secret_file.is_file():
                raise ConfigError(f"--secret-file {secret_file}: no such file")
            wanted[option] = str(secret_file.resolve())
        else:
            secret = _secret(prompt)
            wanted[option] = str((path.parent / "secrets" / channel).resolve())
    if channel == "slack" and secret and not secret.startswith("https://"):
        raise ConfigError("slack: the webhook's URL begins with https://")
    routing.check({channel: wanted})

    def change(text: str) -> str:
        for key, value in wanted.items():
            text = yamledit.put(text, ("notify", channel, key), value)
        return text

    text, values = ownfile.draft(path, change, layout)
    routing.check(values["notify"])
    if secret:
        _keep(Path(wanted[option]), secret)
    ownfile.write(path, text)
    try:
        applied = applying.notify(layout, values)
    except TopmastError as error:
        raise TopmastError(f"{path} is written; {error}") from error
    if as_json:
        told = {"channel": channel, "file": str(path), "secret_file": wanted.get(option), "applied": applied.state}
        click.echo(json.dumps(told, indent=2))
        return
    click.echo(f"{channel}: set up in {path}: {applied.message}")
    click.echo(f"`topmast notify test {channel}` sends a marked message.")


@notify.command("remove")
@click.argument("channel", type=click.Choice(list(CHANNELS)))
@click.option("--json", "as_json", is_flag=True, help='{"channel", "file", "applied"}')
@click.pass_obj
def remove(call: Call, channel: str, as_json: bool) -> None:
    """Take a channel out of topmast.yml again; its secret's file stays where it is."""
    layout, path = Layout(call.home, call.state), ownfile.place(call.config)
    if channel not in config.load(call.config, layout).values["notify"]:
        raise ConfigError(f"{channel}: not set up; `topmast notify list`")
    text, values = ownfile.draft(path, lambda before: yamledit.remove(before, ("notify", channel)), layout)
    ownfile.write(path, text)
    try:
        applied = applying.notify(layout, values)
    except TopmastError as error:
        raise TopmastError(f"{path} is written; {error}") from error
    if as_json:
        click.echo(json.dumps({"channel": channel, "file": str(path), "applied": applied.state}, indent=2))
        return
    click.echo(f"{channel}: out of {path}: {applied.message}")


@notify.command("test")
@click.argument("channel", type=click.Choice(list(CHANNELS)), required=False)
@click.option("--json", "as_json", is_flag=True, help='{"channels": [{"name", "ok", "message"}]}')
@click.pass_context
def test(ctx: click.Context, channel: str | None, as_json: bool) -> None:
    """Send one real, clearly marked message to each channel (or to one), and say what the service answered.

    Exit code 1 when one did not take it. `topmast drill ALERT --live` tries the way through Alertmanager.
    """
    call: Call = ctx.obj
    channels = config.load(call.config, Layout(call.home, call.state)).values["notify"]
    routing.check(channels)
    if channel is not None and channel not in channels:
        raise ConfigError(f"{channel}: not set up; `topmast notify setup {channel}`")
    told = [channeltest.send(name, channels[name]) for name in channels if channel in (None, name)]
    if as_json:
        found = [{"name": each.channel, "ok": each.ok, "message": each.message} for each in told]
        click.echo(json.dumps({"channels": found}, indent=2, ensure_ascii=False))
    elif not told:
        click.echo("No channel is set up: everything goes to the inbox. `topmast notify setup slack`")
    else:
        for each in told:
            verdict = click.style("ok   ", fg="green") if each.ok else click.style("FAILS", fg="red")
            click.echo(f"{verdict}  {each.channel:<9}  {each.message}")
    ctx.exit(0 if all(each.ok for each in told) else 1)


@notify.command("list")
@click.option("--json", "as_json", is_flag=True, help='{"channels": [{"name", "set", "for", "problem"}]}')
@click.pass_obj
def list_(call: Call, as_json: bool) -> None:
    """List the channels, what each is told, and what is wrong with a secret's file."""
    channels = config.load(call.config, Layout(call.home, call.state)).values["notify"]
    routing.check(channels)
    found = [
        {"name": name, "set": name in channels, "for": what, "problem": _problem(channels.get(name, {}), option)}
        for name, (what, option, _) in CHANNELS.items()
    ]
    if as_json:
        click.echo(json.dumps({"channels": found}, indent=2, ensure_ascii=False))
        return
    for each in found:
        state = "set up" if each["set"] else "inbox " if each["name"] not in ("webhook",) else "–     "
        problem = click.style(f"  {each['problem']}", fg="red") if each["problem"] else ""
        click.echo(f"{each['name']:<9}  {state}  {each['for']}{problem}")
    if "heartbeat" not in channels:
        click.echo("\nThe dead man's switch ends on this machine: when it dies, nobody is told.")


def _problem(options: Mapping[str, Any], option: str) -> str | None:
    if option not in options:
        return None
    path = Path(options[option])
    try:
        if not path.read_text(encoding="utf-8").strip():
            return f"{path}: empty"
    except (OSError, UnicodeDecodeError) as error:
        return f"{path}: cannot be read: {getattr(error, 'strerror', error)}"
    return f"{path}: others can read it: chmod 600" if path.stat().st_mode & 0o044 else None


def _asked(what: str, flag: str) -> str:
    if not sys.stdin.isatty():
        raise ConfigError(f"{what}: missing: say {flag}")
    answer: str = click.prompt(what)
    return answer.strip()


def _secret(prompt: str) -> str:
    """Return what was typed unseen, or stands on standard input. Raises ConfigError when it is none."""
    if sys.stdin.isatty():
        found: str = click.prompt(prompt, hide_input=True)
    else:
        found = sys.stdin.read(MAX_SECRET + 1)
    found = found.strip()
    if not found or len(found) > MAX_SECRET or not found.isprintable():
        raise ConfigError(f"{prompt}: one line on standard input, or --secret-file")
    return found


def _keep(path: Path, secret: str) -> None:
    """Write the secret where only its owner reads it, and where git does not look. No newline: 0.25 keeps it."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        (path.parent / ".gitignore").write_text("*\n", encoding="utf-8")
        new = path.with_name(f".{path.name}.new")
        new.unlink(missing_ok=True)
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as out:
            out.write(secret)
        new.replace(path)
    except OSError as error:
        raise StateError(f"{path}: cannot be written: {error.strerror}; change its folder's permissions") from error


COMMAND = notify
