"""S6: every `$labels.x` of an annotation is a label that the expression leaves. Else the text has a hole at night."""

import re
from collections.abc import Iterator

from topmast import promlabels
from topmast.check import Check, Spot, Tree

_LABEL = re.compile(r"\$labels\.([A-Za-z_][A-Za-z0-9_]*)|index \$labels \"([^\"]+)\"")
# Prometheus' template functions that 2.42 knows too (template/template.go), and the language's own words.
_FUNCTIONS = {
    *[
        "args",
        "first",
        "humanize",
        "humanize1024",
        "humanizeDuration",
        "humanizePercentage",
        "humanizeTimestamp",
        "label",
        "match",
    ],
    *[
        "parseDuration",
        "pathPrefix",
        "externalURL",
        "printf",
        "reReplaceAll",
        "safeHtml",
        "sortByLabel",
        "stripDomain",
        "stripPort",
    ],
    *["strvalue", "tableLink", "graphLink", "title", "toLower", "toTime", "toUpper", "value", "query"],
    *[
        "and",
        "or",
        "not",
        "eq",
        "ne",
        "lt",
        "le",
        "gt",
        "ge",
        "if",
        "else",
        "end",
        "with",
        "range",
        "define",
        "template",
        "block",
        "index",
        "len",
        "slice",
        "print",
        "println",
    ],
    *["html", "js", "urlquery", "call", "break", "continue", "true", "false", "nil"],
}
_ACTION = re.compile(r"\{\{-?(.*?)-?\}\}", re.DOTALL)
_WORD = re.compile(r"(?<![\w.$\"'])[A-Za-z_]\w*")
_STRING = re.compile(r"\"(?:[^\"\\]|\\.)*\"|`[^`]*`")


def run(tree: Tree) -> Iterator[Spot]:
    for rule, node in tree.expressions():
        if rule.kind != "alert":
            continue
        known = promlabels.labels_of(node, tree.labels)
        for name, text in rule.annotations.items():
            where = (rule.file, rule.at(f"annotations.{name}"))
            wanted = [match[1] or match[2] for match in _LABEL.finditer(text)]
            for label in dict.fromkeys(wanted):
                if known is not None and label not in known | set(rule.labels):
                    left = ", ".join(sorted(known)) or "none"
                    yield Spot(
                        *where, f"{rule.name}: {name}: the expression leaves no label {label} (it leaves: {left})"
                    )
            for action in _ACTION.finditer(text):
                for word in _WORD.findall(_STRING.sub("", action[1])):
                    if word not in _FUNCTIONS:
                        yield Spot(*where, f"{rule.name}: {name}: {word} is no template function of Prometheus 2.42")


CHECK = Check(name="templates", summary="annotations use labels and functions that exist", run=run)
