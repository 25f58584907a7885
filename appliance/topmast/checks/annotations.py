"""S4: a summary without a template, a description with what and how bad, links by the alert's name, a threshold."""

import re
from collections.abc import Iterator

from topmast.check import Check, Spot, Tree
from topmast.checks.severity import HEARTBEAT
from topmast.rulefile import Rule

MAX_SUMMARY = 80
MAX_NAME = 40
WORDS = ("state", "slo", "budget")
_NAME = re.compile(r"^[A-Z][A-Za-z0-9]+$")
_FORMATTED_VALUE = re.compile(r"\$value\s*\||(?:printf|humanize\w*)[^}]*\$value")


def run(tree: Tree) -> Iterator[Spot]:
    for rule in tree.alerts:
        for part, message in _problems(rule):
            yield Spot(rule.file, rule.at(part), f"{rule.name}: {message}")


def _problems(rule: Rule) -> Iterator[tuple[str, str]]:
    if not _NAME.match(rule.name) or len(rule.name) > MAX_NAME:
        yield "alert", f"a name is CamelCase and has at most {MAX_NAME} characters"
    texts = rule.annotations
    for name in ("summary", "description", "runbook_url", "dashboard_url", "threshold"):
        if not texts.get(name):
            yield "annotations", f"the annotation {name} is missing: add it"
    summary = texts.get("summary", "")
    if "{{" in summary:
        yield "annotations.summary", "a summary has no template: it must be the same for all alerts of a group"
    if summary and (not summary.endswith(".") or len(summary) > MAX_SUMMARY):
        yield "annotations.summary", f"a summary is one sentence of at most {MAX_SUMMARY} characters with its stop"
    description = texts.get("description", "")
    # What aggregates everything has no label to name.
    if (
        description
        and "$labels" not in description
        and rule.labels.get("severity") != HEARTBEAT
        and "by (" in rule.expr
    ):
        yield "annotations.description", "the description does not say where: use {{ $labels.… }}"
    if description and texts.get("threshold") not in (*WORDS[:1], None) and not _FORMATTED_VALUE.search(description):
        yield "annotations.description", "the description does not say how bad: use {{ $value | humanize… }}"
    if "$value" in description and not _FORMATTED_VALUE.search(description):
        yield "annotations.description", "a bare $value has 16 digits: format it (humanizePercentage, printf …)"
    for link, path in (("runbook_url", "runbooks"), ("dashboard_url", "alerts")):
        if texts.get(link) and texts[link] != f"/{path}/{rule.name}":
            yield f"annotations.{link}", f"{link} is /{path}/{rule.name}: the page adds the address"


CHECK = Check(name="annotations", summary="alerts say what, where, how bad, and what to do", run=run, ours=True)
