"""Lint: how long it takes, and how many seeded defects it sees.

The whole of monitoring/ and the runbooks is looked at once in a process of its own, without the interpreter's start.
Then each defect is put into a copy by itself; it is seen when a finding names the file it stands in (a dashboard's:
when the rule that is for it names it).
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from topmast import check, dashboarddefects, lintdefects
from topmast.benchmark import Benchmark, Run
from topmast.measure import Measure, measure

_TIMED = """
import json, pathlib, sys, time
began = time.perf_counter()
from topmast import check
from topmast.commands import lint
tree = check.read([], pathlib.Path(sys.argv[1]))
found = lint.run(tree)
files = len(tree.documents) + len({rule.file for rule in tree.rules})
print(json.dumps([time.perf_counter() - began, len(found), files, len(tree.rules)]))
"""


def run(bench: Run) -> Sequence[Measure]:
    return [_seconds(bench), _rules(bench), _dashboards(bench)]


def _seconds(bench: Run) -> Measure:
    runs = 9 if bench.full else 3
    bench.say(f"lint of monitoring/, {runs} times")
    told = [
        json.loads(
            subprocess.run(
                [sys.executable, "-c", _TIMED, str(bench.home)],
                capture_output=True,
                text=True,
                check=True,
                timeout=300,
            ).stdout
        )
        for _ in range(runs)
    ]
    _, found, files, rules = told[0]
    note = f"the slowest of {runs} runs: {files} files, {rules} rules, {found} findings"
    return measure("lint.seconds", round(max(each[0] for each in told), 2), "s", "<= 10", note=note)


def _rules(bench: Run) -> Measure:
    bench.say(f"{len(lintdefects.DEFECTS)} defects of rules and configuration")
    with tempfile.TemporaryDirectory(prefix="lint-") as folder:
        copy = lintdefects.copied(bench.home, Path(folder))
        alive = [each.name for each in lintdefects.DEFECTS if not _seen(copy, each)]
    return _killed("lint.seeded_defects_killed", len(lintdefects.DEFECTS), alive)


def _seen(copy: Path, defect: lintdefects.Defect) -> bool:
    """Return whether a finding names the file; a rule that others read is also seen at those."""
    path = copy / "monitoring" / defect.file
    found = lintdefects.findings(copy, defect)
    return any(spot.path == path or path.parent.name == "recording" for spot in found)


def _dashboards(bench: Run) -> Measure:
    bench.say(f"{len(dashboarddefects.DEFECTS)} defects of dashboards")
    tree = check.read([], bench.home)
    alive = [each.name for each in dashboarddefects.DEFECTS if not dashboarddefects.seen(tree, each)]
    return _killed("lint.dashboards.seeded_defects_killed", len(dashboarddefects.DEFECTS), alive)


def _killed(name: str, count: int, alive: Sequence[str]) -> Measure:
    note = f"of {count}" + (f"; not seen: {', '.join(alive)}" if alive else "")
    return measure(name, count - len(alive), "defects", ">= 28", note=note)


BENCHMARK = Benchmark(name="lint", summary="lint's time, and the seeded defects that it sees", run=run)
