"""S3: an alert's labels are severity, category and pair, and none of them is a template.

A label that changes with the value makes a new alert at every evaluation: nothing ever fires.
"""

from collections.abc import Iterator

from topmast.check import Check, Spot, Tree

WANTED = {"severity", "category", "pair"}


def run(tree: Tree) -> Iterator[Spot]:
    for rule in tree.alerts:
        if missing := sorted(WANTED - set(rule.labels)):
            are = f"label {missing[0]} is" if len(missing) == 1 else f"labels {', '.join(missing)} are"
            yield Spot(
                rule.file, rule.at("labels"), f"{rule.name}: the {are} missing: routes and inhibition lean on it"
            )
        for name in sorted(set(rule.labels) - WANTED) if tree.ours else ():
            yield Spot(
                rule.file, rule.at(f"labels.{name}"), f"{rule.name}: the label {name} is not one of ours: remove it"
            )
        for name, text in rule.labels.items():
            if "{{" in text:
                yield Spot(
                    rule.file,
                    rule.at(f"labels.{name}"),
                    f"{rule.name}: {name} is a template: put it into an annotation",
                )
        if tree.ours:
            home = "self" if rule.file.parent.name == "self" else rule.file.stem
            if rule.labels.get("category", home) != home:
                yield Spot(rule.file, rule.at("labels"), f"{rule.name}: its category is {home!r}, by its file")


CHECK = Check(name="labels", summary="alerts carry severity, category and pair, and no templates", run=run)
