"""Every selector of every rule and panel has a series: on a running stack, or in what a real exporter once said.

Asked of the running demo (`topmast up --demo`), or of one that the proof starts for itself. What nobody here can
answer needs an engine that is not running, and is listed by that engine's name. A recorded exposition is asked on its
own too: every exporter's every version must answer all that is read of it.
"""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import click

from topmast import check, expositions, lock, selectors, stage
from topmast.errors import NotRunningError, TopmastError
from topmast.expositions import Exposition
from topmast.measure import Measure, measure
from topmast.proof import Proof, Trial
from topmast.selectors import Selector

# While windows fill and the shop's customers do everything once: so long nothing new must have come.
SETTLE_SECONDS = 60.0
_LOOK_SECONDS = 10.0
_WINDOW = "1h"
# Whose metrics they are where nothing here runs that has them.
ENGINES = {
    "container_": "cadvisor",
    "elasticsearch_": "elasticsearch",
    "logstash_": "logstash",
    "kibana_": "kibana",
    "mysql_": "mysql",
    "grafana_": "grafana",
    "traefik_": "traefik",
    "probe_": "blackbox_exporter",
}

Has = Callable[[Selector], bool]


@dataclass(frozen=True)
class Verdict:
    """How a selector is proved: `live`, `recorded`, `by an alert`, `needs ENGINE`, or `missing`."""

    selector: Selector
    how: str


def run(trial: Trial) -> Sequence[Measure]:
    home = trial.layout.home
    tree = check.read([], home)
    found = selectors.read(tree)
    if recording := trial.options.get("record"):
        return [_record(home, found, each, trial.say) for each in recording]
    recorded = expositions.load(home)
    with ExitStack() as stack:
        try:
            started = lock.status(trial.layout)
            url, what = trial.layout.url("prometheus"), "the running appliance"
            settle = 0.0
        except NotRunningError:
            trial.say("nothing is running here: a demo of its own, for some minutes")
            layout = stack.enter_context(stage.started(trial.layout, "--demo")).layout
            started, url, what = lock.status(layout), layout.url("prometheus"), "a demo of its own"
            settle = SETTLE_SECONDS
        live = _live(found, url, settle, trial.say)
    versions = ", ".join(f"{one['name']} {one['version']}" for one in started["components"] if one["version"])
    records = {name: selectors.of(rule.expr) for name, rule in tree.records.items()}
    alerts = [{"alertname": rule.name, **rule.labels} for rule in tree.alerts]
    verdicts = judge(found, records, alerts, live.__contains__, recorded)
    for each in verdicts:
        if each.how != "live":
            trial.say(f"{each.how}: {each.selector} ({', '.join(each.selector.readers)[:100]})")
    return [*summary(verdicts, f"{what}: {versions}"), *of_each(recorded, found)]


def judge(
    found: Sequence[Selector],
    records: Mapping[str, Sequence[Selector]],
    alerts: Sequence[Mapping[str, str]],
    live: Has,
    recorded: Sequence[Exposition],
) -> list[Verdict]:
    """Return how each selector is proved.

    What a recording rule writes is as good as what that rule reads. What an alert leaves behind (ALERTS) is there as
    soon as it fires, with the labels of the rule: on a healthy system nobody waits for that.
    """

    def one(selector: Selector) -> str:
        if live(selector):
            return "live"
        if any(each.has(selector) for each in recorded):
            return "recorded"
        if selector.name.startswith("ALERTS") and any(
            selector.picks(selector.name, {"alertstate": state, **labels})
            for labels in alerts
            for state in ("pending", "firing")
        ):
            return "by an alert"
        if selector.name in records:
            ways = [one(each) for each in records[selector.name]]
            return max(ways, key=lambda way: (way == "missing", way.startswith("needs"), way == "recorded"))
        engine = needs(selector)
        return f"needs {engine}" if engine else "missing"

    return [Verdict(each, one(each)) for each in found]


def needs(selector: Selector) -> str | None:
    """Return the engine that a selector is of; None for what has to be there in every stack."""
    if selector.name in ("up", "app_dependency_configured"):
        named = selector.value_of("job") or selector.value_of("dependency")
        return named if named in ENGINES.values() else None
    return next((engine for prefix, engine in ENGINES.items() if selector.name.startswith(prefix)), None)


def summary(verdicts: Sequence[Verdict], note: str) -> list[Measure]:
    count = Counter(each.how.split(" ")[0] for each in verdicts)
    engines = Counter(each.how.removeprefix("needs ") for each in verdicts if each.how.startswith("needs"))
    missing = [str(each.selector) for each in verdicts if each.how == "missing"]
    told = ", ".join(f"{engine} {number}" for engine, number in sorted(engines.items()))
    return [
        measure("metrics.selectors", len(verdicts), "selectors", ">= 1", note="of every rule and every panel"),
        measure("metrics.live", count["live"], "selectors", ">= 1", note=note),
        measure("metrics.recorded", count["recorded"], "selectors", ">= 0", note="by a real exporter, not seen live"),
        measure(
            "metrics.of_alerts", count["by"], "selectors", ">= 0", note="ALERTS of an alert that is not firing now"
        ),
        measure(
            "metrics.needs_an_engine",
            count["needs"],
            "selectors",
            ">= 0",
            note=f"not proved here, for the engine is not running: {told or 'none'}",
        ),
        measure("metrics.missing", len(missing), "selectors", "== 0", note="; ".join(missing)[:500]),
    ]


def of_each(recorded: Sequence[Exposition], found: Sequence[Selector]) -> list[Measure]:
    """Return for each recorded version how much is read of it that is not in it."""
    measures = []
    for each in recorded:
        asked = each.asked(found)
        absent = [str(selector) for selector in asked if not each.has(selector)]
        told = "; ".join([f"answers {len(asked) - len(absent)} of {len(asked)}", *absent])
        measures.append(measure(f"metrics.of.{each.name}", len(absent), "selectors", "== 0", note=told[:500]))
    return measures


def _live(found: Sequence[Selector], url: str, settle: float, say: Callable[[str], None]) -> set[Selector]:
    """Return the selectors that had a series in the last hour; look until nothing new came for `settle` seconds."""
    live: set[Selector] = set()
    grew = time.monotonic()
    while True:
        new = {each for each in found if each not in live and _answers(url, each)}
        live |= new
        now = time.monotonic()
        grew = now if new else grew
        say(f"{len(live)} of {len(found)} have a series")
        if len(live) == len(found) or now - grew >= settle:
            return live
        time.sleep(_LOOK_SECONDS)


def _answers(url: str, selector: Selector) -> bool:
    return bool(stage.query(url, f"count(last_over_time({selector}[{_WINDOW}]))"))


def _record(home: Path, found: Sequence[Selector], named: str, say: Callable[[str], None]) -> Measure:
    name, equals, url = named.partition("=")
    if not equals:
        raise TopmastError(f"--record {named}: say EXPORTER-VERSION=URL")
    path = expositions.record(home, name, url, found)
    kept = expositions.read(name, path.read_text(encoding="utf-8"))
    say(f"{path}: {len(kept.series)} series")
    return measure(f"metrics.series.{name}", len(kept.series), "series", ">= 1", note=str(path.name))


PROOF = Proof(
    name="metrics",
    summary="Every selector of every rule and panel has a series, live or from a real exporter's recorded answer.",
    run=run,
    options=[
        click.Option(
            ["--record"],
            multiple=True,
            metavar="EXPORTER-VERSION=URL",
            help=f"Keep what is read of a running exporter in {expositions.FOLDER}; prove nothing.",
        )
    ],
)
