"""A colour begins where an alert does: every threshold is the number of an alert whose runbook the panel links.

An alert on a lower bound is seen from the other side too: used 0.9 is free 0.1. `state` begins at 1, `budget` at the
whole of it, and `slo` at the service level's own numbers.
"""

from collections.abc import Iterator

from topmast import dashboardfile, rules
from topmast.check import Check, Spot, Tree
from topmast.dashboardfile import File, Problem
from topmast.rulefile import Rule

_RUNBOOK = "/runbooks/"


def alerts(file: File) -> Iterator[Problem]:
    by_name = {rule.name: rule for rule in file.tree.alerts}
    for panel in file.panels:
        linked = [name for name in runbooks(panel) if name in by_name]
        allowed = {number for name in linked for number in _numbers(by_name[name])}
        for step in dashboardfile.steps(panel):
            if not any(abs(step - number) < 1e-9 for number in allowed):
                said = ", ".join(f"{name} {by_name[name].annotations.get('threshold')}" for name in linked)
                yield Problem(
                    dashboardfile.title(panel),
                    f"{step:g} is no threshold of a linked alert ({said or 'none is linked'}): use its number",
                )


def runbooks(panel: object) -> list[str]:
    """Return the alerts whose runbooks a panel links."""
    links = panel.get("links") if isinstance(panel, dict) else None
    return [
        str(each["url"]).removeprefix(_RUNBOOK)
        for each in links or []
        if isinstance(each, dict) and str(each.get("url")).startswith(_RUNBOOK)
    ]


def _numbers(rule: Rule) -> list[float]:
    said = rule.annotations.get("threshold", "")
    if said == "state":
        return [1]
    if said == "budget":
        return [1]
    if said == "slo":
        allowed = float(rules.SLO_ERROR_BUDGET)
        return [allowed, 1 - allowed, float(rules.SLO_LATENCY)]
    try:
        return [float(said), 1 - float(said)]
    except ValueError:
        return []


RULES = {"alert-thresholds": alerts}


def run(tree: Tree) -> Iterator[Spot]:
    yield from dashboardfile.findings(tree, RULES)


CHECK = Check(name="dashboard_thresholds", summary="a panel's colours begin where its alerts do", run=run, ours=True)
