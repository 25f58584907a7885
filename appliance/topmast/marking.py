"""Marks on the dashboards, told to the ingest (POST /v1/marks): what was done, from when to when."""

import contextlib
import os
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from topmast import compose, lock
from topmast.errors import NotRunningError, TopmastError
from topmast.layout import Layout

_TIMEOUT_SECONDS = 3.0
_MAX_TEXT = 500
# The same names as in the applications (topmast_exporter.usage).
URL, TOKEN, TOKEN_FILE = "TOPMAST_INGEST_URL", "TOPMAST_INGEST_TOKEN", "TOPMAST_INGEST_TOKEN_FILE"


@dataclass(frozen=True)
class Ingest:
    """Where marks are told, and with which token ("" where none is asked for)."""

    url: str
    token: str = ""

    def tell(self, mark: Mapping[str, Any]) -> None:
        """Raise TopmastError with what the ingest said where it did not take the mark."""
        headers = {"authorization": f"Bearer {self.token}"} if self.token else {}
        try:
            answer = requests.post(f"{self.url}/v1/marks", json=mark, headers=headers, timeout=_TIMEOUT_SECONDS)
        except requests.RequestException as error:
            raise TopmastError(f"no ingest answers at {self.url}; {URL} names another") from error
        if answer.status_code == 401:
            raise TopmastError(f"{self.url}: a token is asked for; set {TOKEN_FILE}")
        if not answer.ok:
            raise TopmastError(f"{self.url}: {answer.status_code}: {answer.text.strip()[:200]}")


def ingest(layout: Layout, settings: Mapping[str, Any]) -> Ingest:
    """Return the ingest that the environment names, else the one that runs here. Raises TopmastError."""
    path = os.environ.get(TOKEN_FILE) or str(settings["exporter"]["ingest"].get("token_file") or "")
    try:
        token = os.environ.get(TOKEN) or (Path(path).read_text(encoding="utf-8").strip() if path else "")
    except OSError as error:
        raise TopmastError(f"{path}: cannot be read: {error.strerror}") from error
    if url := os.environ.get(URL):
        return Ingest(url.rstrip("/"), token)
    if compose.mode(layout, None) == "compose":
        return Ingest(compose.url(layout, "ingest"), token or compose.ingest_token(layout))
    with contextlib.suppress(NotRunningError):
        layout = Layout(layout.home, layout.state, lock.status(layout)["port_offset"])
    return Ingest(layout.url("ingest"), token)


class Span:
    """A mark that begins now and whose end is told later. What cannot be told stops nobody: `trouble` says why."""

    def __init__(self, to: Ingest, kind: str, text: str, environment: str, began: float) -> None:
        self.id = uuid.uuid4().hex
        self.trouble = ""
        self._to = to
        self._mark = {
            "id": self.id,
            "kind": kind,
            "text": text[:_MAX_TEXT],
            "environment": environment,
            "time": began,
        }
        self._tell(self._mark)

    def end(self, ended: float) -> None:
        self._tell({**self._mark, "end": ended})

    def _tell(self, mark: Mapping[str, Any]) -> None:
        try:
            self._to.tell(mark)
            self.trouble = ""
        except TopmastError as error:
            self.trouble = str(error)
