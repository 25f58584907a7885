"""The proof tells an empty panel that may be empty from one that may not, and what moved from what did not."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from topmast import check, dashboardfile
from topmast.errors import NotRunningError
from topmast.layout import Layout, find_home
from topmast.panelquery import Prometheus, Reading, Window
from topmast.proof import Trial
from topmast.proofs import panels
from topmast.proofs.panels import PROOF
from topmast.stimuli import Stimulus, rises
from topmast.tab import Tab

WINDOW = Window(0, 300, 15)


@dataclass(frozen=True)
class Known(Prometheus):
    """A Prometheus that knows some metrics; everything that reads another one is empty."""

    url: str = ""
    metrics: Sequence[str] = ()
    value: str = "1"

    def instant(self, expr: str, at: float) -> list[dict[str, Any]]:
        filtered = "> 0)" in expr and self.value == "0"
        if not any(name in expr for name in self.metrics) or filtered or "empty" in expr.partition("count")[0]:
            return []
        return [{"metric": {}, "values": [[at, self.value]]}]

    def over(self, expr: str, window: Window) -> list[dict[str, Any]]:
        return [] if "unless" in expr else self.instant(expr, window.end)


def dashboard(tmp_path: Path, expr: str) -> dashboardfile.File:
    panel = {
        "id": 1,
        "type": "timeseries",
        "title": "Queue",
        "fieldConfig": {"defaults": {"unit": "short", "noValue": "no queue is watched"}},
        "targets": [{"refId": "A", "expr": expr}],
    }
    (tmp_path / "mine.json").write_text(json.dumps({"panels": [panel]}))
    [file] = dashboardfile.read(check.read([tmp_path], tmp_path))
    return file


@pytest.mark.parametrize(
    ("expr", "metrics", "value", "empty"),
    [
        pytest.param("queue_length", ["queue_length"], "1", "", id="data"),
        pytest.param(
            "queue_length",
            [],
            "1",
            "no queue is watched (its metrics have nothing to show)",
            id="nothing of its kind",
        ),
        pytest.param(
            "queue_length unless queue_length", ["queue_length"], "1", "", id="a query that loses its series"
        ),
        pytest.param(
            "queue_length unless queue_length > 0",
            ["queue_length"],
            "0",
            "no queue is watched (its metrics have nothing to show)",
            id="all are 0 and only more is shown",
        ),
        pytest.param(
            "histogram_quantile(0.9, rate(queue_bucket[1m])) unless queue_bucket",
            ["queue_bucket"],
            "0",
            "no queue is watched (its metrics have nothing to show)",
            id="a histogram that observed nothing",
        ),
    ],
)
def test_why_a_panel_is_empty(tmp_path: Path, expr: str, metrics: list[str], value: str, empty: str) -> None:
    file = dashboard(tmp_path, expr)

    seen = panels._see(Known(metrics=metrics, value=value), file, file.panels[0], WINDOW, region="eu")

    assert seen.empty == empty
    assert seen.where == "mine: Queue (region=eu)"


def test_an_empty_panel_without_a_reason_is_a_defect() -> None:
    seen = [
        panels.Seen("a: fine", Reading(1, 5), ""),
        panels.Seen("a: none of it here", Reading(), "needs Elasticsearch"),
        panels.Seen("a: lost", Reading(), ""),
        panels.Seen("a: wrong", Reading(1, 1, wrong=("wrong, A: 1.2 is no percentunit",)), ""),
    ]

    empty, wrong = panels._read(seen, seen)

    assert (empty.value, empty.holds, "a: lost" in empty.note) == (1, False, True)
    assert (wrong.value, wrong.note) == (1, "wrong, A: 1.2 is no percentunit")


@dataclass
class Shown(Tab):
    """A tab that shows one panel whose only series has these values, one after the other."""

    socket: Any = None
    values: list[float] = field(default_factory=list)

    def ask(self, script: str) -> Any:
        value = self.values.pop(0) if len(self.values) > 1 else self.values[0]
        return [{"title": "CPU", "last": {"host": value}}]


def test_a_panel_moves_while_its_stimulus_lasts(tmp_path: Path) -> None:
    told: list[str] = []

    @contextmanager
    def change(_: Layout) -> Iterator[None]:
        told.append("begun")
        yield
        told.append("taken back")

    burn = Stimulus("burn", change, {"CPU": rises("host", by=0.1)})

    moved = panels._round(Shown(values=[0.2, 0.2, 0.9]), Layout(tmp_path, tmp_path), [burn], told.append)

    assert list(moved) == ["CPU"]
    assert told == ["begun", "CPU: moved 1 s after: burn", "taken back"]


def test_without_a_demo_nothing_is_broken(tmp_path: Path) -> None:
    trial = Trial(Layout(find_home(), tmp_path), full=False, seed=7, say=lambda _: None, options={})

    reacting = panels._reacting(trial, demo=False)

    assert (reacting.holds, reacting.value) == (None, None)
    assert "topmast up --demo" in reacting.note


def test_says_when_nothing_is_running(tmp_path: Path) -> None:
    with pytest.raises(NotRunningError):
        PROOF.run(Trial(Layout(find_home(), tmp_path), full=False, seed=7, say=lambda _: None, options={}))
