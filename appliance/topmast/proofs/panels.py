"""Every panel has data, finite and within its unit; the overview's 17 have it in a browser, and react to a stimulus.

A panel may be empty where nothing of its kind exists: then no metric that it reads has a series, and it is printed
with the words that stand in its place. Where its metrics have series and it is empty, it is a defect.
"""

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from topmast import check, chromium, dashboardfile, lock, panelquery, promql, stimuli
from topmast.dashboardfile import File
from topmast.errors import PrerequisiteError, TopmastError
from topmast.layout import Layout
from topmast.measure import Measure, measure
from topmast.panelquery import Prometheus, Reading, Window
from topmast.proof import Proof, Trial
from topmast.stimuli import Stimulus, Values
from topmast.tab import Tab, open_tab

OVERVIEW = "application-overview"
PANELS = 17
WITHIN_SECONDS = 60
ALL_SECONDS = 600
# Grafana: $__rate_interval is at least four scrapes; one more until the step that ends behind it.
RATE_SCRAPES = 5
# As far back as the panels are read; a demo's clocks run ten times faster.
RANGE_SECONDS = 300
_SETTLED = "window.topmastPanels?.length > 0 && window.topmastPanels.every((each) => each.state !== 'loading')"


@dataclass(frozen=True)
class Seen:
    """One panel with all of every variable, or with one value of one."""

    where: str
    reading: Reading
    empty: str
    """Why it may be empty; "" when it may not, or is not."""


def run(trial: Trial) -> list[Measure]:
    """Return the measures `panels.*` of the running appliance. Raises NotRunningError."""
    layout, began = trial.layout, time.monotonic()
    running = lock.status(layout)
    # In the first minute there is no telling a panel that is empty from one that is not there yet.
    trial.say("waiting for the first minute to pass")
    time.sleep(max(0.0, _began(layout) + WITHIN_SECONDS - time.time()))
    seen = list(_every(layout, trial.say))
    whole = [each for each in seen if "=" not in each.where]
    drawn = _in_chromium(layout, [file.name for file in files(layout)], trial.say)
    reacted = _reacting(trial, demo=bool(running.get("demo")))
    took = time.monotonic() - began
    return [*drawn, reacted, *_read(seen, whole), measure("panels.seconds", round(took), "s", f"<= {ALL_SECONDS}")]


def _read(seen: Sequence[Seen], whole: Sequence[Seen]) -> list[Measure]:
    broken = [each for each in seen if not each.reading.has_data and not each.empty]
    wrong = [each for each in seen if each.reading.wrong or each.reading.errors]
    explained = [each for each in whole if each.empty]
    return [
        measure(
            "panels.empty",
            len(broken),
            "panels",
            "== 0",
            note=f"of {len(whole)} panels, and each value of each variable ({len(seen)} readings): "
            + (
                ", ".join(each.where for each in broken[:5])
                or f"{len(explained)} are empty with a reason, printed above"
            ),
        ),
        measure(
            "panels.wrong",
            len(wrong),
            "panels",
            "== 0",
            note="; ".join([*wrong[0].reading.wrong, *wrong[0].reading.errors][:2])
            if wrong
            else "finite, within units",
        ),
    ]


def _every(layout: Layout, say: Callable[[str], None]) -> Iterator[Seen]:
    """Yield every panel of every dashboard, and again for each value of the variables that it reads."""
    prometheus = Prometheus(layout.url("prometheus"))
    now = time.time()
    window = Window(now - RANGE_SECONDS, now, prometheus.scrape_seconds())
    for file in files(layout):
        choices = _choices(prometheus, file, window)
        for panel in file.panels:
            title = dashboardfile.title(panel)
            if panel.get("type") == "logs":
                continue
            seen = _see(prometheus, file, panel, window)
            if seen.empty:
                say(f"empty: {seen.where}: {seen.empty}")
            yield seen
            read = {
                name for query in panelquery.of_panel(file, title) for name in dashboardfile.references(query.expr)
            }
            for name in sorted(read & choices.keys()):
                for value in choices[name]:
                    yield _see(prometheus, file, panel, window, **{name: value})


