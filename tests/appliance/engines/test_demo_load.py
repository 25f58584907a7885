"""The demo's load starts after the app, and is ready when the app has answered it."""

from pathlib import Path

from topmast.engine import Setup
from topmast.engines.demo_load import ENGINE
from topmast.layout import Layout

HOME = Path(__file__).parents[3]


def test_it_is_ready_when_it_was_answered_in_this_run(tmp_path: Path) -> None:
    stale = tmp_path / "demo" / "load.ready"
    stale.parent.mkdir()
    stale.touch()

    load = ENGINE.component(Setup(Layout(HOME, tmp_path, 200), {}, demo=True, real_clocks=False, say=print))

    assert load.needs == ("demo-app",)
    assert load.ready == f"file://{stale}"
    assert load.env["LOAD_READY_FILE"] == str(stale)
    assert load.env["SHOP_URL"] == "http://127.0.0.1:18200"
    assert not stale.exists()
