"""Where Alertmanager sends an alert, worked out from its configuration alone (dispatch/route.go, inhibit/inhibit.go).

Matchers are those of 0.25: `label="value"`, `!=`, `=~`, `!~`; a regular expression is anchored, and a label that is
missing is the empty string.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_MATCHER = re.compile(
    r"""^\s*(?P<name>[A-Za-z_]\w*)\s*(?P<op>=~|!~|!=|=)\s*(?P<quote>"?)(?P<value>.*)(?P=quote)\s*$"""
)
Labels = Mapping[str, str]


@dataclass(frozen=True)
class Matcher:
    """One condition on a label."""

    name: str
    operator: str
    value: str

    def matches(self, labels: Labels) -> bool:
        found = labels.get(self.name, "")
        if self.operator in ("=", "!="):
            return (found == self.value) is (self.operator == "=")
        return (re.fullmatch(self.value, found) is not None) is (self.operator == "=~")


def matchers(texts: Any) -> list[Matcher]:
    """Return the conditions of a `matchers` list. Raises ValueError for one that cannot be read."""
    found = []
    for text in texts or ():
        match = _MATCHER.match(str(text))
        if match is None:
            raise ValueError(f"not a matcher: {str(text)[:80]!r}")
        found.append(Matcher(match["name"], match["op"], match["value"]))
    return found


def routes(
    route: Mapping[str, Any], path: tuple[int, ...] = ()
) -> Iterator[tuple[tuple[int, ...], Mapping[str, Any]]]:
    """Yield every route with its place in the tree, the root first."""
    yield path, route
    for index, child in enumerate(route.get("routes") or ()):
        yield from routes(child, (*path, index))


def taken(route: Mapping[str, Any], labels: Labels, path: tuple[int, ...] = ()) -> list[tuple[tuple[int, ...], str]]:
    """Return the places of the routes that an alert takes and their receivers, as the dispatcher finds them."""
    if not all(matcher.matches(labels) for matcher in matchers(route.get("matchers"))):
        return []
    found: list[tuple[tuple[int, ...], str]] = []
    for index, child in enumerate(route.get("routes") or ()):
        inner = {"receiver": route.get("receiver"), **child}
        below = taken(inner, labels, (*path, index))
        found += below
        if below and not child.get("continue"):
            break
    return found or [(path, str(route.get("receiver")))]


def receivers(config: Mapping[str, Any], labels: Labels) -> list[str]:
    """Return the receivers of an alert, in order."""
    return [receiver for _, receiver in taken(config.get("route") or {}, labels)]


def mutes(config: Mapping[str, Any], source: Labels, target: Labels) -> bool:
    """Return whether the firing alert `source` silences `target`. A label missing on both sides counts as equal."""
    rules: Sequence[Mapping[str, Any]] = config.get("inhibit_rules") or ()
    for rule in rules:
        sources, targets = matchers(rule.get("source_matchers")), matchers(rule.get("target_matchers"))
        if (
            all(each.matches(source) for each in sources)
            and all(each.matches(target) for each in targets)
            and all(source.get(name, "") == target.get(name, "") for name in rule.get("equal") or ())
        ):
            # What matches both sides cannot be muted by one of its own kind.
            both = all(each.matches(source) for each in targets) and all(each.matches(target) for each in sources)
            if not both:
                return True
    return False
