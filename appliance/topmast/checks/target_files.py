"""targets/<job>.yml: every address is HOST:PORT, every label a name. Their shape: the check `schemas`."""

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
        for entry in entries if isinstance(entries, list) else ():
            for needle, message in _problems(entry):
                yield Spot(path, check.line_of(text, needle), message)


def _problems(entry: Any) -> Iterator[tuple[str, str]]:
    targets = entry.get("targets") if isinstance(entry, Mapping) else None
    for target in targets if isinstance(targets, list) else ():
        match = _ADDRESS.match(str(target))
        if match is None or not 0 < int(match[2]) <= MAX_PORT:
            yield str(target), f"target {str(target)[:80]!r}: write HOST:PORT, without a scheme and a path"
    labels = entry.get("labels") if isinstance(entry, Mapping) else None
    if not isinstance(labels, Mapping):
        return
    for name in labels:
        if not _LABEL.match(str(name)):
            yield str(name), f"label {name!r}: letters, digits and _ only"
    if "__param_target" in labels and "__exporter__" not in labels:
        yield "__param_target", "__param_target without __exporter__: who is asked?"


CHECK = Check(name="target_files", summary="targets files can be read by file-based discovery", run=run)
