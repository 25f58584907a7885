"""S5: every alert has its runbook, every runbook its alert, the four headings, and PromQL that is right."""

import re
from collections.abc import Iterator
from pathlib import Path

from topmast import metrics, promql
from topmast.check import Check, Spot, Tree

HEADINGS = ("Meaning", "Impact", "Diagnosis", "Mitigation")
_FENCE = re.compile(r"^ *```promql\n(.*?)^ *```", re.MULTILINE | re.DOTALL)


def run(tree: Tree) -> Iterator[Spot]:
    folder = tree.home / "docs" / "runbooks"
    for rule in tree.alerts:
        path = folder / f"{rule.name}.md"
        if not path.is_file():
            yield Spot(rule.file, rule.line, f"{rule.name} has no runbook: write docs/runbooks/{rule.name}.md")
            continue
        yield from _read(tree, path, path.read_text(encoding="utf-8"))
    names = {rule.name for rule in tree.alerts}
    for path in sorted(folder.glob("*.md")):
        if path.stem not in names and path.stem != "README":
            yield Spot(path, 1, "no alert of this name: remove the runbook, or rename it with its alert")


def _read(tree: Tree, path: Path, text: str) -> Iterator[Spot]:
    headings = [line[3:].strip() for line in text.splitlines() if line.startswith("## ")]
    for heading in HEADINGS:
        if heading not in headings:
            yield Spot(path, 1, f"the heading {heading} is missing: add it")
    for match in _FENCE.finditer(text):
        line = text.count("\n", 0, match.start()) + 2
        query = match[1].strip()
        try:
            found = promql.metric_names(promql.parse(query))
        except ValueError as error:
            yield Spot(path, line, f"not PromQL: {str(error).splitlines()[0][:120]}")
            continue
        for name in found:
            if name not in tree.records and metrics.load().get(name) is None:
                yield Spot(path, line, f"{name}: no metric of this name: correct it, or add it to the contract")


CHECK = Check(name="runbooks", summary="every alert has its runbook, whose queries are right", run=run, ours=True)
