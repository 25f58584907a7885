"""Ask a metrics endpoint as Prometheus would: its status, content type and number of series, or the remedy.

A password is read from its file at the moment of asking and stands in no message.
"""

import re
import ssl
import stat
import time
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import urllib3

SECONDS = 5.0
MAX_BYTES = 50_000_000
# What 2.42 asks for (scrape/scrape.go), so that the server answers it as it will answer Prometheus.
_ACCEPT = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
_TYPES = ("text/plain", "application/openmetrics-text", "application/vnd.google.protobuf")
_SAMPLE = re.compile(rb"^[a-zA-Z_:][a-zA-Z0-9_:]*(?:\{.*\})?[ \t]+\S", re.MULTILINE)


@dataclass(frozen=True)
class Answer:
    """What an endpoint said. `remedy` is empty when Prometheus can scrape it."""

    url: str
    ok: bool
    status: int | None = None
    content_type: str = ""
    series: int | None = None
    seconds: float | None = None
    message: str = ""
    remedy: str = ""


def secret_problem(path: Path) -> str:
    """Return why a file cannot hold a password, with the remedy; "" when it can. Its content is not told."""
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            return f"{path}: is a folder; name the file"
        if stat.S_IMODE(mode) & 0o007:
            return f"{path}: everybody on this machine may use it; chmod o= {path}"
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return f"{path}: no such file; write the password into it, and nothing else"
    except UnicodeDecodeError:
        return f"{path}: not text; write the password into it, and nothing else"
    except OSError as error:
        return f"{path}: cannot be read: {error.strerror}; let this user read it"
    if not text.strip():
        return f"{path}: it is empty; write the password into it"
    return (
        "" if len(text.strip().splitlines()) == 1 else f"{path}: more than one line; the password alone stands in it"
    )


def ask(url: str, one: Mapping[str, Any], *, seconds: float = SECONDS) -> Answer:
    """Return what the endpoint answers, asked with the target's password or token. Never raises."""
    for file in (one.get("basic_auth", {}).get("password_file"), one.get("bearer_token_file")):
        if file and (problem := secret_problem(Path(file))):
            what, _, remedy = problem.partition("; ")
            return Answer(url, ok=False, message=what, remedy=remedy)
    began = time.monotonic()
    try:
        headers = {"Accept": _ACCEPT, "User-Agent": "Prometheus/topmast-check", **_authorization(one)}
        with (
            urllib3.PoolManager(cert_reqs="CERT_REQUIRED", ca_certs=one.get("ca_file")) as pool,
            pool.request(
                "GET",
                url,
                headers=headers,
                timeout=urllib3.Timeout(total=seconds),
                retries=False,
                redirect=False,
                preload_content=False,
            ) as answer,
        ):
            body = _body(answer, began + seconds)
    except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
        message, remedy = failed(error, one)
        return Answer(url, ok=False, message=message, remedy=remedy)
    kind = answer.headers.get("content-type", "")
    message, remedy = _judged(answer.status, kind, body, answer.headers.get("location", ""), one)
    count = len(_SAMPLE.findall(body)) if answer.status == 200 else None
    spent = round(time.monotonic() - began, 3)
    return Answer(url, not remedy, answer.status, kind, count, spent, message, remedy)


def _authorization(one: Mapping[str, Any]) -> dict[str, str]:
    if "basic_auth" in one:
        password = Path(one["basic_auth"]["password_file"]).read_text(encoding="utf-8").strip()
        pair = f"{one['basic_auth']['username']}:{password}".encode()
        return {"Authorization": f"Basic {b64encode(pair).decode()}"}
    if "bearer_token_file" in one:
        return {"Authorization": f"Bearer {Path(one['bearer_token_file']).read_text(encoding='utf-8').strip()}"}
    return {}


def _body(answer: urllib3.BaseHTTPResponse, deadline: float) -> bytes:
    body = b""
    for part in answer.stream(65_536, decode_content=True):
        body += part
        if len(body) > MAX_BYTES:
            raise ValueError(f"more than {MAX_BYTES // 1_000_000} MB")
        if time.monotonic() > deadline:
            raise TimeoutError("it did not end in time")
    return body


def _judged(status: int, kind: str, body: bytes, location: str, one: Mapping[str, Any]) -> tuple[str, str]:
    """Return what is wrong with an answer and what to do; twice nothing when Prometheus takes it."""
    if status in (401, 403):
        if "basic_auth" in one or "bearer_token_file" in one:
            file = one.get("bearer_token_file") or one["basic_auth"]["password_file"]
            return f"HTTP {status}: it refuses who asks", f"correct the user, or what stands in {file}"
        return (
            f"HTTP {status}: it asks who you are",
            "add it with --username and --password-file, or --bearer-token-file",
        )
    if 300 <= status < 400:
        return f"HTTP {status}: it has moved", f"add {location[:200] or 'the address that it names'} instead"
    if status == 404:
        return "HTTP 404: nothing is at this path", "name the path of its metrics: http://HOST:PORT/PATH"
    if status != 200:
        return f"HTTP {status}", "look into its log"
    if not _SAMPLE.search(body):
        what = "a page for people" if b"<html" in body[:2000].lower() else "no metrics" if body.strip() else "nothing"
        return f"it answers with {what}", "name the path of its metrics, most often /metrics: http://HOST:PORT/PATH"
    if not kind.startswith(_TYPES):
        said = f"says {kind[:80]!r}" if kind else "does not say what it sends"
        return f"it {said}", "Prometheus 3 refuses that: let it send Content-Type: text/plain; version=0.0.4"
    return "", ""


def failed(error: BaseException, one: Mapping[str, Any]) -> tuple[str, str]:
    """Return what went wrong, and what to do about it."""
    text = str(error)
    if isinstance(error, urllib3.exceptions.NameResolutionError) or "Name or service not known" in text:
        return "its name is not known on this machine", "correct the host's name"
    # A refused connection is a kind of timeout to urllib3: it comes first.
    if "Connection refused" in text:
        return "nothing listens there", "is it started, and is the port right?"
    if isinstance(error, urllib3.exceptions.ConnectTimeoutError | urllib3.exceptions.ReadTimeoutError | TimeoutError):
        return f"no answer in {SECONDS:.0f} s", "is the address right, and is a firewall in between?"
    if isinstance(error, urllib3.exceptions.SSLError | ssl.SSLError):
        if "CERTIFICATE_VERIFY_FAILED" in text:
            return "its certificate is not trusted here", "add it with --ca-file FILE, the authority that signed it"
        return "it does not speak TLS", "write http:// instead of https://, if it is on this machine"
    if isinstance(error, FileNotFoundError) and one.get("ca_file"):
        return f"{one['ca_file']}: no such file", "name the authority's certificate"
    if isinstance(error, urllib3.exceptions.ProtocolError):
        return "it ended the connection", "does it speak HTTP there? https:// if it wants TLS"
    return text[:160], "is it a metrics endpoint?"
