"""The alerts as they are in force: the catalogue with what topmast.yml changed, those that are switched off too."""

import difflib
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from topmast import check, rulefile, rules
from topmast.checks import pairs
from topmast.errors import ConfigError, TopmastError
from topmast.layout import Layout
from topmast.rulefile import Rule

PRODUCTION = "production"


def shipped(layout: Layout) -> list[Rule]:
    """Return the alerts of monitoring/, as they are when nobody changed them."""
    return [rule for rule in rulefile.load(layout.monitoring / "prometheus") if rule.kind == "alert"]


def find(name: str, layout: Layout) -> Rule:
    """Return the shipped alert of that name. Raises TopmastError with the nearest names."""
    known = {rule.name: rule for rule in shipped(layout)}
    if name in known:
        return known[name]
    lower = {each.lower(): each for each in known}
    near = [lower[each] for each in difflib.get_close_matches(name.lower(), list(lower), n=3, cutoff=0.5)]
    hint = f"; did you mean {' or '.join(near)}?" if near else "; `topmast alerts list` names them"
    raise TopmastError(f"{name[:80]}: no such alert{hint}")


def effective(layout: Layout, settings: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return each alert as rendering writes it, with its expression; `enabled` is false for one that is off.

    Raises ConfigError when the settings change what cannot be changed.
    """
    rendered = {rule.name: rule for rule in _rendered(layout, settings) if rule.kind == "alert"}
    return [
        _entry(rendered.get(rule.name, rule), enabled=rule.name in rendered, changed=rule.name in settings["alerts"])
        for rule in shipped(layout)
    ]


def check_pairs(layout: Layout, settings: Mapping[str, Any], names: Sequence[str]) -> None:
    """Raise ConfigError when a warning and its critical no longer fit: the critical must be the stricter one."""
    rendered = _rendered(layout, settings)
    tree = check.Tree(home=layout.home, ours=False, rules=rendered)
    mine = {rule.labels.get("pair") for rule in tree.alerts if rule.name in names}
    for pair in sorted(filter(None, mine)):
        both = [rule for rule in tree.alerts if rule.labels.get("pair") == pair]
        for spot in pairs.run(check.Tree(home=layout.home, ours=False, rules=[*both])):
            others = " and ".join(rule.name for rule in both)
            raise ConfigError(f"{spot.message} ({others}): change the other one first")


def _rendered(layout: Layout, settings: Mapping[str, Any]) -> list[Rule]:
    with tempfile.TemporaryDirectory(prefix="rules-") as folder:
        source = layout.monitoring / "prometheus"
        rules.render(source, Path(folder), alerts=settings["alerts"], slo=settings["slo"])
        return rulefile.load(Path(folder))


def _entry(rule: Rule, *, enabled: bool, changed: bool) -> dict[str, Any]:
    return {
        "name": rule.name,
        "category": rule.labels.get("category", ""),
        "severity": rule.labels.get("severity", ""),
        "for": rule.duration,
        "threshold": rule.annotations.get("threshold", ""),
        "summary": rule.annotations.get("summary", ""),
        "enabled": enabled,
        "changed": changed,
        "expr": rule.expr,
    }
