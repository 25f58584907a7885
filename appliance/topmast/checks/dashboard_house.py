"""What our own dashboards keep beyond the linter's rules: legends, words for emptiness, runbooks, modules."""

from collections.abc import Iterator

from topmast import dashboard, dashboardfile
from topmast.check import Check, Spot, Tree
from topmast.checks.dashboard_thresholds import runbooks
from topmast.dashboardfile import File, Problem

# Names that the page and Grafana have a light and a dark shade of; a hex colour is right on one of the two only.
_COLORS = ("red", "orange", "yellow", "green", "blue", "purple", "text", "transparent")
_SHADES = ("dark-", "semi-dark-", "light-", "super-light-")
FOLDER = ("grafana", "dashboards")


def legends(file: File) -> Iterator[Problem]:
    for panel in file.panels:
        for target in dashboardfile.targets(panel):
            if "expr" in target and not target.get("legendFormat"):
                yield Problem(dashboardfile.title(panel), f"query {target.get('refId')} has no legend")
        if panel.get("type") == "timeseries":
            calcs = panel.get("options", {}).get("legend", {}).get("calcs", [])
            if not {"lastNotNull", "max"} <= set(calcs):
                yield Problem(dashboardfile.title(panel), "the legend shows the last and the greatest value")


def emptiness(file: File) -> Iterator[Problem]:
    for panel in file.panels:
        if panel.get("type") != "text" and not dashboardfile.defaults(panel).get("noValue"):
            yield Problem(dashboardfile.title(panel), "no noValue: say why there may be nothing")


def sentences(file: File) -> Iterator[Problem]:
    for panel in file.panels:
        said = str(panel.get("description", ""))
        if said and (not said.endswith(".") or ". " in said):
            yield Problem(dashboardfile.title(panel), "its description is not one sentence")


def colors(file: File) -> Iterator[Problem]:
    for panel in file.panels:
        for said in _colors(panel.get("fieldConfig")):
            plain = said
            for shade in _SHADES:
                plain = plain.removeprefix(shade)
            if plain not in _COLORS:
                yield Problem(
                    dashboardfile.title(panel), f"the colour {said!r} is not one for dark and light: use a name"
                )


def links(file: File) -> Iterator[Problem]:
    known = {rule.name for rule in file.tree.alerts}
    for panel in file.panels:
        for name in runbooks(panel):
            if name not in known:
                yield Problem(dashboardfile.title(panel), f"links the runbook of {name}: there is no such alert")


RULES = {
    "legends": legends,
    "no-value": emptiness,
    "one-sentence": sentences,
    "colors": colors,
    "runbook-links": links,
}


def run(tree: Tree) -> Iterator[Spot]:
    yield from dashboardfile.findings(tree, RULES)
    ours = [file for file in dashboardfile.read(tree) if file.path.parts[-3:-1] == FOLDER]
    linked = {name for file in ours for panel in file.panels for name in runbooks(panel)}
    for rule in tree.catalogue if ours else []:
        if rule.name not in linked:
            yield Spot(
                rule.file, rule.line, f"{rule.name}: no panel links its runbook: link it where its cause is seen"
            )
    made = dashboard.files()
    for file in ours:
        if made.get(file.path.name) != file.text:
            line = _first_difference(file.text, made.get(file.path.name, ""))
            yield Spot(
                file.path, line, "differs from its module in topmast/dashboards: run `python -m topmast.dashboard`"
            )
    for name in sorted(made.keys() - {file.path.name for file in ours}) if ours else ():
        yield Spot(ours[0].path.with_name(name), 1, "is missing: run `python -m topmast.dashboard`")


def _first_difference(text: str, made: str) -> int:
    pairs = zip(text.splitlines(), made.splitlines(), strict=False)
    return next((number for number, (one, other) in enumerate(pairs, 1) if one != other), 1)


def _colors(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for key, each in value.items():
            if key in ("color", "fixedColor") and isinstance(each, str):
                yield each
            else:
                yield from _colors(each)
    elif isinstance(value, list):
        for each in value:
            yield from _colors(each)


CHECK = Check(name="dashboard_house", summary="our dashboards say and link what they should", run=run, ours=True)
