"""S5: every alert has its runbook, every runbook its alert, with right queries and commands and a true delay."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml

from topmast import metrics, pagingtime, promlabels, promql, runbookfile
from topmast.check import Check, Spot, Tree
from topmast.rulefile import Rule

HEADINGS = ("Meaning", "Impact", "Diagnosis", "Causes", "Mitigation", "Silence", "Until it pages")
_CAUSES = 2
_COMMANDS = 3


def run(tree: Tree) -> Iterator[Spot]:
    folder = tree.home / "docs" / "runbooks"
    engines = _engines(tree)
    for rule in tree.alerts:
        path = folder / f"{rule.name}.md"
        if not path.is_file():
            yield Spot(rule.file, rule.line, f"{rule.name} has no runbook: write docs/runbooks/{rule.name}.md")
            continue
        text = path.read_text(encoding="utf-8")
        for line, message in [*_written(tree, text), *_of_the_rule(tree, rule, text, engines)]:
            yield Spot(path, line, message)
    names = {rule.name for rule in tree.alerts}
    for path in sorted(folder.glob("*.md")):
        if path.stem not in names and path.stem != "README":
            yield Spot(path, 1, "no alert of this name: remove the runbook, or rename it with its alert")


def _written(tree: Tree, text: str) -> Iterator[tuple[int, str]]:
    """Yield what is wrong with the text, whatever its alert."""
    found = runbookfile.sections(text)
    for heading in HEADINGS:
        if heading not in found:
            yield 1, f"the heading {heading} is missing: add it"
    if "Causes" in found and found["Causes"].count("\n- ") < _CAUSES:
        yield _line(text, "Causes"), f"fewer than {_CAUSES} likely causes: what was it the last times?"
    first = found.get("Diagnosis", "")
    if len(runbookfile.queries(first)) + len(runbookfile.commands(first)) < _COMMANDS:
        yield _line(text, "Diagnosis"), f"fewer than {_COMMANDS} commands: say what to type first, second, third"
    for query, line in runbookfile.queries(text):
        try:
            names = promql.metric_names(promql.parse(query))
        except ValueError as error:
            yield line, f"not PromQL: {str(error).splitlines()[0][:120]}"
            continue
        for name in names:
            if name not in tree.records and metrics.load().get(name) is None:
                yield line, f"{name}: no metric of this name: correct it, or add it to the contract"
    for command in runbookfile.commands(text):
        for problem in runbookfile.problems(command):
            yield command.line, problem


def _of_the_rule(
    tree: Tree, rule: Rule, text: str, engines: Sequence[Mapping[str, Any]]
) -> Iterator[tuple[int, str]]:
    """Yield what the runbook says of its alert that is not so: the silence, the delay."""
    found = runbookfile.sections(text)
    if "Silence" in found:
        lines = [each.text for each in runbookfile.commands(found["Silence"]) if each.kind == "topmast"]
        ours = [each for each in lines if each.startswith(f"topmast silence {rule.name} --for ")]
        if not ours:
            yield _line(text, "Silence"), f"no `topmast silence {rule.name} --for …`: add the line"
        known = promlabels.labels_of(tree.parsed[id(rule)], tree.labels) if id(rule) in tree.parsed else None
        for label in (word.partition("=")[0] for each in ours for word in each.split(" --label ")[1:]):
            if known is not None and label not in known | set(rule.labels):
                yield _line(text, "Silence"), f"{rule.name} has no label {label}: its silence would mute nothing"
    said = _delay(rule, engines)
    if said and "Until it pages" in found and said not in found["Until it pages"]:
        yield _line(text, "Until it pages"), f"not so any more: write {said!r}"


def _delay(rule: Rule, engines: Sequence[Mapping[str, Any]]) -> str:
    """Return how long until it pages, by the files; "" where they do not say it, which is another check's."""
    try:
        router, engine = engines
        return pagingtime.sentence(rule, router, engine)
    except (LookupError, TypeError, ValueError):
        return ""


def _engines(tree: Tree) -> list[Mapping[str, Any]]:
    """Return the configuration of Alertmanager and of Prometheus; less where one cannot be read."""
    found: list[Mapping[str, Any]] = []
    for ending in ("alertmanager/alertmanager.yml", "prometheus/prometheus.yml"):
        for _, text in tree.named(ending)[:1]:
            try:
                document = yaml.safe_load(text)
            except yaml.YAMLError:
                continue
            found += [document] if isinstance(document, dict) else []
    return found


def _line(text: str, heading: str) -> int:
    return text.count("\n", 0, text.index(f"## {heading}")) + 1


CHECK = Check(name="runbooks", summary="every alert has its runbook, which says what is so", run=run, ours=True)
