"""The rules' own tests, and what they are worth: every case run, every rule changed in small ways and noticed.

Source of the idea and of the peer's number: kubernetes-mixin's own tests notice 52.1 % of the same changes.
"""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from topmast import mutation, newest, promtool, quiet, recordcases, rulecases, rulefile
from topmast.layout import Layout
from topmast.measure import Measure, measure
from topmast.mutation import Mutant
from topmast.proof import Proof, Trial
from topmast.recordcases import RecordCase
from topmast.rulecases import AlertCases
from topmast.rulefile import Rule

CATALOGUE = 47
PEER = "kubernetes-mixin"
PEER_SCORE = 0.521
# What fires where nothing is scraped at all: the machine and the exporter are missing, and the dead man's switch.
EMPTY = ("ExporterDown", "HostMetricsMissing", "Watchdog")


@dataclass(frozen=True)
class Suite:
    """The rules with their cases."""

    rules: Sequence[Rule]
    cases: Mapping[str, AlertCases]
    scenes: Sequence[RecordCase]
    equivalents: Mapping[str, Mapping[str, str]]

    @property
    def records(self) -> dict[str, Rule]:
        return {rule.name: rule for rule in self.rules if rule.kind == "record"}

    @property
    def catalogue(self) -> list[Rule]:
        return [rule for rule in self.rules if rule.kind == "alert" and rule.file.parent.name == "alerts"]


def load(home: Path) -> Suite:
    """Return the rules of monitoring/ and the cases of tests/monitoring/. An alert without a file has no cases."""
    tests = home / "tests" / "monitoring"
    rules = rulefile.load(home / "monitoring" / "prometheus")
    cases = {}
    for rule in rules:
        path = tests / rule.file.parent.name / f"{rule.name}.yml"
        if rule.kind == "alert" and path.is_file():
            cases[rule.name] = rulecases.read(path, rule)
    scenes = [scene for path in sorted((tests / "recording").glob("*.yml")) for scene in recordcases.read(path)]
    named = tests / "equivalents.yml"
    equivalents = yaml.safe_load(named.read_text(encoding="utf-8")) if named.is_file() else {}
    return Suite(rules, cases, scenes, equivalents or {})


def run(trial: Trial) -> list[Measure]:
    """Return the measures `rules.*`."""
    suite = load(trial.layout.home)
    if not suite.cases:
        note = "the cases are in the source tree only: run it from a clone"
        return [measure("rules.alerts", None, "alerts", f"== {CATALOGUE}", note=note)]
    program = promtool.need_promtool(trial.layout.state)
    # First, and alone: thousands of runs of promtool beside it are no idle machine.
    at_real_clocks = quiet.watch(trial.layout, trial.say) if trial.full else _not_watched()
    return [
        *_cases(suite, program, trial.say),
        *_mutation(suite, program, trial.say),
        *at_real_clocks,
        _empty(suite, program),
        _newest(suite, trial.layout),
    ]


def _cases(suite: Suite, program: Path, say: Callable[[str], None]) -> list[Measure]:
    say(f"{sum(len(found.cases) for found in suite.cases.values())} cases of {len(suite.cases)} alerts")
    passed: dict[str, set[str]] = {}

    def one(rule: Rule) -> None:
        if rule.name in suite.cases:
            found = rulecases.check(program, suite.cases[rule.name], [*rulecases.needed(rule, suite.records), rule])
            passed[rule.name] = {name for name, verdict in found if verdict.ok}

    _each(one, suite.catalogue)
    every = {name: {case.name for case in suite.cases[name].cases} for name in passed}
    whole = {name for name in passed if passed[name] == every[name]}
    goal = f"== {CATALOGUE}"
    note = _version(program)

    def having(kind: str) -> int:
        return sum(any(case.split(":")[0] == kind for case in names) for names in passed.values())

    guarded = sum(
        all(case in passed[name] for case in every[name] if case.startswith(("guard", "near_miss")))
        for name in passed
    )
    return [
        measure("rules.alerts", len(whole), "alerts", goal, note=f"all cases pass; {note}"),
        measure("rules.fire", having("fire"), "alerts", goal),
        measure("rules.near_miss", having("near_miss"), "alerts", goal),
        measure("rules.guards", guarded, "alerts", goal, note="every guard and near miss stays silent"),
        # The fire case asserts silence one step before `for` ends and the alert one step after.
        measure("rules.for_edge", having("fire"), "alerts", goal, note="asserted within the fire case"),
        measure("rules.resolve", having("resolve"), "alerts", goal),
    ]