def _see(prometheus: Prometheus, file: File, panel: Mapping[str, object], window: Window, **chosen: str) -> Seen:
    told = ", ".join(f"{name}={value}" for name, value in chosen.items())
    where = f"{file.name}: {dashboardfile.title(panel)}" + (f" ({told})" if told else "")
    reading = panelquery.read(prometheus, file, panel, window, **chosen)
    if reading.has_data or _has_series(prometheus, file, panel, window, chosen):
        return Seen(where, reading, "")
    words = str(dashboardfile.defaults(panel).get("noValue", "nothing"))
    return Seen(where, reading, f"{words} (its metrics have nothing to show)")


def _has_series(
    prometheus: Prometheus, file: File, panel: Mapping[str, object], window: Window, chosen: Mapping[str, str]
) -> bool:
    """Return whether any query has a sample of every metric that it reads, with the values chosen.

    A query that shows only what is above 0 has none where all of them are 0; a quantile of a histogram that observed
    nothing is NaN, and no number.
    """
    length = f"[{round(window.end - window.start)}s]"
    # What began within the last rate's window has no rate yet.
    before = window.end - RATE_SCRAPES * window.scrape
    for query in panelquery.of_panel(file, dashboardfile.title(panel)):
        expr = dashboardfile.substituted(query.expr, panelquery.put_in(window, chosen))
        above = " > 0" if "> 0" in expr else " >= -Inf"
        selectors = [_bare(each) for each in promql.selectors(promql.parse(expr))]
        instant = bool(query.target.get("instant"))
        asked = [each if instant else _over(each, length) for each in selectors]
        at = window.end if instant else before
        if asked and all(prometheus.instant(f"count({each}{above})", at) for each in asked):
            return True
    return False


def _over(selector: str, length: str) -> str:
    if re.match(r"\w+_bucket\b", selector):
        return f"(increase({selector}{length}) > 0)"
    return f"max_over_time({selector}{length})"


def _bare(selector: promql.Node) -> str:
    """Return a selector without its `offset` and `@`."""
    return re.sub(r" (@|offset) .*", "", str(selector.prettify()))


def _choices(prometheus: Prometheus, file: File, window: Window) -> dict[str, list[str]]:
    found = {}
    for variable in file.variables:
        asked = variable.get("query")
        text = str(asked.get("query", "")) if isinstance(asked, dict) else ""
        metric, _, label = text.removeprefix("label_values(").removesuffix(")").rpartition(",")
        if metric:
            found[str(variable["name"])] = [
                value for value in prometheus.values_of(metric.strip(), label.strip(), window) if value
            ]
    return found


def files(layout: Layout) -> list[File]:
    """Return our dashboards."""
    return dashboardfile.read(check.read([layout.monitoring / "grafana" / "dashboards"], layout.home))


def _in_chromium(layout: Layout, names: Sequence[str], say: Callable[[str], None]) -> list[Measure]:
    """Return how many of the overview's panels have data in the first minute after `topmast up` and now, and how many
    panels of all dashboards the page cannot draw."""
    goals = {"panels.with_data": f"== {PANELS}", "panels.errors": "== 0"}
    try:
        browser = chromium.find(layout, say)
    except PrerequisiteError as error:
        return [measure(name, None, "panels", goal, note=str(error)) for name, goal in goals.items()]
    began = _began(layout)
    with open_tab(browser, 1600, 4000) as tab:
        early = f"from={began * 1000:.0f}&to={(began + WITHIN_SECONDS) * 1000:.0f}"
        shown = [_with_data(_shown(tab, layout, OVERVIEW, search)) for search in (early, "from=now-5m")]
        states = {name: _shown(tab, layout, name, "from=now-5m") for name in names}
        complaints = list(tab.complaints)
    lacking = sorted(set().union(*(each[1] for each in shown)))
    note = f"in Chromium, over the first {WITHIN_SECONDS} s after `up`, and now"
    note += f"; lacking: {', '.join(lacking)}" if lacking else ""
    count = len(shown[1][0] - set(lacking))
    failed = [
        f"{name}: {each['title']}: {each['error']}" for name in states for each in states[name] if each["error"]
    ]
    drawn = sum(len(each) for each in states.values())
    told = [*failed, *complaints] or [
        f"{drawn} panels of {len(names)} dashboards are drawn, and the console is clean"
    ]
    return [
        measure("panels.with_data", count, "panels", goals["panels.with_data"], note=note),
        measure("panels.errors", len(failed) + len(complaints), "panels", goals["panels.errors"], note=told[0]),
    ]


