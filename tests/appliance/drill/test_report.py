"""The drill's report shows each message as its service would, and nothing in a message gets out of its place."""

from typing import Any

from topmast.drill.judge import Row
from topmast.drill.passes import Result
from topmast.drill.receivers import Message
from topmast.drill.report import page
from topmast.measure import Measure
from topmast.page.inbox import Notification

HOSTILE = "<script>alert(1)</script>"


def shown(channel: str = "slack", raw: Any = None, mail: str = "", taken: Measure | None = None) -> str:
    place = ("there", channel)
    row = Row("RedisDown", "critical", "cache", (place,), (place,), (place,), 8.9)
    note = Notification("2026-11-27T12:00:00Z", "there", channel, "firing", ("RedisDown",), HOSTILE, raw)
    result = Result([row], [row], [], [], [Message("alone-1", note, 0.0, "", mail)], [], 30.0)
    return page(result, [taken] if taken else [])


def test_details_of_an_event_are_laid_out_and_keep_their_lines() -> None:
    details = {"alerts": "Redis is down.\n- on cache-1", "num_firing": "1"}
    html = shown("pagerduty", {"event_action": "trigger", "payload": {"summary": "x", "custom_details": details}})

    assert "<dt>alerts</dt><dd>Redis is down.\n- on cache-1</dd>" in html
    assert "<dt>custom_details</dt><dd><dl>" in html


def test_what_was_not_taken_is_neither_good_nor_bad() -> None:
    html = shown(taken=Measure("drill.live_delay", None, "s", "<= 180", None, note="--full"))

    assert "<td>drill.live_delay</td><td>not taken</td>" in html


def test_what_holds_and_what_does_not_are_told_apart() -> None:
    for holds, kind in ((True, "good"), (False, "bad")):
        html = shown(taken=Measure("drill.seconds", 31.0, "s", "<= 60", holds))
        assert f"<td>drill.seconds</td><td class={kind}>31 s</td>" in html


def test_slacks_links_are_links_and_its_colour_is_kept() -> None:
    text = "<http://localhost:3001/runbooks/RedisDown|Runbook>"
    html = shown(raw={"attachments": [{"color": "danger", "title": "[FIRING:1]", "text": text}]})

    assert '<a href="http://localhost:3001/runbooks/RedisDown">Runbook</a>' in html
    assert "--color: #c4314b" in html


def test_nothing_in_a_message_becomes_markup() -> None:
    for channel, raw in (
        ("slack", {"attachments": [{"title": HOSTILE, "text": f"<javascript:alert(1)|{HOSTILE}>"}]}),
        ("slack", {"attachments": ["no attachment"]}),
        ("pagerduty", {"payload": {HOSTILE: HOSTILE, "custom_details": {HOSTILE: [HOSTILE]}}}),
        ("pagerduty", {"payload": "none"}),
        ("webhook", None),
    ):
        html = shown(channel, raw)
        assert "<script" not in html
        assert 'href="javascript' not in html


def test_a_mail_is_in_a_frame_that_runs_nothing() -> None:
    html = shown("email", {"subject": HOSTILE}, mail=f'<p class="x">{HOSTILE}</p>')

    assert '<iframe sandbox title="mail" srcdoc="&lt;p class=&quot;x&quot;&gt;' in html
    assert "<script" not in html