def _mutation(suite: Suite, program: Path, say: Callable[[str], None]) -> list[Measure]:
    changed = [(rule, mutant) for rule in suite.catalogue for mutant in mutation.mutants(rule)]
    say(f"{len(changed)} changed alerts")
    noticed = _each(lambda pair: _alert_notices(suite, program, *pair), changed)
    survivors = [pair for pair, seen in zip(changed, noticed, strict=True) if not seen]
    known = [(rule, mutant) for rule, mutant in survivors if mutant.id in suite.equivalents.get(rule.name, {})]
    for rule, mutant in survivors:
        mark = "equivalent" if (rule, mutant) in known else "NOT NOTICED"
        say(f"{mark}: {rule.name}: {mutant.id}")
    real = len(changed) - len(known)
    alive = {f"{rule.name} {mutant.id}" for rule, mutant in survivors}
    listed = {f"{name} {each}" for name, entries in suite.equivalents.items() for each in entries}
    recorded = [(rule, mutant) for rule in suite.records.values() for mutant in mutation.mutants(rule)]
    say(f"{len(recorded)} changed recording rules")
    seen = _each(lambda pair: _record_notices(suite, program, *pair), recorded)
    for (rule, mutant), one in zip(recorded, seen, strict=True):
        if not one:
            say(f"NOT NOTICED: {rule.name}: {mutant.id}")
    critical = sum(rule.labels["severity"] == "critical" for rule, mutant in survivors if (rule, mutant) not in known)
    score = 1 - (len(survivors) - len(known)) / real
    return [
        measure(
            "rules.mutation.alerts",
            round(score, 4),
            "share",
            ">= 0.95",
            peer=PEER,
            peer_value=PEER_SCORE,
            ratio=score / PEER_SCORE,
            note=f"{real} changes, {len(known)} equivalent ones left out",
        ),
        measure(
            "rules.mutation.recording",
            round(sum(seen) / len(seen), 4),
            "share",
            ">= 0.80",
            note=f"{len(seen)} changes",
        ),
        measure("rules.mutation.critical_survivors", critical, "changes", "== 0"),
        measure(
            "rules.mutation.stale_equivalents",
            len(listed - alive),
            "entries",
            "== 0",
            note=", ".join(sorted(listed - alive))[:200] or "each still survives",
        ),
    ]


def _alert_notices(suite: Suite, program: Path, rule: Rule, mutant: Mutant) -> bool:
    found = suite.cases.get(rule.name)
    needed = rulecases.needed(rule, suite.records)
    return found is not None and rulecases.noticed(program, found, [*needed, mutant.rule])


def _record_notices(suite: Suite, program: Path, rule: Rule, mutant: Mutant) -> bool:
    changed = {**suite.records, rule.name: mutant.rule}
    for scene in suite.scenes:
        if rule.name in scene.given or rule.name not in {each.name for each in scene.rules(suite.records)}:
            continue
        if not rulecases.run(program, scene.rules(changed), [scene.case.test], step=scene.step).ok:
            return True
    return False


def _empty(suite: Suite, program: Path) -> Measure:
    firing = firing_on(program, suite.rules, [], "30m")
    return measure(
        "rules.quiet.empty",
        len(set(firing) ^ set(EMPTY)),
        "alerts beyond the list",
        "== 0",
        note=f"nothing is scraped: {', '.join(sorted(firing))} fire",
    )


def firing_on(program: Path, rules: Sequence[Rule], series: Sequence[Mapping[str, str]], at: str) -> list[str]:
    """Return the alerts that fire at a time, of all rules together, over these series."""
    test = {
        "interval": "1m",
        "input_series": list(series),
        "promql_expr_test": [
            # Expected is what cannot be, so that promtool prints what is.
            {
                "expr": 'count by (alertname) (ALERTS{alertstate="firing"})',
                "eval_time": at,
                "exp_samples": [{"labels": "{none='none'}", "value": -1}],
            }
        ],
    }
    output = rulecases.run(program, in_order(rules), [test]).output
    return sorted({part.split('"')[0] for part in output.split('{alertname="')[1:]})


def in_order(rules: Iterable[Rule]) -> list[Rule]:
    """Return all rules in one order of evaluation: recorded first, each after what it reads, then the alerts."""
    every = list(rules)
    records = {rule.name: rule for rule in every if rule.kind == "record"}
    ordered: dict[str, Rule] = {}
    for rule in records.values():
        for each in [*rulecases.needed(rule, records), rule]:
            ordered[each.name] = each
    return [*ordered.values(), *(rule for rule in every if rule.kind == "alert")]


def _not_watched() -> list[Measure]:
    note = f"needs {quiet.SECONDS // 60} minutes at real clocks: --full; as series: tests/monitoring/test_quiet.py"
    return [measure(name, None, "alerts", "== 0", note=note) for name in quiet.MEASURES]


def _newest(suite: Suite, layout: Layout) -> Measure:
    """Return how many alerts pass all their cases on the newest promtool too."""
    goal = f"== {CATALOGUE}"
    program = newest.find(layout)
    if program is None:
        note = "the newest promtool is not here: `./topmast test --suite newest` builds it"
        return measure("rules.versions", None, "alerts", goal, note=note)
    passing = sum(
        rulecases.run(
            program,
            [*rulecases.needed(rule, suite.records), rule],
            [case.test for case in suite.cases[rule.name].cases],
            step=suite.cases[rule.name].cases[0].test["interval"],
        ).ok
        for rule in suite.catalogue
        if rule.name in suite.cases
    )
    return measure("rules.versions", passing, "alerts", goal, note=f"all cases pass on {_version(program)} too")


def _version(program: Path) -> str:
    return "promtool " + promtool.run(program, ["--version"]).output.split("version ", 1)[-1].split(" ", 1)[0]


def _each(work: Callable[[Any], Any], items: Sequence[Any]) -> list[Any]:
    """Return the results in order. promtool does the work: a thread a core waits for it."""
    with ThreadPoolExecutor(max(2, os.cpu_count() or 2)) as pool:
        return list(pool.map(work, items))


PROOF = Proof(name="rules", summary="Every alert's cases, and every rule changed in small ways and noticed.", run=run)
