"""Receivers that fail on command do so, and what is lost or doubled meanwhile is counted."""

import json
import smtplib
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from topmast import config, rulefile
from topmast.binaries import find
from topmast.drill import failing, outage, receivers, world
from topmast.drill.failing import Doors
from topmast.drill.outage import Outage
from topmast.drill.receivers import Capture, Message
from topmast.drill.world import Kit
from topmast.engine import Setup
from topmast.engines import alertmanager
from topmast.layout import Layout
from topmast.page.inbox import Notification

ROOT = Path(__file__).resolve().parents[3]
ALERTS = [rule for rule in rulefile.load(ROOT / "monitoring" / "prometheus") if rule.file.parent.name == "alerts"]
BODY = {"text": "RedisDown"}


@pytest.fixture
def capture() -> Iterator[Capture]:
    with receivers.receiving() as found:
        yield found


@pytest.fixture
def doors(capture: Capture, tmp_path: Path) -> Iterator[Doors]:
    inside = (capture.http.removeprefix("http://"), capture.smtp)
    with failing.doors(inside, failing.certificates(tmp_path), failing.FAILURES) as found:
        yield found


def door(doors: Doors, name: str) -> failing.Door:
    return next(each for each in doors.all if each.failure.name == name)


def posted(at: failing.Door, *, timeout: float = 30, **options: Any) -> int:
    scheme = "https" if at.failure.tls else "http"
    address = at.http.replace(failing.HOST, "127.0.0.1")
    return requests.post(f"{scheme}://{address}/w/slack/team", json=BODY, timeout=timeout, **options).status_code


def test_an_open_door_leads_inside(doors: Doors, capture: Capture, tmp_path: Path) -> None:
    answers = [posted(each, verify=str(tmp_path / "good.crt")) for each in doors.all]

    assert (answers, len(capture.of("w"))) == ([200] * 5, 5)


@pytest.mark.parametrize(("name", "status"), [("500", 500), ("429", 429)])
def test_a_shut_door_answers_what_its_failure_is(doors: Doors, capture: Capture, name: str, status: int) -> None:
    doors.each("turn", shut=True)

    assert (posted(door(doors, name)), capture.of("w"), door(doors, name).refused) == (status, [], 1)


def test_a_door_that_times_out_says_nothing(doors: Doors, capture: Capture) -> None:
    doors.each("turn", shut=True)

    with pytest.raises(requests.ReadTimeout):
        posted(door(doors, "timeout"), timeout=1)
    assert capture.of("w") == []


def test_a_door_with_broken_tls_shows_a_strangers_certificate(doors: Doors, capture: Capture, tmp_path: Path) -> None:
    doors.each("turn", shut=True)

    with pytest.raises(requests.exceptions.SSLError):
        posted(door(doors, "tls"), verify=str(tmp_path / "good.crt"))
    assert capture.of("w") == []


def mailed(at: failing.Door, trusted: Path) -> None:
    host, _, port = at.smtp.replace(failing.HOST, "127.0.0.1").rpartition(":")
    with smtplib.SMTP(host, int(port), timeout=30) as mail:
        if at.failure.tls:
            mail.starttls(context=ssl.create_default_context(cafile=str(trusted)))
        mail.sendmail("a@drill.invalid", [f"team@w.{receivers.DOMAIN}"], "Subject: RedisDown\r\n\r\nFIRING\r\n")


def test_mail_goes_through_an_open_door_and_through_tls(doors: Doors, capture: Capture, tmp_path: Path) -> None:
    for each in doors.all:
        mailed(each, tmp_path / "good.crt")

    assert len(capture.of("w")) == 5


@pytest.mark.parametrize(
    ("name", "error"),
    [
        pytest.param("500", smtplib.SMTPConnectError, id="a local error"),
        pytest.param("429", smtplib.SMTPConnectError, id="too many connections"),
        pytest.param("tls", ssl.SSLError, id="a stranger's certificate"),
    ],
)
def test_mail_does_not_go_through_a_shut_door(
    doors: Doors, capture: Capture, tmp_path: Path, name: str, error: type[Exception]
) -> None:
    doors.each("turn", shut=True)

    with pytest.raises(error):
        mailed(door(doors, name), tmp_path / "good.crt")
    assert capture.of("w") == []


