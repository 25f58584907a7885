"""The drill's report as one HTML file: the table, and each message as it would look. It loads nothing."""

import html
import json
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from topmast.drill.judge import Row
from topmast.drill.passes import ALL, Result
from topmast.drill.receivers import Message
from topmast.measure import Measure

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8882; --bad: #c4314b; --good: #2e9e5b }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1100px; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; padding: .3rem .6rem; vertical-align: top } td:not(:last-child) { white-space: nowrap }
tr { border-bottom: 1px solid var(--line) } .bad { color: var(--bad) } .good { color: var(--good) }
section { margin: 2.5rem 0 } .message { border: 1px solid var(--line); border-radius: 8px; margin: .8rem 0 }
.message > header { background: var(--soft); padding: .3rem .8rem; font-size: 13px }
.message > div { padding: .6rem .8rem; overflow-wrap: anywhere; white-space: pre-wrap }
.slack { border-left: 5px solid var(--color); margin-left: .6rem } .slack b { display: block }
iframe { width: 100%; height: 340px; border: 0; background: #fff; border-radius: 0 0 8px 8px }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .1rem 1rem; margin: 0 } dd { margin: 0 }
"""
_COLORS = {"danger": "#c4314b", "warning": "#d9822b", "good": "#2e9e5b"}


def page(result: Result, taken: Sequence[Measure]) -> str:
    """Return the document. What came out of a message is escaped, or in a frame that runs nothing."""
    second = {row.alert: row for row in result.together}
    rows = "".join(_row(row, second.get(row.alert)) for row in result.alone)
    numbers = "".join(map(_number, taken))
    sections = "".join(_section(row, result.messages) for row in result.alone)
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>Fire drill</title>'
        '<meta name="viewport" content="width=device-width">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; "
        "frame-src 'self'\">"
        f"<style>{_STYLE}</style></head><body><h1>Fire drill</h1>"
        "<p>Every alert, from a sample to the message, through the real Prometheus and the real Alertmanager. "
        "Nobody was told.</p>"
        f"<table><thead><tr><th>measure<th>value<th>goal<th>note</thead><tbody>{numbers}</tbody></table>"
        f"{''.join(f'<p class=bad>Alertmanager: {escape(each)}</p>' for each in result.complaints)}"
        "<h2>Each alert alone</h2><table><thead><tr>"
        "<th>alert<th>severity<th>arrived at<th>after<th>all at once</thead>"
        f"<tbody>{rows}</tbody></table><h2>The messages</h2>{sections}</body></html>\n"
    )


def _number(taken: Measure) -> str:
    said = "<td>not taken" if taken.value is None else f"<td class={'good' if taken.holds else 'bad'}>{taken.value:g}"
    unit = "" if taken.value is None else f" {escape(taken.unit)}"
    others = f"<td>{escape(taken.goal)}</td><td>{escape(taken.note)}</td>"
    return f"<tr><td>{escape(taken.name)}</td>{said}{unit}</td>{others}</tr>"


def _row(row: Row, together: Row | None) -> str:
    good = row.arrived and row.ended
    told = ", ".join(f"{receiver} ({channel})" for receiver, channel in row.delivered) or "nobody"
    problems = "".join(f'<br><span class="bad">{escape(problem)}</span>' for problem in row.problems)
    told_then = "–"
    if together is not None:
        told_then = "muted" if together.muted else "arrived" if together.arrived else "did not arrive"
    after = "–" if row.seconds is None else f"{row.seconds:.1f} s"
    return (
        f'<tr><td class="{"good" if good else "bad"}"><a href="#{escape(row.alert)}">{escape(row.alert)}</a></td>'
        f"<td>{escape(row.severity)}</td><td>{escape(told)}{problems}</td><td>{after}</td>"
        f"<td>{told_then}</td></tr>"
    )


def _section(row: Row, messages: Sequence[Message]) -> str:
    mine = [each for each in messages if row.alert in each.notification.alerts and each.world != ALL]
    shown = "".join(_message(each) for each in mine) or "<p>No message.</p>"
    return f'<section id="{escape(row.alert)}"><h3>{escape(row.alert)}</h3>{shown}</section>'


def _message(message: Message) -> str:
    note = message.notification
    refused = f' · <span class="bad">refused: {escape(message.refused)}</span>' if message.refused else ""
    head = f"{escape(note.channel)} · {escape(note.receiver)} · {escape(note.status)}{refused}"
    raw = note.raw if isinstance(note.raw, Mapping) else {}
    if note.channel == "slack":
        body = "".join(_attachment(each) for each in raw.get("attachments") or ())
    elif note.channel == "email" and message.html:
        # sandbox without a word: no script, no form, no link that leaves the frame.
        subject = escape(str(raw.get("subject", "")))
        body = f'<div><b>{subject}</b></div><iframe sandbox title="mail" srcdoc="{escape(message.html)}"></iframe>'
        return f'<div class="message"><header>{head}</header>{body}</div>'
    elif note.channel == "pagerduty":
        body = _event(raw)
    else:
        body = escape(note.text)
    return f'<div class="message"><header>{head}</header><div>{body or escape(note.text)}</div></div>'


def _attachment(attachment: Any) -> str:
    if not isinstance(attachment, Mapping):
        return ""
    color = _COLORS.get(str(attachment.get("color")), "#888888")
    title, text = _shown(attachment.get("title")), _shown(attachment.get("text"))
    return f'<div class="slack" style="--color: {color}; padding-left: .8rem"><b>{title}</b>{text}</div>'


def _shown(value: Any) -> str:
    """Return Slack's text as HTML: its three escapes undone, `<address|words>` as a link."""
    parts = []
    for piece in str(value or "").replace("<", "\0<").replace(">", "\0").split("\0"):
        words = html.escape(html.unescape(piece.lstrip("<")))
        if piece.startswith(("<http://", "<https://")):
            address, _, told = piece[1:].partition("|")
            words = (
                f'<a href="{html.escape(html.unescape(address))}">{html.escape(html.unescape(told or address))}</a>'
            )
        parts.append(words)
    return "".join(parts)


def _event(raw: Mapping[str, Any]) -> str:
    payload = raw.get("payload") if isinstance(raw.get("payload"), Mapping) else {}
    return _listed({"action": raw.get("event_action"), "key": raw.get("dedup_key"), **(payload or {})})


def _listed(fields: Mapping[str, Any]) -> str:
    """Return names and values, as PagerDuty lays out an event and its details; a text keeps its lines."""
    listed = "".join(
        f"<dt>{escape(str(name))}</dt>"
        f"<dd>{_listed(value) if isinstance(value, Mapping) else escape(_text(value))}</dd>"
        for name, value in fields.items()
        if value
    )
    return f"<dl>{listed}</dl>"


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
