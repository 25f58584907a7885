"""The contract of the room checks/: one module a static check over monitoring/, or over rule files of a user's own.

A check looks at a `Tree` (what was read, nothing is read twice) and yields where something is wrong and what to do
about it. Nothing here needs a running engine, or a binary.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from topmast import metrics, promlabels, promql, rulefile
from topmast.rulefile import Rule

# A rule file of this size is a mistake: ours have 10 KB. Parsing YAML in Python takes a minute for 10 MB.
MAX_BYTES = 2_000_000
_SUFFIXES = (".yml", ".yaml")
# What the engines' other files begin with.
_OTHERS = ("global:", "scrape_configs:", "route:", "receivers:", "apiVersion:", "services:")


@dataclass(frozen=True)
class Spot:
    """Where something is wrong, and what to do."""

    path: Path
    line: int
    message: str


@dataclass(frozen=True)
class Finding:
    """A spot with the check that saw it: one line of `topmast lint`."""

    file: str
    line: int
    check: str
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.check}: {self.message}"


@dataclass(frozen=True)
class Tree:
    """What is looked at: monitoring/ (`ours`), or files and folders that a user named."""

    home: Path
    ours: bool
    rules: Sequence[Rule] = ()
    documents: Mapping[Path, str] = field(default_factory=dict)
    """The text of every file that is no rule file (prometheus.yml, alertmanager.yml, targets, templates, …)."""
    broken: Sequence[Spot] = ()
    """What could not be read, or not as a rule file."""

    @cached_property
    def alerts(self) -> list[Rule]:
        return [rule for rule in self.rules if rule.kind == "alert"]

    @cached_property
    def records(self) -> dict[str, Rule]:
        return {rule.name: rule for rule in self.rules if rule.kind == "record"}

    @cached_property
    def catalogue(self) -> list[Rule]:
        """The alerts of the seven categories: those in alerts/ of monitoring/."""
        return [rule for rule in self.alerts if rule.file.parent.name == "alerts"]

    @cached_property
    def parsed(self) -> dict[int, promql.Node]:
        """The tree of each rule's expression by the rule's identity; those that do not parse are left out."""
        found = {}
        for rule in self.rules:
            try:
                found[id(rule)] = promql.parse(rule.expr)
            except ValueError:
                continue
        return found

    @cached_property
    def labels(self) -> promlabels.Lookup:
        """From a metric's name to its labels."""
        expressions = {name: rule.expr for name, rule in self.records.items() if id(rule) in self.parsed}
        return promlabels.lookup(metrics.load(), expressions)

    def expressions(self) -> list[tuple[Rule, promql.Node]]:
        """Return every rule whose expression parses, with its tree."""
        return [(rule, self.parsed[id(rule)]) for rule in self.rules if id(rule) in self.parsed]

    def named(self, ending: str) -> list[tuple[Path, str]]:
        """Return the documents whose path ends so, with their text."""
        return [(path, text) for path, text in self.documents.items() if path.as_posix().endswith(ending)]


@dataclass(frozen=True)
class Check:
    """One module of checks/; the module's name is the check's name, in findings and everywhere."""

    name: str
    summary: str
    run: Callable[[Tree], Iterable[Spot]]
    ours: bool = False
    """It holds of monitoring/ only (our catalogue, our runbooks); a user's own rule files need not be like it."""


def read(paths: Sequence[Path], home: Path) -> Tree:
    """Return what stands in the files and below the folders; of monitoring/ of `home` when none is named."""
    roots = list(paths) or [home / "monitoring"]
    rules: list[Rule] = []
    documents: dict[Path, str] = {}
    broken: list[Spot] = []
    for path in _files(roots, broken):
        text = _text(path, broken)
        if text is None:
            continue
        if path.suffix not in _SUFFIXES or not _is_rule_file(path, text, named=path in paths):
            documents[path] = text
            continue
        found, problems = rulefile.read(path, text)
        rules += found
        broken += [Spot(path, problem.line, problem.message) for problem in problems]
    return Tree(home=home, ours=not paths, rules=rules, documents=documents, broken=broken)


def load_yaml(text: str) -> Any:
    """Return a document's value, None when it is not YAML (the check `syntax` says so)."""
    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError):
        return None


def line_of(text: str, needle: str) -> int:
    """Return the first line that holds the needle, else 1."""
    return next((number for number, line in enumerate(text.splitlines(), 1) if needle in line), 1)


def _files(roots: Sequence[Path], broken: list[Spot]) -> list[Path]:
    found = []
    for root in roots:
        if root.is_dir():
            found += [
                path
                for path in sorted(root.rglob("*"))
                if path.is_file() and not any(part.startswith(".") for part in path.relative_to(root).parts)
            ]
        elif root.is_file():
            found.append(root)
        else:
            broken.append(Spot(root, 1, "no such file or folder"))
    return list(dict.fromkeys(found))


def _text(path: Path, broken: list[Spot]) -> str | None:
    try:
        size = path.stat().st_size
        if path.suffix in _SUFFIXES and size > MAX_BYTES:
            broken.append(Spot(path, 1, f"{size / 1e6:.1f} MB: split it; {MAX_BYTES / 1e6:.0f} MB is the most"))
            return None
        raw = path.read_bytes() if size <= MAX_BYTES else b""
        text = raw.decode("utf-8")
    except OSError as error:
        broken.append(Spot(path, 1, f"cannot be read: {error.strerror or error}"))
        return None
    except UnicodeDecodeError as error:
        if path.suffix in _SUFFIXES:
            line = raw.count(b"\n", 0, error.start) + 1
            broken.append(Spot(path, line, "not UTF-8 text: is it a binary? save it as UTF-8"))
        return None
    if path.suffix in _SUFFIXES and "\x00" in text:
        broken.append(
            Spot(path, text.count("\n", 0, text.index("\x00")) + 1, "holds a NUL byte: a binary is no YAML")
        )
        return None
    return text


def _is_rule_file(path: Path, text: str, *, named: bool) -> bool:
    """Return whether a YAML file means to be a rule file: by its place, its content, or because a user says so."""
    if path.parent.name in ("alerts", "self", "recording", "rules"):
        return True
    if path.parent.name == "targets" or "provisioning" in path.parts:
        return False
    lines = text.splitlines()
    if any(line.startswith("groups:") for line in lines):
        return True
    return named and not any(line.startswith(_OTHERS) for line in lines)
