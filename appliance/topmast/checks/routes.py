"""Alertmanager's file: every alert reaches who it is for, nothing is muted by accident, no secret stands in the file.

amtool check-config sees none of this: a typo in a template's name silences every message and passes (measured: 0 of
21 deliveries), a typo in a matcher's label lands on the default receiver.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from topmast import check, routetree, verification
from topmast.check import Check, Spot, Tree
from topmast.rulefile import Rule

# What every alert of ours can be told apart by; Prometheus adds the environment.
LABELS = frozenset({"alertname", "severity", "category", "pair", "environment", "instance", "drill"})
PRODUCTION = "production"
# The only alerts that an inhibition may silence: the warnings whose critical fires too.
MUTED_PAIRS = frozenset({"HostCpu", "HostMemory", "RedisMemory", "ApiErrors"})
_TEMPLATE = re.compile(r"\{\{-?\s*template\s+\\?\"([^\"\\]+)")
_DEFINE = re.compile(r"\{\{-?\s*define\s+\"([^\"]+)\"")
_SECRETS = (
    "api_key",
    "auth_password",
    "auth_secret",
    "smtp_auth_password",
    "slack_api_url",
    "service_key",
    "bearer_token",
)
_INBOX = re.compile(r"https?://[^/]+/inbox/")


def run(tree: Tree) -> Iterator[Spot]:
    for path, text in tree.named("/alertmanager.yml"):
        if path.parent.name == "targets":
            continue
        config = check.load_yaml(text)
        if not isinstance(config, dict) or not isinstance(config.get("route"), dict):
            yield Spot(path, 1, "an Alertmanager configuration has a `route`")
            continue
        try:
            for needle, message in _problems(tree, path, text, config):
                yield Spot(path, check.line_of(text, needle), message)
        except (ValueError, TypeError, AttributeError, re.error) as error:
            yield Spot(path, 1, f"cannot be understood: {error}")


def _problems(tree: Tree, path: Path, text: str, config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield from _receivers(config)
    yield from _templates(tree, path, text)
    yield from _secrets(config)
    yield from _matchers(config)
    if tree.ours:
        yield from _reached(tree, config)
        yield from _muted(tree, config)


def _receivers(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    defined = {str(each.get("name")): each for each in config.get("receivers") or ()}
    used = {str(route["receiver"]) for _, route in routetree.routes(config["route"]) if route.get("receiver")}
    for name in sorted(used - defined.keys()):
        yield f"receiver: {name}", f"receiver {name}: nobody of this name is defined"
    for name, receiver in defined.items():
        if name not in used:
            yield f"name: {name}", f"receiver {name}: no route leads to it: remove it"
        channels = [key for key in receiver if key.endswith("_configs") and receiver[key]]
        if not channels:
            yield f"name: {name}", f"receiver {name}: it has no channel: what is sent to it is lost"
        for channel in channels:
            for options in receiver[channel]:
                # Slack and e-mail default to false: a flapping alert would be told once and never again.
                if options.get("send_resolved") is not True and name != "heartbeat":
                    yield f"name: {name}", f"receiver {name}: {channel}: set send_resolved: true"
                if channel == "slack_configs" and not options.get("text"):
                    yield f"name: {name}", f"receiver {name}: a Slack message without `text` is empty"


def _templates(tree: Tree, path: Path, text: str) -> Iterator[tuple[str, str]]:
    sources = [
        body for other, body in tree.documents.items() if other.suffix == ".tmpl" and path.parent in other.parents
    ]
    defined = {name for body in sources for name in _DEFINE.findall(body)}
    for name in dict.fromkeys(_TEMPLATE.findall(text)):
        if name not in defined:
            yield f'"{name}"', f"template {name}: not defined in templates/: every message with it would fail"
    for body in sources:
        for name in dict.fromkeys(_TEMPLATE.findall(body)):
            if name not in defined:
                yield "templates:", f"template {name}: used in templates/ and not defined there"


def _secrets(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for where, key, value in _leaves(config):
        if key in _SECRETS and value:
            yield f"{key}:", f"{where}: a secret in the file: use {key}_file"
        if key == "api_url" and not _INBOX.match(str(value)):
            yield f"{key}:", f"{where}: a Slack address is a secret: use api_url_file"
        if key == "routing_key" and value != "inbox":
            yield f"{key}:", f"{where}: a secret in the file: use routing_key_file"


def _leaves(value: Any, where: str = "$") -> Iterator[tuple[str, str, Any]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            if isinstance(inner, dict | list):
                yield from _leaves(inner, f"{where}.{key}")
            else:
                yield f"{where}.{key}", str(key), inner
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _leaves(inner, f"{where}[{index}]")


def _matchers(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    texts = [text for _, route in routetree.routes(config["route"]) for text in route.get("matchers") or ()]
    for rule in config.get("inhibit_rules") or ():
        texts += [*(rule.get("source_matchers") or ()), *(rule.get("target_matchers") or ())]
        for label in rule.get("equal") or ():
            if label not in LABELS:
                yield "equal:", f"equal: no alert has the label {label}: missing on both sides, it counts as equal"
        if "pair" not in (rule.get("equal") or ()):
            yield "inhibit_rules:", "an inhibition without `pair` in `equal` mutes every warning of its category"
    for text in texts:
        for matcher in routetree.matchers([text]):
            if matcher.name not in LABELS:
                yield str(text), f"matcher {text}: no alert has the label {matcher.name}: correct it"


def _reached(tree: Tree, config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    # `topmast verify` fires one that is no rule.
    taken = {place for place, _ in routetree.taken(config["route"], {"alertname": verification.ALERT})}
    for rule in tree.alerts:
        for environment in (PRODUCTION, "staging"):
            places = routetree.taken(config["route"], _labels(rule, environment))
            taken.update(place for place, _ in places)
            receivers = [receiver for _, receiver in places]
            pages = "pagerduty" in receivers
            wanted = rule.labels.get("severity") == "critical" and environment == PRODUCTION
            if pages is not wanted:
                verb = "pages" if pages else "does not page"
                yield "route:", f"{rule.name} in {environment} {verb}: only a critical in production does"
            if any(place == () for place, _ in places):
                yield "route:", f"{rule.name} in {environment} falls through to the root: give it a route"
    for place, route in routetree.routes(config["route"]):
        if place and not route.get("routes") and place not in taken:
            texts = ", ".join(map(str, route.get("matchers") or ()))
            yield (
                texts.split(", ")[0] or "routes:",
                f"route {texts}: no alert takes it: correct its matchers or remove it",
            )


def _muted(tree: Tree, config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for source in tree.alerts:
        for target in tree.alerts:
            if source is target or not routetree.mutes(config, _labels(source), _labels(target)):
                continue
            pair = source.labels.get("pair")
            if pair not in MUTED_PAIRS or pair != target.labels.get("pair"):
                yield "inhibit_rules:", f"{source.name} mutes {target.name}: they are no pair"


def _labels(rule: Rule, environment: str = PRODUCTION) -> dict[str, str]:
    return {"alertname": rule.name, **rule.labels, "environment": environment}


CHECK = Check(name="routes", summary="every alert reaches who it is for, and no secret is in the file", run=run)
