"""Silences in Alertmanager (its API v2), begun, listed, prolonged, ended: each has an end, a reason and an author."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import requests

from topmast import compose, lock
from topmast.errors import NotRunningError, TopmastError
from topmast.layout import Layout

_TIMEOUT_SECONDS = 5.0
MAX_SECONDS = 30 * 86_400
# The page's silences have the same limit (page/silences.py).
_MAX_TEXT = 500


@dataclass(frozen=True)
class Matcher:
    """One label and its text; `equal` false: everything but this text."""

    name: str
    value: str
    equal: bool = True
    regex: bool = False

    def __str__(self) -> str:
        operator = {(True, False): "=", (False, False): "!=", (True, True): "=~", (False, True): "!~"}
        return f'{self.name}{operator[self.equal, self.regex]}"{self.value}"'


@dataclass(frozen=True)
class Silence:
    """A silence that Alertmanager keeps."""

    id: str
    matchers: tuple[Matcher, ...]
    begins: datetime
    ends: datetime
    by: str
    reason: str
    state: str
    """`active`, `pending` or `expired`."""


def address(layout: Layout) -> str:
    """Return the URL of the Alertmanager that runs here, in either mode; where none does, the one where it would."""
    if compose.mode(layout, None) == "compose":
        return compose.url(layout, "alertmanager")
    try:
        told = lock.status(layout)["components"]
    except NotRunningError:
        return f"http://{layout.address('alertmanager')}"
    found = next((one["address"] for one in told if one["name"] == "alertmanager" and one["address"]), "")
    return f"http://{found or layout.address('alertmanager')}"


class Alertmanager:
    """The API of one Alertmanager. Raises TopmastError with what it said, NotRunningError when none answers."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")

    def put(self, matchers: Sequence[Matcher], seconds: float, by: str, reason: str) -> Silence:
        """Begin a silence that ends so many seconds from now."""
        now = datetime.now(UTC)
        return self._put(Silence("", tuple(matchers), now, now + timedelta(seconds=seconds), by, reason, "active"))

    def prolong(self, silence: Silence, seconds: float) -> Silence:
        """Let a silence end so many seconds from now instead."""
        # with the same beginning it is the same silence: another would be a new one beside it
        return self._put(replace(silence, ends=datetime.now(UTC) + timedelta(seconds=seconds)))

    def _put(self, wanted: Silence) -> Silence:
        body = {
            "matchers": [
                {"name": one.name, "value": one.value, "isRegex": one.regex, "isEqual": one.equal}
                for one in wanted.matchers
            ],
            "startsAt": wanted.begins.isoformat(),
            "endsAt": wanted.ends.isoformat(),
            "createdBy": wanted.by[:_MAX_TEXT],
            "comment": wanted.reason[:_MAX_TEXT],
        }
        if wanted.id:
            body["id"] = wanted.id
        made = str(self._ask("POST", "/api/v2/silences", body)["silenceID"])
        return replace(wanted, id=made) if wanted.id else self._find(made)

    def _find(self, silence_id: str) -> Silence:
        """Return the silence as Alertmanager keeps it: it moves a beginning that has passed to its own now."""
        return _silence(self._ask("GET", f"/api/v2/silence/{silence_id}"))

    def end(self, silence_id: str) -> None:
        self._ask("DELETE", f"/api/v2/silence/{silence_id}")

    def silences(self) -> list[Silence]:
        """Return all that Alertmanager remembers, the one that ends first first."""
        found = [_silence(each) for each in self._ask("GET", "/api/v2/silences")]
        return sorted(found, key=lambda one: (one.ends, one.id))

    def muted(self, silence_id: str) -> int:
        """Return how many alerts the silence mutes now."""
        alerts = self._ask("GET", "/api/v2/alerts?silenced=true&inhibited=true&active=true")
        return sum(silence_id in each["status"]["silencedBy"] for each in alerts)

    def fires(self, alert: str) -> bool:
        """Return whether an alert of that name is there now, silenced or not."""
        alerts = self._ask("GET", "/api/v2/alerts?silenced=true&inhibited=true&active=true")
        return any(each["labels"].get("alertname") == alert for each in alerts)

    def _ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        try:
            answer = requests.request(method, self.url + path, json=body, timeout=_TIMEOUT_SECONDS)
        except requests.RequestException as error:
            raise NotRunningError(
                f"no Alertmanager answers at {self.url}; `topmast up` starts one, --url names another"
            ) from error
        # 0.25 answers 500 here, later ones 404; 422 is an id that is none
        if method == "DELETE" and not answer.ok and ("not found" in answer.text or answer.status_code in (404, 422)):
            raise TopmastError(f"{path.rpartition('/')[2]}: no such silence; `topmast silences` lists them")
        if not answer.ok:
            raise TopmastError(f"{self.url}: {answer.status_code}: {answer.text.strip()[:200]}")
        return answer.json() if answer.content else None


def _silence(told: Mapping[str, Any]) -> Silence:
    matchers = tuple(
        Matcher(each["name"], each["value"], each.get("isEqual", True), each["isRegex"]) for each in told["matchers"]
    )
    begins, ends = (datetime.fromisoformat(told[name]) for name in ("startsAt", "endsAt"))
    return Silence(told["id"], matchers, begins, ends, told["createdBy"], told["comment"], told["status"]["state"])
