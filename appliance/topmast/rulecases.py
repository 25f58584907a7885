"""The test cases of the rules: read them, turn them into promtool's test files, run them.

One YAML file an alert (tests/monitoring/alerts/<Alert>.yml): the disaster's series, and what differs in each case.

    disaster: {busy: 'node_cpu_seconds_total{…} 0+54x*'}   one sample a minute; `x*` is: to the end of the case
    fire:       {from: 1m, labels: {instance: a:9100}, text: the description as it is rendered}
    arms:       {NAME: {from: …, labels: …, text: …, series: {busy: …}}}   every other way in which it fires
    near_miss:  {series: {busy: …}}             within 15 % of the threshold, and silent
    guards:     {NAME: {series: {busy: …}}}     one a guard of the expression, silent
    resolve:    {firing: 20m, silent: 30m, series: {…}}   the cause ends: still firing, then silent
    ends:       {NAME: {firing: …, silent: …, series: {…}}}   every other way in which it ends

A case's `series` replace those of the disaster by key; null leaves one out. `from` is when the expression first
holds; `annotations` are other texts that have a template too; `text_at` is when the text is read, where the value is
still moving one minute after it fires (2.42 and 3.x fill a window differently). promtool's own traps, measured: a
test that names no existing alert passes, so every firing is asserted on ALERTS with its complete labels; annotations
must be given whole; group intervals are ignored.
"""

import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from topmast import promql, promtool
from topmast.errors import TopmastError
from topmast.rulefile import Rule

_SPEC = {"series", "from", "labels", "text", "text_at", "annotations", "firing", "silent", "until", "may_be_pending"}
KINDS = ("fire", "near_miss", "resolve")
_MINUTE = 60_000
_SHORT = 130
"""Evaluations: cases up to this many are run in one go."""
_AFTER = 10 * _MINUTE
"""A silent case is watched this long beyond the moment in which the disaster would have fired."""
_NUMBER = r"-?[0-9.]+(?:e[+-]?[0-9]+)?"
_SAMPLES = re.compile(rf"^(?P<start>_|{_NUMBER}|)(?P<step>[+-][0-9.]+(?:e[+-]?[0-9]+)?)?x(?P<count>\*|[0-9]+)$")


class CaseError(TopmastError):
    """A case file says something that cannot be tested."""


@dataclass(frozen=True)
class Case:
    """One scene: series, and what must be seen in it."""

    name: str
    """`fire`, `near_miss`, `resolve`, `arm: NAME`, `guard: NAME`, `end: NAME`."""
    test: Mapping[str, Any]
    """One entry of promtool's `tests`."""


@dataclass(frozen=True)
class AlertCases:
    """All cases of one alert."""

    alert: str
    cases: Sequence[Case]

    def missing(self) -> list[str]:
        """Return the kinds of case that every alert must have and this one lacks."""
        names = {case.name for case in self.cases}
        return [kind for kind in KINDS if kind not in names]


@dataclass(frozen=True)
class Verdict:
    """Whether promtool agreed, and what it said."""

    ok: bool
    output: str


