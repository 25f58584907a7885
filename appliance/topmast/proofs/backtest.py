"""A backtest tells what the rule told: beside the `ALERTS` that a real Prometheus recorded; and how fast it is."""

import json
import math
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from datetime import UTC
from pathlib import Path

from topmast import promql, promtool, rulefile
from topmast.backtest import figures, history
from topmast.backtest.history import Grid, Prometheus
from topmast.backtest.states import Episode, Labels, episodes
from topmast.binaries import find
from topmast.drill import world
from topmast.measure import Measure, measure
from topmast.proof import Proof, Trial
from topmast.rulefile import Rule

DAYS = 14
INTERVAL = 15
_LIVE_SECONDS, _FULL_SECONDS = 50, 300
# What is switched on and off: (name, seconds on, seconds off).
_WAVES = (("quick", 3, 4), ("slow", 9, 6), ("rare", 13, 17))
LIVE = """\
groups:
  - name: waves
    rules:
      - {alert: AtOnce, expr: "wave > 0.5"}
      - {alert: Waits, expr: "wave > 0.5", for: 4s}
      - {alert: Lingers, expr: "wave > 0.5", for: 2s, keep_firing_for: 5s}
      - {alert: OfTwo, expr: "max(wave) > 0.5 and count(wave > 0.5) > 1", for: 1s}
"""


def run(trial: Trial) -> Sequence[Measure]:
    """Return `backtest.equal` and `backtest.seconds`."""
    program = find("prometheus", ("prometheus",), trial.layout, {}, trial.say)
    tool = promtool.need_promtool(trial.layout.state)
    with world.guarded() as pipe:
        trial.say("rules at work, then the same by a backtest")
        equal = _equal(program.path, pipe, _FULL_SECONDS if trial.full else _LIVE_SECONDS, program.version())
        trial.say(f"{DAYS} days of samples as blocks")
        return [equal, _seconds(trial, program.path, tool, pipe)]


def page() -> str:
    """Return the waves as they stand now."""
    now = time.time()
    return "".join(f'wave{{name="{name}"}} {int(now % (on + off) < on)}\n' for name, on, off in _WAVES)


def _equal(program: Path, pipe: int, seconds: int, version: str) -> Measure:
    with tempfile.TemporaryDirectory(prefix="topmast-backtest-") as name, ExitStack() as stack:
        folder = Path(name)
        (folder / "rules.yml").write_text(LIVE, encoding="utf-8")
        target = stack.enter_context(world.serving(page))
        url = stack.enter_context(_prometheus(program, folder, pipe, target, rules=True))
        time.sleep(seconds)
        prometheus = Prometheus(url)
        rules, _ = rulefile.read(folder / "rules.yml", LIVE)
        same = total = 0
        for rule in rules:
            grid = prometheus.grid(rule.name, seconds)
            recorded = _recorded(prometheus, rule.name, grid)
            replayed = [each for each in _replayed(prometheus, rule, grid) if each.fired is not None]
            matched = agreeing(recorded, replayed, grid)
            same += matched
            total += max(len(recorded), len(replayed))
    note = f"Prometheus {version}, {len(rules)} rules once a second for {seconds} s, {total} firings"
    if not total:
        return measure("backtest.equal", None, "share", "== 1.0", note=f"nothing fired: {note}")
    return measure("backtest.equal", same / total, "share", "== 1.0", note=note)


def agreeing(recorded: Sequence[Episode], replayed: Sequence[Episode], grid: Grid) -> int:
    """Return how many recorded firings have a replayed one that begins and ends within one evaluation of it."""
    left = list(replayed)
    count = 0
    for one in recorded:
        for other in left:
            if (
                one.labels == other.labels
                and _near(one.fired, other.fired, grid)
                and _near(one.ended, other.ended, grid)
            ):
                left.remove(other)
                count += 1
                break
    return count


def _near(one: float | None, other: float | None, grid: Grid) -> bool:
    # Going on at the end of the span is as good as over at its last evaluation.
    one, other = (grid.end if each is None else each for each in (one, other))
    return abs(one - other) <= grid.interval * 1.001


