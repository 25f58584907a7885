"""Every rule file can be read: YAML, known keys, PromQL of the 3.x grammar, durations, templates, no rule twice."""

import re
from collections.abc import Iterator

from topmast import promql
from topmast.check import Check, Spot, Tree
from topmast.rulefile import Rule

_BLOCK = re.compile(r"\{\{-?\s*(?:/\*|(?P<word>\w+))?")
_OPENING = {"if", "with", "range", "define", "block"}
_ACTION = re.compile(r"\{\{-?(.*?)-?\}\}", re.DOTALL)
_STRING = re.compile(r"\"(?:[^\"\\]|\\.)*\"|`[^`]*`")
_BARE = re.compile(r"(?:else\s+)?(if|with|range)$")
_VARIABLE = re.compile(r"\$(\w*)")
_DECLARED = re.compile(r"\$(\w+)\s*(?:,\s*\$(\w+)\s*)?:=")
# template/template.go and rules/alerting.go: what every annotation begins with.
_KNOWN = {"", "labels", "externalLabels", "externalURL", "value"}


def run(tree: Tree) -> Iterator[Spot]:
    yield from tree.broken
    seen: dict[tuple[str, str, tuple[tuple[str, str], ...]], Rule] = {}
    for rule in tree.rules:
        try:
            promql.parse(rule.expr)
        except ValueError as error:
            yield Spot(rule.file, rule.at("expr"), f"{rule.name}: not PromQL: {_first_line(str(error))}; mend `expr`")
        if rule.duration:
            try:
                promql.milliseconds(rule.duration)
            except ValueError as error:
                yield Spot(rule.file, rule.at("for"), f"{rule.name}: {error}; write it as 5m or 1h30m")
        key = (rule.kind, rule.name, tuple(sorted(rule.labels.items())))
        first = seen.setdefault(key, rule)
        if first is not rule:
            place = f"line {first.line}" if first.file == rule.file else f"{first.file.name}:{first.line}"
            yield Spot(rule.file, rule.line, f"{rule.name} stands twice with the same labels ({place}): remove one")
        for name, text in rule.annotations.items():
            problem = _template_problem(text)
            if problem:
                yield Spot(rule.file, rule.at(f"annotations.{name}"), f"{rule.name}: {name}: {problem}")


def _first_line(message: str) -> str:
    return next((line.strip() for line in message.splitlines() if line.strip()), message)[:160]


def _template_problem(text: str) -> str:
    """Return why a Go template cannot be right: braces or blocks that do not close."""
    if text.count("{{") != text.count("}}"):
        return "`{{` and `}}` do not match: close the template"
    depth = 0
    for match in _BLOCK.finditer(text):
        if match["word"] in _OPENING:
            depth += 1
        elif match["word"] == "end":
            depth -= 1
        elif match["word"] == "else" and depth == 0:
            return "an `{{ else }}` outside of if, with and range"
        if depth < 0:
            return "an `{{ end }}` too many"
    return "an `{{ end }}` is missing" if depth else _action_problem(text)


def _action_problem(text: str) -> str:
    known = set(_KNOWN)
    for action in _ACTION.finditer(text):
        inside = _STRING.sub('""', action[1]).strip()
        if inside.startswith("/*"):
            continue
        bare = _BARE.match(inside)
        if bare:
            return f"`{bare[1]}` has no condition"
        for one, two in _DECLARED.findall(inside):
            known |= {one, two}
        unknown = [name for name in _VARIABLE.findall(inside) if name not in known]
        if unknown:
            return f"${unknown[0][:40]} is not defined: there are $labels, $value, $externalLabels and $externalURL"
    return ""


CHECK = Check(name="syntax", summary="every file can be read, and every rule by Prometheus", run=run)