def _began(layout: Layout) -> float:
    """Return when `topmast up` started what runs, in unix seconds."""
    return (layout.run / "plan.json").stat().st_mtime


def _with_data(panels: Sequence[Mapping[str, Any]]) -> tuple[set[str], set[str]]:
    """Return the titles of the panels that have data, and of those that do not."""
    ready = {str(each["title"]) for each in panels if each["state"] == "ready"}
    return ready, {str(each["title"]) for each in panels} - ready


def _shown(tab: Tab, layout: Layout, name: str, search: str) -> list[dict[str, Any]]:
    """Return what the page tells of every panel of a dashboard: title, state, error and last values."""
    tab.open(f"http://localhost:{layout.port('page')}/d/{name}?{search}")
    if not tab.wait(_SETTLED, WITHIN_SECONDS):
        raise TopmastError(f"{name}: the page did not draw its panels in {WITHIN_SECONDS} s")
    panels: list[dict[str, Any]] = tab.ask("window.topmastPanels")
    return panels


def _values(tab: Tab) -> dict[str, Values]:
    told = tab.ask("window.topmastPanels?.map(({title, last}) => ({title, last})) ?? []")
    return {each["title"]: each["last"] for each in told}


def _reacting(trial: Trial, *, demo: bool) -> Measure:
    goal = f"== {PANELS}"
    if not demo:
        note = "nothing to break here: the stimuli are the demo's (`topmast up --demo`)"
        return measure("panels.reacting", None, "panels", goal, note=note)
    try:
        browser = chromium.find(trial.layout, trial.say)
    except PrerequisiteError as error:
        return measure("panels.reacting", None, "panels", goal, note=str(error))
    after: dict[str, float] = {}
    with open_tab(browser, 1600, 4000) as tab:
        _shown(tab, trial.layout, OVERVIEW, "from=now-5m&refresh=2s")
        for stimuli_of_round in stimuli.rounds():
            after |= _round(tab, trial.layout, stimuli_of_round, trial.say)
    every = [title for one in stimuli.rounds() for each in one for title in each.moves]
    still = [title for title in every if title not in after]
    note = f"slowest: {max(after, key=lambda title: after[title])} after {max(after.values()):.0f} s" if after else ""
    note += f"; did not move: {', '.join(still)}" if still else ""
    return measure("panels.reacting", len(after), "panels", goal, note=note)


def _round(tab: Tab, layout: Layout, together: Sequence[Stimulus], say: Callable[[str], None]) -> dict[str, float]:
    """Return after how many seconds each panel of the round moved; those that did not in time are left out."""
    before = _values(tab)
    waited = {title: (each, moved) for each in together for title, moved in each.moves.items()}
    found: dict[str, float] = {}
    with ExitStack() as stack:
        began = time.monotonic()
        for each in together:
            stack.enter_context(each.change(layout))
        while len(found) < len(waited) and time.monotonic() - began < WITHIN_SECONDS:
            time.sleep(0.5)
            now = _values(tab)
            for title, (each, moved) in waited.items():
                if title not in found and moved(before.get(title, {}), now.get(title, {})):
                    found[title] = time.monotonic() - began
                    say(f"{title}: moved {found[title]:.0f} s after: {each.does}")
    for title in waited.keys() - found.keys():
        say(f"{title}: did NOT move in {WITHIN_SECONDS} s after: {waited[title][0].does}: {now.get(title)}")
    return found


PROOF = Proof(name="panels", summary="Every panel of the running appliance has data, and reacts.", run=run)