@dataclass
class _Builder:
    rule: Rule
    disaster: Mapping[str, str]
    step: int
    cases: list[Case] = field(default_factory=list)

    def firing(self, name: str, spec: Mapping[str, Any], default: Mapping[str, Any]) -> None:
        start = _length(spec.get("from", default.get("from", "1m")))
        wait = _length(self.rule.duration or "0s")
        edge = start + wait
        labels = {**self.rule.labels, **spec.get("labels", default.get("labels", {}))}
        seen = edge + self.step
        checks = [self._expect(seen, labels)]
        if start >= self.step:
            checks.append(self._silent(start - self.step, ""))
        if wait:
            checks.append(self._silent(edge - self.step, "firing"))
        told = _length(spec.get("text_at", promql.duration(seen)))
        test = self._test(name, spec, max(seen, told) + self.step, checks)
        text = spec.get("text", default.get("text", ""))
        texts = {**self.rule.annotations, "description": text, **spec.get("annotations", {})}
        test["alert_rule_test"] = [
            {
                "alertname": self.rule.name,
                "eval_time": promql.duration(told),
                "exp_alerts": [{"exp_labels": labels, "exp_annotations": texts}],
            }
        ]
        self.cases.append(Case(name, test))

    def silent(self, name: str, spec: Mapping[str, Any], default: Mapping[str, Any]) -> None:
        end = _length(default.get("from", "1m")) + _length(self.rule.duration or "0s") + _AFTER
        if "until" in spec:
            end = _length(spec["until"])
        state = "firing" if spec.get("may_be_pending") else ""
        checks = [self._silent(end, state, over=end)]
        self.cases.append(Case(name, self._test(name, spec, end, checks)))

    def resolving(self, name: str, spec: Mapping[str, Any], default: Mapping[str, Any]) -> None:
        firing, silent = _length(spec["firing"]), _length(spec["silent"])
        labels = {**self.rule.labels, **spec.get("labels", default.get("labels", {}))}
        checks = [self._expect(firing, labels), self._silent(silent, "")]
        self.cases.append(Case(name, self._test(name, spec, silent, checks)))

    def _test(
        self, name: str, spec: Mapping[str, Any], end: int, checks: Sequence[Mapping[str, Any]]
    ) -> dict[str, Any]:
        unknown = set(spec) - _SPEC
        if unknown:
            raise CaseError(f"{self.rule.name}: {name}: unknown {', '.join(sorted(unknown))}")
        chosen = {**self.disaster, **spec.get("series", {})}
        samples = end // self.step + 2
        return {
            "interval": promql.duration(self.step),
            "input_series": [series(text, samples, f"{self.rule.name}: {name}") for text in chosen.values() if text],
            "promql_expr_test": list(checks),
        }

    def _expect(self, at: int, labels: Mapping[str, str]) -> dict[str, Any]:
        shown = {"alertname": self.rule.name, "alertstate": "firing", **labels}
        text = ", ".join(f"{key}={_quoted(str(value))}" for key, value in sorted(shown.items()) if value != "")
        return {
            "expr": f'ALERTS{{alertname="{self.rule.name}", alertstate="firing"}}',
            "eval_time": promql.duration(at),
            "exp_samples": [{"labels": f"ALERTS{{{text}}}", "value": 1}],
        }

    def _silent(self, at: int, state: str, over: int = 0) -> dict[str, Any]:
        selector = f'ALERTS{{alertname="{self.rule.name}"' + (f', alertstate="{state}"' if state else "") + "}"
        expr = f"count_over_time({selector}[{promql.duration(over)}])" if over else selector
        return {"expr": expr, "eval_time": promql.duration(at), "exp_samples": []}


def read(path: Path, rule: Rule) -> AlertCases:
    """Return the cases of an alert. Raises CaseError when the file cannot be understood."""
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    if not isinstance(document, dict):
        raise CaseError(f"{path}: not a mapping")
    unknown = set(document) - {"disaster", "step", "fire", "arms", "near_miss", "guards", "resolve", "ends"}
    if unknown:
        raise CaseError(f"{path}: unknown {', '.join(sorted(unknown))}")
    builder = _Builder(rule, document.get("disaster", {}), _length(document.get("step", "1m")))
    fire = document.get("fire")
    try:
        if fire is not None:
            builder.firing("fire", fire, fire)
        for name, spec in document.get("arms", {}).items():
            builder.firing(f"arm: {name}", spec, fire or {})
        if "near_miss" in document:
            builder.silent("near_miss", document["near_miss"], fire or {})
        for name, spec in document.get("guards", {}).items():
            builder.silent(f"guard: {name}", spec, fire or {})
        if "resolve" in document:
            builder.resolving("resolve", document["resolve"], fire or {})
        for name, spec in document.get("ends", {}).items():
            builder.resolving(f"end: {name}", spec, fire or {})
    except (KeyError, TypeError, ValueError) as error:
        raise CaseError(f"{path}: {type(error).__name__}: {error}") from error
    return AlertCases(rule.name, tuple(builder.cases))


def needed(rule: Rule, records: Mapping[str, Rule]) -> list[Rule]:
    """Return the recording rules that a rule reads, directly or not, each before the one that reads it."""
    ordered: dict[str, Rule] = {}

    def visit(each: Rule) -> None:
        for name in promql.metric_names(promql.parse(each.expr)):
            if name in records and name not in ordered and name != each.name:
                visit(records[name])
                ordered[name] = records[name]

    visit(rule)
    return list(ordered.values())


