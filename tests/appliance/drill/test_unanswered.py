"""What an Alertmanager gave up while it was under way is told by its log, and excuses so many repetitions."""

import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests
import yaml
from topmast import config
from topmast.drill import failing, outage, receivers, world
from topmast.drill.receivers import Capture
from topmast.drill.rerouted import rerouted
from topmast.drill.unanswered import unanswered
from topmast.engine import Setup
from topmast.engines import alertmanager
from topmast.layout import Layout

ROOT = Path(__file__).resolve().parents[3]
AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
CUT = 'notify retry canceled after 8 attempts: Post \\"<redacted>\\": context deadline exceeded'
REFUSED = 'notify retry canceled after 2 attempts: Post \\"<redacted>\\": dial tcp: connection refused'
SLACK = ("team", "slack")


def line(errors: str, stamp: str = "ts=2026-01-02T03:04:06.538Z") -> str:
    return f'{stamp} caller=dispatch.go:352 level=error msg="Notify for alerts failed" num_alerts=1 err="{errors}"\n'


@pytest.mark.parametrize(
    ("log", "places"),
    [
        pytest.param(line(f"team/slack[0]: {CUT}"), [SLACK], id="0.25"),
        pytest.param(line(f"team/slack[0]: {CUT}", "time=2026-01-02T03:04:06.538Z"), [SLACK], id="0.28"),
        pytest.param(line(f"team/slack[0]: {CUT}") * 2, [SLACK] * 2, id="twice"),
        pytest.param(line(f"my team/slack[1]: {CUT}"), [("my team", "slack")], id="a name with a space"),
        pytest.param(line(f"a/email[0]: {REFUSED}; a/slack[0]: {CUT}"), [("a", "slack")], id="one of two channels"),
        pytest.param(line(f"team/slack[0]: {REFUSED}"), [], id="never taken"),
        pytest.param(line(f"team/slack[0]: {CUT}", "ts=2026-01-02T03:04:04.9Z"), [], id="before"),
        pytest.param(f'ts=2026-01-02T03:04:06Z msg="will retry later" err="team/slack[0]: {CUT}"', [], id="no end"),
        pytest.param("no line of an Alertmanager\n", [], id="something else"),
    ],
)
def test_who_was_given_up_is_told_by_the_log(log: str, places: list[tuple[str, str]]) -> None:
    assert unanswered(log, AT) == Counter(places)


@pytest.mark.parametrize(
    ("times", "given_up", "doubled", "repeated"),
    [
        pytest.param(1, 1, [], [], id="once"),
        pytest.param(2, 0, ["RedisDown firing at team (slack) × 2"], [], id="twice for nothing"),
        pytest.param(2, 1, [], ["RedisDown firing at team (slack) × 2"], id="twice, given up once"),
        pytest.param(3, 1, ["RedisDown firing at team (slack) × 3"], [], id="more often than given up"),
    ],
)
def test_a_place_is_told_again_as_often_as_it_was_given_up(
    times: int, given_up: int, doubled: list[str], repeated: list[str]
) -> None:
    have = Counter({("RedisDown", SLACK, "firing"): times})

    assert outage.parted(have, Counter({SLACK: given_up})) == (doubled, repeated)


def test_one_that_was_given_up_excuses_one_message() -> None:
    have = Counter({("RedisDown", SLACK, "firing"): 2, ("RedisDown", SLACK, "resolved"): 2})

    doubled, repeated = outage.parted(have, Counter({SLACK: 1}))

    assert (len(doubled), len(repeated)) == (1, 1)


@pytest.mark.live
def test_the_real_one_says_so(tmp_path: Path) -> None:
    layout = Layout(ROOT, ROOT / ".topmast")
    setup = Setup(layout=layout, settings=config.load(None, layout).values, demo=False, real_clocks=True, say=print)
    _, program, folder = alertmanager.runnable(setup)
    silent = [each for each in failing.FAILURES if each.name == "timeout"]
    began = datetime.now(UTC)
    with world.guarded() as pipe, receivers.receiving() as capture:
        inside = (capture.http.removeprefix("http://"), capture.smtp)
        with failing.doors(inside, failing.certificates(tmp_path), silent) as doors:
            doors.each("turn", shut=True)
            outside = Capture(http=f"http://{doors.all[0].http}", smtp=doors.all[0].smtp)
            routes = rerouted(ROOT / "monitoring" / "alertmanager" / "alertmanager.yml", "w", outside, 300)
            (tmp_path / "alertmanager.yml").write_text(yaml.safe_dump(routes, allow_unicode=True), encoding="utf-8")
            address = world.free_address()
            argv = [
                *(str(program), f"--config.file={tmp_path / 'alertmanager.yml'}", f"--storage.path={tmp_path}"),
                *(f"--web.listen-address={address}", "--cluster.listen-address=", "--log.level=warn"),
            ]
            with world.running(argv, folder, address, tmp_path, pipe) as url:
                labels = {"alertname": "RedisDown", "severity": "critical", "environment": "production"}
                requests.post(f"{url}/api/v2/alerts", json=[{"labels": labels}], timeout=30).raise_for_status()
                found = _seen(tmp_path / f"{program.name}.log", began)

    assert found == {("pagerduty", "pagerduty"), ("slack-critical", "slack")}


def _seen(log: Path, began: datetime) -> set[tuple[str, str]]:
    """Wait until both channels were given up, at the most for a minute, and return those that were."""
    found: set[tuple[str, str]] = set()
    while len(found) < 2 and datetime.now(UTC) < began + timedelta(minutes=1):
        found = set(unanswered(log.read_text(encoding="utf-8"), began))
        time.sleep(0.2)
    return found
