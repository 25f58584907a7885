"""`topmast config show|check`: the effective configuration, and where each value came from."""

import json
from collections.abc import Mapping
from typing import Any

import click
import yaml

from topmast import config as configuration
from topmast import lock
from topmast.cli import Call
from topmast.errors import NotRunningError
from topmast.layout import Layout


@click.group()
def config() -> None:
    """Show or check the effective configuration (topmast.yml over the defaults)."""


@config.command()
@click.option("--demo", is_flag=True, help="As `up --demo` would have it. [as the running one has it]")
@click.option("--port-offset", type=int, default=None, metavar="N", help="As `up --port-offset N` would have it.")
@click.option("--json", "as_json", is_flag=True, help="Print {values, origins} as JSON.")
@click.pass_obj
def show(call: Call, demo: bool, port_offset: int | None, as_json: bool) -> None:
    """Print every setting with where it came from: default, demo, or the file."""
    settings = _effective(call, demo, port_offset)
    if as_json:
        click.echo(json.dumps({"values": settings.values, "origins": settings.origins}, indent=2))
        return
    width = max(len(path) for path in settings.origins) + 2
    for path, origin in settings.origins.items():
        value = json.dumps(_at(settings.values, path))
        click.echo(f"{path.removeprefix('$.'):<{width}} {value}  # {origin}")


@config.command()
@click.option("--json", "as_json", is_flag=True, help="Print {ok, file} as JSON.")
@click.pass_obj
def check(call: Call, as_json: bool) -> None:
    """Check the configuration; exit code 78 and `FILE: $.path: what is wrong` when it is refused."""
    if call.config is not None:
        configuration.read(call.config)
    _effective(call, demo=False, port_offset=None)
    file = str(call.config) if call.config else None
    click.echo(json.dumps({"ok": True, "file": file}) if as_json else f"topmast: {file or 'the defaults'}: fine")


@config.command()
@click.option("--json", "as_json", is_flag=True, help="Print the JSON Schema as JSON, not as YAML.")
def schema(as_json: bool) -> None:
    """Print the JSON Schema of topmast.yml, for an editor."""
    value = {"$schema": "https://json-schema.org/draft/2020-12/schema", **configuration.SCHEMA}
    click.echo(json.dumps(value, indent=2) if as_json else yaml.safe_dump(value, sort_keys=False), nl=as_json)


def _effective(call: Call, demo: bool, port_offset: int | None) -> configuration.Settings:
    try:
        running = lock.status(Layout(call.home, call.state))
    except NotRunningError:
        running = {"demo": False, "port_offset": 0}
    layout = Layout(call.home, call.state, running["port_offset"] if port_offset is None else port_offset)
    extra: Mapping[str, Any] | None = None
    if demo or running["demo"]:
        from topmast.demo import demo_settings

        extra = demo_settings(layout)
    return configuration.load(call.config, layout, extra)


def _at(values: Mapping[str, Any], path: str) -> Any:
    value: Any = values
    for key in path.removeprefix("$.").split("."):
        value = value[key]
    return value


COMMAND = config
