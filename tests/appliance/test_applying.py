"""A change of alerts and targets: when nothing runs it says when it will apply."""

from pathlib import Path

import pytest
from topmast import applying, config
from topmast.applying import Applied
from topmast.errors import TopmastError
from topmast.layout import Layout

ROOT = Path(__file__).resolve().parents[2]


def test_when_nothing_runs_it_is_the_next_start(tmp_path: Path) -> None:
    layout = Layout(ROOT, tmp_path / "state")

    applied = applying.apply(layout, config.defaults(layout))

    assert applied == Applied("next-start", "applies at the next `topmast up`")
    assert not layout.state.exists()


def test_in_compose_mode_up_renders_it_again(tmp_path: Path) -> None:
    (tmp_path / "mode").write_text("compose\n")
    layout = Layout(ROOT, tmp_path)

    assert applying.apply(layout, config.defaults(layout)).state == "compose"


def test_a_prometheus_that_does_not_answer_is_told(tmp_path: Path) -> None:
    layout = Layout(ROOT, tmp_path, port_offset=-9089)  # port 1: nobody listens there

    with pytest.raises(TopmastError, match="it does not answer"):
        applying.reload(layout, {"components": [{"name": "prometheus", "pid": 0}]})
