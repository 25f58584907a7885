"""The test cases of the recording rules: series in, values out.

One YAML file a subject (tests/monitoring/recording/<subject>.yml), a list of

    name: what it is about
    at: 30m                       when it is looked at; `step` is the distance of the samples (1m)
    series: [NAME{LABELS} VALUES, …]
    inputs: true                  the series are recorded ones: their rules are left out
    expect: {NAME{LABELS}: 0.5, NAME: none}    all samples of each name, to three places; `none`: there is none
"""

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from topmast import promql, rulecases
from topmast.rulecases import Case, CaseError
from topmast.rulefile import Rule

_PLACES = 0.001
_KEYS = {"name", "at", "step", "series", "inputs", "expect"}
_SELECTOR = re.compile(r"^(?P<name>[a-z_0-9:]+)(?P<labels>\{.*\})?$")


@dataclass(frozen=True)
class RecordCase:
    """One scene, and the recording rules that it is about."""

    case: Case
    step: str
    about: tuple[str, ...]
    given: tuple[str, ...]
    """Recorded names that are input here."""

    def rules(self, records: Mapping[str, Rule]) -> list[Rule]:
        """Return the rules to evaluate, each after those that it reads."""
        left = {name: rule for name, rule in records.items() if name not in self.given}
        ordered: dict[str, Rule] = {}
        for name in self.about:
            for rule in [*rulecases.needed(left[name], left), left[name]]:
                ordered[rule.name] = rule
        return list(ordered.values())


def read(path: Path) -> list[RecordCase]:
    """Return the cases of a file. Raises CaseError when one cannot be understood."""
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    try:
        return [_case(path, entry) for entry in document]
    except (KeyError, TypeError, ValueError) as error:
        raise CaseError(f"{path}: {type(error).__name__}: {error}") from error


def _case(path: Path, entry: Mapping[str, Any]) -> RecordCase:
    if set(entry) - _KEYS:
        raise CaseError(f"{path}: unknown {', '.join(sorted(set(entry) - _KEYS))}")
    step, at = str(entry.get("step", "1m")), str(entry["at"])
    samples = promql.milliseconds(at) // promql.milliseconds(step) + 2
    wanted: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for key, value in entry["expect"].items():
        match = _SELECTOR.match(key)
        if match is None:
            raise CaseError(f"{path}: {entry['name']}: not a series: {key}")
        if value == "none":
            wanted[match["name"]] = []
        else:
            wanted[match["name"]].append({"labels": match["labels"] or "{}", "value": float(value)})
    where = f"{path.name}: {entry['name']}"
    series = [rulecases.series(text, samples, where) for text in entry["series"]]
    test = {
        "interval": step,
        "input_series": series,
        "promql_expr_test": [
            # Adding 0 makes a negative zero a zero: promtool tells them apart in what it prints only.
            {"expr": f"round({name}, {_PLACES:f}) + 0", "eval_time": at, "exp_samples": samples_}
            for name, samples_ in wanted.items()
        ],
    }
    given = tuple(each["series"].partition("{")[0] for each in series) if entry.get("inputs") else ()
    return RecordCase(Case(str(entry["name"]), test), step, tuple(wanted), given)