def rule_document(rules: Sequence[Rule]) -> dict[str, Any]:
    """Return one group that evaluates the rules in this order."""
    listed = []
    for rule in rules:
        entry: dict[str, Any] = {rule.kind: rule.name, "expr": rule.expr}
        if rule.duration:
            entry["for"] = rule.duration
        if rule.labels:
            entry["labels"] = dict(rule.labels)
        if rule.annotations:
            entry["annotations"] = dict(rule.annotations)
        listed.append(entry)
    return {"groups": [{"name": "tested", "rules": listed}]}


def run(program: Path, rules: Sequence[Rule], tests: Sequence[Mapping[str, Any]], *, step: str = "1m") -> Verdict:
    """Let promtool run the tests over the rules (in one group, in this order)."""
    with tempfile.TemporaryDirectory(prefix="rules-") as name:
        folder = Path(name)
        (folder / "rules.yml").write_text(_dump(rule_document(rules)), encoding="utf-8")
        document = {"rule_files": ["rules.yml"], "evaluation_interval": step, "tests": list(tests)}
        (folder / "tests.yml").write_text(_dump(document), encoding="utf-8")
        answer = promtool.run(program, ["test", "rules", "tests.yml"], folder=folder)
    return Verdict(answer.code == 0 and "FAILED" not in answer.output, answer.output)


def check(program: Path, found: AlertCases, rules: Sequence[Rule]) -> Iterator[tuple[str, Verdict]]:
    """Yield each case's name and verdict: one run for all, and one each only when that fails."""
    step = next((case.test["interval"] for case in found.cases), "1m")
    together = run(program, rules, [case.test for case in found.cases], step=step)
    for case in found.cases:
        yield case.name, together if together.ok else run(program, rules, [case.test], step=step)


def noticed(program: Path, found: AlertCases, rules: Sequence[Rule]) -> bool:
    """Return whether any case fails over these rules. Short ones are asked first: they notice nearly everything."""
    short = [case.test for case in found.cases if _samples(case) <= _SHORT]
    long = sorted((case for case in found.cases if _samples(case) > _SHORT), key=_samples)
    batches = [short, *([case.test] for case in long)]
    step = next((case.test["interval"] for case in found.cases), "1m")
    return any(not run(program, rules, batch, step=step).ok for batch in batches if batch)


def _samples(case: Case) -> int:
    """Return how many evaluations a case takes."""
    checks = [*case.test["promql_expr_test"], *case.test.get("alert_rule_test", ())]
    return max(promql.milliseconds(each["eval_time"]) for each in checks) // promql.milliseconds(
        case.test["interval"]
    )


def series(text: str, samples: int, where: str) -> dict[str, str]:
    """Return `NAME{LABELS} VALUES` as promtool has it, with `x*` filled up to the case's end.

    `0+5x10 +2x5` goes on from the last value: written as a number, a sum of fractions may come out lower than the
    promtool's own, and a counter that falls by 1e-15 was reset.
    """
    closing = text.rfind("}")
    cut = closing + 1 if closing >= 0 else text.find(" ")
    selector, values = text[:cut].strip(), text[cut:].split()
    known, last, written = 0, 0.0, []
    for value in values:
        match = _SAMPLES.match(value)
        if match is None:
            known += 1
            last = float(value) if value not in ("_", "stale") else last
            written.append(value)
            continue
        going_on = match["start"] == "" and match["step"] is not None
        left = max(samples - known, 1) if match["count"] == "*" else int(match["count"])
        # promtool counts the steps after the first sample.
        steps = left - 1 if match["count"] == "*" or going_on else left
        step = float(match["step"] or 0)
        first = last + step if going_on else float(match["start"] or 0) if match["start"] != "_" else 0.0
        if match["start"] == "_":
            known += left
            written.append(f"_x{left}")
            continue
        last = first
        for _ in range(steps):
            last += step
        known += steps + 1
        start = repr(first) if going_on else match["start"]
        written.append(f"{start}{match['step'] or '+0'}x{steps}")
    if known < samples and "stale" not in written and not written[-1].startswith("_"):
        raise CaseError(f"{where}: {selector}: {known} samples, {samples} are looked at; end it with x* or stale")
    return {"series": selector, "values": " ".join(written)}


def minutes(duration: str) -> int:
    """Return the whole minutes of a duration."""
    return promql.milliseconds(duration) // _MINUTE


def _length(text: Any) -> int:
    return promql.milliseconds(str(text))


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


class _Dumper(yaml.SafeDumper):
    """No anchors: promtool reads them, a person does not."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - yaml's signature
        return True


def _dump(document: Any) -> str:
    return yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=10_000)
