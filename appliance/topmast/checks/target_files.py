"""targets/<job>.yml: lists of HOST:PORT with labels, as file-based discovery reads them; an empty one is `[]`."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from topmast import check
from topmast.check import Check, Spot, Tree

_ADDRESS = re.compile(r"^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):([0-9]{1,5})$")
_LABEL = re.compile(r"^[a-zA-Z_][a-zA-Z0-9_]*$")
MAX_PORT = 65_535


def run(tree: Tree) -> Iterator[Spot]:
    for path, text in tree.documents.items():
        if path.parent.name != "targets" or path.suffix not in (".yml", ".yaml"):
            continue
        entries = check.load_yaml(text)
        if not isinstance(entries, list):
            yield Spot(path, 1, "a targets file is a list: write `[]` where there is no target")
            continue
        for entry in entries:
            for needle, message in _problems(entry):
                yield Spot(path, check.line_of(text, needle), message)


def _problems(entry: Any) -> Iterator[tuple[str, str]]:
    if not isinstance(entry, Mapping):
        yield "- ", 'an entry has `targets: ["host:port"]` and, if it needs them, `labels`'
        return
    for key in sorted(set(entry) - {"targets", "labels"}, key=str):
        yield str(key), f"unknown key {key!r}: an entry has targets and labels"
    targets = entry.get("targets")
    if not isinstance(targets, list) or not targets:
        yield "targets", "an entry has a list of targets"
        targets = []
    for target in targets:
        match = _ADDRESS.match(str(target))
        if match is None or not 0 < int(match[2]) <= MAX_PORT:
            yield str(target), f"target {str(target)[:80]!r}: write HOST:PORT, without a scheme and a path"
    labels = entry.get("labels") or {}
    if not isinstance(labels, Mapping):
        yield "labels", "labels are a mapping of names to texts"
        return
    for name, value in labels.items():
        if not _LABEL.match(str(name)):
            yield str(name), f"label {name!r}: letters, digits and _ only"
        if not isinstance(value, str):
            yield f"{name}:", f"label {name}: put its value in quotes, it is a text"
    if "__param_target" in labels and "__exporter__" not in labels:
        yield "__param_target", "__param_target without __exporter__: who is asked?"


CHECK = Check(name="target_files", summary="targets files can be read by file-based discovery", run=run)