def _recorded(prometheus: Prometheus, alert: str, grid: Grid) -> list[Episode]:
    """Return the firings that Prometheus recorded, out of the raw samples of ALERTS."""
    reach = f"{math.ceil(grid.end - grid.start)}s"
    selector = f'ALERTS{{alertname="{alert}", alertstate="firing"}}'
    data = prometheus.ask("query", query=f"{selector}[{reach}]", time=grid.end)
    found = []
    for series in data["result"]:
        held: Mapping[Labels, list[float]] = {
            tuple(sorted((k, v) for k, v in series["metric"].items() if k not in _OWN)): [
                float(at) for at, _ in series["values"]
            ]
        }
        found += _runs(held, grid.interval)
    return found


_OWN = ("__name__", "alertname", "alertstate")


def _runs(held: Mapping[Labels, list[float]], interval: float) -> list[Episode]:
    """Return each run of samples without a gap as a firing; it was over at the evaluation after its last sample."""
    found = []
    for labels, times in held.items():
        begin = last = times[0]
        for at in [*times[1:], math.inf]:
            if at - last > 1.5 * interval:
                found.append(Episode(labels, begin, begin, last + interval))
                begin = at
            last = at
    return found


def _replayed(prometheus: Prometheus, rule: Rule, grid: Grid) -> list[Episode]:
    past = prometheus.past(rule.expr, grid)
    wait, keep = (_length(text) for text in (rule.duration, rule.keep_firing_for))
    return episodes(history.held(past), grid.moments(), wait, keep)


def _length(text: str) -> float:
    return promql.milliseconds(text or "0s") / 1000


def _seconds(trial: Trial, program: Path, tool: Path, pipe: int) -> Measure:
    rules = rulefile.load(trial.layout.monitoring / "prometheus")
    rule = next(each for each in rules if each.name == "ApiErrorRateHigh")
    with tempfile.TemporaryDirectory(prefix="topmast-backtest-") as name:
        folder = Path(name)
        end = time.time() // INTERVAL * INTERVAL - 60
        text, series = fortnight(end)
        world.make_blocks(tool, text, folder)
        with _prometheus(program, folder, pipe, "", rules=False) as url:
            prometheus = Prometheus(url)
            grid = Grid(end - DAYS * 86_400, end, INTERVAL)
            begin = time.monotonic()
            found = _replayed(prometheus, rule, grid)
            told = figures.figures(found, grid.start, grid.end, UTC)
            spent = time.monotonic() - begin
    note = f"{rule.name}, {DAYS} days, {grid.count} evaluations, {series} series of 15 s, {told.firings} firings"
    return measure("backtest.seconds", round(spent, 2), "s", "<= 30", note=note)


def fortnight(end: float) -> tuple[str, int]:
    """Return 14 days of an application's requests until `end`, an hour with errors each day; and how many series."""
    count = DAYS * 86_400 // INTERVAL
    lines = []
    kinds = [(route, status) for route in ("/cart", "/search") for status in ("200", "500")]
    for route, status in kinds:
        head = f'app_http_requests_total{{job="app",instance="a:8000",route="{route}",status="{status}"}}'
        total = 0
        for index in range(count + 1):
            hour = index * INTERVAL % 86_400 // 3600
            total += (3 if hour == 3 else 0) if status == "500" else 100
            lines.append(f"{head} {total} {end - (count - index) * INTERVAL:.0f}")
    for index in range(count + 1):
        hour = index * INTERVAL % 86_400 // 3600
        ratio = 6 / 206 if hour == 3 else 0
        lines.append(f"app:http_errors:ratio_rate5m {ratio} {end - (count - index) * INTERVAL:.0f}")
    return "\n".join([*lines, "# EOF", ""]), len(kinds) + 1


def _prometheus(program: Path, folder: Path, pipe: int, target: str, *, rules: bool) -> AbstractContextManager[str]:
    config = {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(folder / "rules.yml")] if rules else [],
        "scrape_configs": [{"job_name": "w", "static_configs": [{"targets": [target]}]}] if target else [],
    }
    (folder / "prometheus.yml").write_text(json.dumps(config), encoding="utf-8")
    address = world.free_address()
    argv = [
        *(str(program), f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'data'}"),
        *(f"--web.listen-address={address}", "--log.level=error", "--storage.tsdb.retention.time=30d"),
        # As the appliance starts it.
        *("--query.max-concurrency=8", "--query.timeout=30s", "--query.max-samples=20000000"),
    ]
    return world.running(argv, folder, address, folder, pipe)


PROOF = Proof(
    name="backtest",
    summary="A backtest tells what the rule told, and how long one over 14 days takes.",
    run=run,
)
