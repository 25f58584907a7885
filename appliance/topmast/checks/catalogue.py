"""S1: exactly 47 alerts in seven categories, each name once."""

from collections import Counter
from collections.abc import Iterator

from topmast.check import Check, Spot, Tree

CATEGORIES = {"cpu": 5, "memory": 6, "cache": 7, "database": 8, "llm": 10, "cost": 5, "elasticsearch": 6}


def run(tree: Tree) -> Iterator[Spot]:
    folder = tree.home / "monitoring" / "prometheus" / "alerts"
    found = Counter(rule.file.stem for rule in tree.catalogue)
    for category in sorted(CATEGORIES.keys() | found.keys()):
        wanted = CATEGORIES.get(category, 0)
        if found[category] != wanted:
            yield Spot(
                folder / f"{category}.yml", 1, f"{found[category]} alerts, not {wanted}: move the difference to self/"
            )
    names = Counter(rule.name for rule in tree.alerts)
    for rule in tree.alerts:
        if names[rule.name] > 1:
            yield Spot(rule.file, rule.line, f"{rule.name} is the name of {names[rule.name]} alerts: rename one")


CHECK = Check(name="catalogue", summary="47 alerts in seven categories, each name once", run=run, ours=True)