def test_a_door_opens_again(doors: Doors, capture: Capture) -> None:
    doors.each("turn", shut=True)
    doors.each("turn", shut=False)

    assert (posted(door(doors, "500")), len(capture.of("w"))) == (200, 1)


def message(status: str, alerts: tuple[str, ...] = ("RedisDown",), channel: str = "slack") -> Message:
    raw = {"dedup_key": "k"} if channel == "pagerduty" else {}
    return Message("w", Notification("now", "team", channel, status, alerts, "", raw), 1.0)


def test_what_a_place_was_told_twice_is_counted() -> None:
    found = outage.counted([message("firing"), message("firing"), message("resolved")])

    place = ("team", "slack")
    assert found == {("RedisDown", place, "firing"): 2, ("RedisDown", place, "resolved"): 1}


def test_the_end_of_an_incident_is_known_by_its_key() -> None:
    found = outage.counted([message("firing", channel="pagerduty"), message("resolved", (), "pagerduty")])

    assert found["RedisDown", ("team", "pagerduty"), "resolved"] == 1


def test_the_heartbeat_repeats_itself_and_is_not_counted() -> None:
    assert not outage.counted([message("firing", ("Watchdog",))] * 3)


@pytest.mark.parametrize(
    ("found", "count"),
    [
        pytest.param(Outage("500", 9, (), (), (), outage.CHANNELS, 9), 0, id="all well"),
        pytest.param(
            Outage("500", 9, ("a",), ("b × 2",), ("c × 2",), outage.CHANNELS, 9), 2, id="one lost, one doubled"
        ),
        pytest.param(Outage("500", 9, (), (), (), frozenset({"slack"}), 9), 2, id="the self alert is silent on two"),
        pytest.param(Outage("dns", 0, (), (), (), frozenset(), 0, "no unshare"), 0, id="not taken"),
    ],
)
def test_what_is_bad_is_counted(found: Outage, count: int) -> None:
    assert outage.bad([found], lambda _text: None) == count


def test_what_came_again_and_what_was_not_taken_is_said() -> None:
    found = [
        Outage("500", 4, (), (), ("c × 2",), outage.CHANNELS, 7),
        Outage("dns", 0, (), (), (), frozenset(), 0, "no unshare and mount here"),
    ]

    said = outage.note(found, 60, 20)

    assert said.endswith("; 1 came again whose answer was not waited for; dns not taken: no unshare and mount here")


@pytest.mark.live
def test_an_outage_of_seconds_loses_and_doubles_nothing(tmp_path: Path) -> None:
    layout = Layout(ROOT, ROOT / ".topmast")
    settings = config.load(None, layout).values
    setup = Setup(layout=layout, settings=settings, demo=False, real_clocks=True, say=print)
    prometheus = find("prometheus", ("prometheus",), layout, settings, print).path
    _, program, folder = alertmanager.runnable(setup)
    routes = ROOT / "monitoring" / "alertmanager" / "alertmanager.yml"
    names = ("RedisDown", "ExporterDown", "LlmCostUntracked", "HostCpuHigh")
    played = [rule for rule in ALERTS if rule.name in names]
    failures = [each for each in failing.FAILURES if each.name in ("500", "dns")]
    with world.guarded() as pipe:
        kit = Kit(prometheus, program, folder, tmp_path, ROOT / "monitoring" / "prometheus", routes, "production")
        found = outage.run(outage.Play(kit, played, 12, 60, pipe, print), failures)

    assert [(each.failure, each.lost, each.doubled) for each in found if not each.skipped] == [
        (each.failure, [], []) for each in found if not each.skipped
    ]
    assert all(each.told for each in found if not each.skipped)
    assert json.dumps([each.failure for each in found]) == '["500", "dns"]'
