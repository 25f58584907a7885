"""The contract of the room checks/: one module a static check over monitoring/, or over rule files of a user's own.

A check looks at a `Tree` (what was read, nothing is read twice) and yields where something is wrong and what to do
about it. Nothing here needs a running engine, or a binary.
"""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from topmast import metrics, promlabels, promql, rulefile, yamltext
from topmast.rulefile import Rule

# A rule file of this size is a mistake: ours have 10 KB. Parsing 10 MB of YAML takes half a minute.
MAX_BYTES = 2_000_000
MAX_FILES = 5_000
"""Below the folders that are looked at: `topmast lint /` says so and ends."""
YAML = (".yml", ".yaml", ".rules")
# Text that is no YAML. Whatever else is named by a user is taken for a rule file.
_TEXT = (".tmpl", ".conf", ".json", ".ndjson", ".md")
# What the engines' other files are called, and what they begin with.
_ENGINE_FILES = (
    *("prometheus.yml", "alertmanager.yml", "elasticsearch.yml", "kibana.yml", "logstash.yml", "pipelines.yml"),
    "topmast.yml",
)
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
    rules: list[Rule] = []
    documents: dict[Path, str] = {}
    broken: list[Spot] = []
    looked = False
    for path in _files(list(paths) or [home / "monitoring"], broken):
        is_yaml = path.suffix in YAML or (path in paths and path.suffix not in _TEXT)
        text = _text(path, broken, wanted=is_yaml or path in paths)
        if text is None:
            continue
        looked = looked or is_yaml or path.suffix in _TEXT
        if is_yaml and _is_rule_file(path, text, named=path in paths):
            found, problems = rulefile.read(path, text)
            rules += found
            broken += [Spot(path, problem.line, problem.message) for problem in problems]
        elif not is_yaml or _is_plain(path, text, broken):
            documents[path] = text
    if paths and not looked and not broken:
        broken.append(Spot(paths[0], 1, "nothing in it can be checked: name a folder of .yml files, or a file"))
    return Tree(home=home, ours=not paths, rules=rules, documents=documents, broken=broken)


@lru_cache(maxsize=256)
def load_yaml(text: str) -> Any:
    """Return a document's value, not to be changed; None when it is not YAML (the check `syntax` says so)."""
    try:
        return yamltext.load(text)
    except yamltext.NotYamlError:
        return None


def _is_plain(path: Path, text: str, broken: list[Spot]) -> bool:
    """Return whether a document is YAML that can be walked over; what is wrong with it goes to `broken`."""
    try:
        yamltext.load(text)
        root = yamltext.compose(text)
    except yamltext.NotYamlError as error:
        broken.append(Spot(path, error.line, str(error)))
        return False
    for line, key, first in yamltext.repeated(root):
        broken.append(Spot(path, line, f"{key[:80]!r} stands twice (line {first}): the last one wins; remove one"))
    if root is None and path.parent.name != "targets":
        broken.append(Spot(path, 1, "an empty file: remove it, or write what belongs there"))
        return False
    return True


def line_of(text: str, needle: str) -> int:
    """Return the first line that holds the needle, else 1."""
    return next((number for number, line in enumerate(text.splitlines(), 1) if needle in line), 1)


def _files(roots: Sequence[Path], broken: list[Spot]) -> list[Path]:
    """Return the files that are named and those below the folders that are, hidden ones left out."""
    found: list[Path] = []
    for root in roots:
        if root.is_dir():
            for path in _below(root, broken):
                found.append(path)
                if len(found) > MAX_FILES:
                    broken.append(Spot(root, 1, f"more than {MAX_FILES} files: name a narrower folder"))
                    return found[:MAX_FILES]
        elif root.is_file():
            found.append(root)
        else:
            what = "no file that can be read as text" if root.exists() else "no such file or folder: correct the path"
            broken.append(Spot(root, 1, what))
    return list(dict.fromkeys(found))


def _below(root: Path, broken: list[Spot]) -> Iterable[Path]:
    def refused(error: OSError) -> None:
        broken.append(Spot(Path(error.filename), 1, f"cannot be read: {error.strerror}; change its permissions"))

    for folder, folders, names in os.walk(root, onerror=refused):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(folder) / name
            if not name.startswith(".") and path.is_file():
                yield path


def _text(path: Path, broken: list[Spot], *, wanted: bool) -> str | None:
    """Return a file's text; None when it has none. Says why in `broken` when it is `wanted` as text."""
    raw = b""
    try:
        size = path.stat().st_size
        if size <= MAX_BYTES:
            raw = path.read_bytes()
        elif wanted:
            broken.append(Spot(path, 1, f"{size / 1e6:.1f} MB: split it; {MAX_BYTES / 1e6:.0f} MB is the most"))
        if size > MAX_BYTES:
            return None
        text = raw.decode("utf-8")
    except OSError as error:
        broken.append(Spot(path, 1, f"cannot be read: {error.strerror or error}; change its permissions"))
        return None
    except UnicodeDecodeError as error:
        if wanted:
            line = raw.count(b"\n", 0, error.start) + 1
            broken.append(Spot(path, line, "not UTF-8 text: is it a binary? save it as UTF-8"))
        return None
    if wanted and "\x00" in text:
        line = text.count("\n", 0, text.index("\x00")) + 1
        broken.append(Spot(path, line, "holds a NUL byte: it is a binary; name a text file"))
        return None
    return text


def _is_rule_file(path: Path, text: str, *, named: bool) -> bool:
    """Return whether a YAML file means to be a rule file: by its place, its content, or because a user says so."""
    if path.parent.name in ("alerts", "self", "recording", "rules"):
        return True
    if path.parent.name == "targets" or "provisioning" in path.parts or path.name in _ENGINE_FILES:
        return False
    lines = text.splitlines()
    if any(line.startswith(("groups:", "kind: PrometheusRule")) for line in lines):
        return True
    return named and not any(line.startswith(_OTHERS) for line in lines)
