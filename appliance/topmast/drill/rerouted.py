"""The Alertmanager's file as it is in force, but for where it sends: routes, groups, inhibition, templates are real.

Changed are the receivers' addresses (the capturing ones), the secrets (none), the waits (divided) and the quiet
hours (lifted: at night nothing would be seen of the warnings).
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from topmast import promql, routetree
from topmast.drill.receivers import DOMAIN, Capture
from topmast.errors import TopmastError

_WAITS = ("group_wait", "group_interval", "repeat_interval")
# Rules are evaluated every 15 s, and once a second here. A warning waits two rounds for the critical that mutes it:
# its group_wait must not shrink more than the rounds do.
_ROUNDS = 15.0
_QUIET = ("mute_time_intervals", "active_time_intervals")
# What says where a message goes, or with which secret; all of it is replaced.
_ADDRESSES = ("api_url", "api_url_file", "http_config", "app_token", "app_token_file", "url", "url_file")
_SECRETS = ("routing_key", "routing_key_file", "service_key", "service_key_file")
_MAIL = ("smarthost", "to", "require_tls", "tls_config", "from")
CHANNELS = {"slack_configs": "slack", "pagerduty_configs": "pagerduty", "webhook_configs": "webhook"}


def rerouted(source: Path, world: str, capture: Capture, speed: float) -> dict[str, Any]:
    """Return the configuration of a world. Raises TopmastError for a channel that the drill cannot capture."""
    config: dict[str, Any] = yaml.safe_load(source.read_text(encoding="utf-8"))
    config["global"] = {
        "resolve_timeout": (config.get("global") or {}).get("resolve_timeout", "5m"),
        "smtp_smarthost": capture.smtp,
        "smtp_from": "topmast@drill.invalid",
        "smtp_require_tls": False,
    }
    config["templates"] = [str(source.parent / str(each)) for each in config.get("templates") or ()]
    for _, route in routetree.routes(config["route"]):
        _quicken(route, speed)
    for receiver in config.get("receivers") or ():
        for kind in [key for key in receiver if key.endswith("_configs")]:
            for options in receiver[kind] or ():
                _capture(kind, options, str(receiver["name"]), world, capture)
    return config


def _quicken(route: Any, speed: float) -> None:
    for name in _QUIET:
        route.pop(name, None)
    for name in _WAITS:
        if name in route:
            # Alertmanager refuses a group_interval of 0.
            length = promql.milliseconds(str(route[name]))
            share = min(speed, _ROUNDS) if name == "group_wait" else speed
            route[name] = promql.duration(max(int(length / share), 1) if length else 0)


def _capture(kind: str, options: dict[str, Any], receiver: str, world: str, capture: Capture) -> None:
    if kind == "email_configs":
        for name in [key for key in options if key in _MAIL or key.startswith("auth_")]:
            options.pop(name)
        options["to"] = f"{receiver}@{world}.{DOMAIN}"
    elif kind in CHANNELS:
        for name in (*_ADDRESSES, *_SECRETS):
            options.pop(name, None)
        channel = CHANNELS[kind]
        options["api_url" if channel == "slack" else "url"] = f"{capture.http}/{world}/{channel}/{receiver}"
        if channel == "pagerduty":
            options["routing_key"] = "drill"
    else:
        raise TopmastError(f"receiver {receiver}: {kind}: the drill cannot capture this kind of channel")


def channels_of(config: Mapping[str, Any], receiver: str) -> Iterator[str]:
    """Yield the channels of a receiver: slack, pagerduty, webhook, email."""
    for each in config.get("receivers") or ():
        if each.get("name") == receiver:
            for kind in each:
                if kind.endswith("_configs") and each[kind]:
                    yield "email" if kind == "email_configs" else CHANNELS[kind]
