"""`topmast drill` plays every alert through the real engines; here are its edges and one whole run."""

import json
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        pytest.param((), 2, "name an alert, or say --all", id="nothing"),
        pytest.param(("--all", "RedisDown"), 2, "name an alert, or say --all", id="both"),
        pytest.param(("--all", "--live"), 2, "name the one alert", id="all to people"),
        pytest.param(("RedisDown", "--live"), 3, "nothing is running here", id="live, of nothing"),
        pytest.param(("RedisDwn",), 1, "did you mean RedisDown", id="a slip"),
        pytest.param(("Watchdog",), 1, "the drill plays the catalogue", id="of the self pack"),
    ],
)
def test_what_cannot_be_played(topmast, arguments: tuple[str, ...], code: int, told: str) -> None:
    answer = topmast("drill", *arguments)

    assert answer.code == code
    assert told in answer.err


@pytest.mark.live
def test_every_alert_arrives_and_ends_and_exactly_the_planned_ones_are_muted(topmast, tmp_path: Path) -> None:
    # Half a minute: ten real engines, and every alert of the catalogue waits, fires and resolves.
    answer = topmast(
        "--state", str(ROOT / ".topmast"), "drill", "--all", "--json", "--html", str(tmp_path / "r.html")
    )

    told = json.loads(answer.out)
    # How long it takes is not asserted: others use this machine.
    times = ("drill.seconds", "drill.live_delay")
    wrong = [each for each in told["measures"] if each["holds"] is not True and each["name"] not in times]
    assert wrong == []
    assert {row["alert"] for row in told["alerts"] if not row["resolved"]} == set()
    page = (tmp_path / "r.html").read_text()
    assert all(f'id="{row["alert"]}"' in page for row in told["alerts"])
    assert "<script" not in page
