"""Every selector that a rule or a panel reads: which metric, with which labels, and who reads it."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from topmast import dashboardfile, promql
from topmast.check import Tree


@dataclass(frozen=True)
class Selector:
    """A metric's name with its label matchers, as PromQL writes it: `up{job="redis"}`."""

    name: str
    """Empty where the name itself is matched: `{__name__=~"up|redis_up"}`."""
    matchers: tuple[tuple[str, str, str], ...]
    """(label, operator, value), sorted."""
    readers: tuple[str, ...] = field(compare=False, default=())
    """The rules by their names, the panels as `dashboard: panel`."""

    def __str__(self) -> str:
        inside = ",".join(f'{label}{operator}"{_escaped(value)}"' for label, operator, value in self.matchers)
        return f"{self.name}{{{inside}}}" if inside else self.name

    def picks(self, name: str, labels: Mapping[str, str]) -> bool:
        """Return whether a series is among those it selects. Prometheus' matchers are anchored."""
        every = {**labels, "__name__": name}
        return self.name in (name, "") and all(
            _matches(every.get(label, ""), operator, value) for label, operator, value in self.matchers
        )

    def value_of(self, label: str) -> str | None:
        """Return what a label must be equal to; None when it may be several things."""
        return next((value for name, operator, value in self.matchers if (name, operator) == (label, "=")), None)

    def value_of_name(self) -> str | None:
        """Return what the name itself must match; None when it is written out."""
        return next((value for label, _, value in self.matchers if label == "__name__"), None)


def read(tree: Tree) -> list[Selector]:
    """Return every selector of the rules and the dashboards, each once, sorted. A panel's variables stand for all."""
    found: dict[Selector, list[str]] = {}
    for rule, node in tree.expressions():
        _add(found, node, rule.name)
    for file in dashboardfile.read(tree):
        for query in file.queries:
            if query.parsed is not None:
                _add(found, query.parsed, f"{file.name}: {query.panel}")
    return [
        Selector(each.name, each.matchers, tuple(dict.fromkeys(readers)))
        for each, readers in sorted(found.items(), key=lambda pair: str(pair[0]))
    ]


def of(expression: str) -> list[Selector]:
    """Return an expression's own selectors. Raises ValueError when it is not PromQL."""
    found: dict[Selector, list[str]] = {}
    _add(found, promql.parse(expression), "")
    return list(found)


def _add(found: dict[Selector, list[str]], node: promql.Node, reader: str) -> None:
    for selector in promql.selectors(node):
        found.setdefault(Selector(selector.name or "", _matchers(selector)), []).append(reader)


def _matchers(selector: promql.Node) -> tuple[tuple[str, str, str], ...]:
    signs = {"Equal": "=", "NotEqual": "!=", "Re": "=~", "NotRe": "!~"}
    return tuple(
        sorted((each.name, signs[str(each.op).rpartition(".")[2]], each.value) for each in selector.matchers.matchers)
    )


def picking(selectors: Iterable[Selector], prefixes: tuple[str, ...]) -> list[Selector]:
    """Return the selectors whose metric begins with one of the prefixes."""
    return [
        each
        for each in selectors
        if each.name.startswith(prefixes) or (each.value_of_name() or "").startswith(prefixes)
    ]


def _matches(found: str, operator: str, value: str) -> bool:
    if operator in ("=", "!="):
        return (found == value) == (operator == "=")
    # RE2 and Python agree on what rules use: alternatives, classes and `.*`.
    return (re.fullmatch(value, found) is not None) == (operator == "=~")


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"')
