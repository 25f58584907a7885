"""Pages that blackbox_exporter asks from outside, as a visitor would: `topmast targets add url https://…`.

They are the job `blackbox`; the URL is the `instance`. What is asked of them stands in monitoring/blackbox/.
"""

import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import urllib3

from topmast import endpoint
from topmast.errors import ConfigError

JOB, WORD = "blackbox", "url"
EXPORTER = "blackbox_exporter"
ITEM: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["url"],
    "properties": {
        "url": {"type": "string", "pattern": r"^https?://[^\s/@]+(/[^\s#]*)?$"},
        "labels": {"type": "object", "additionalProperties": {"type": "string"}},
    },
}
"""One of `targets.blackbox` of a topmast.yml."""
_PORTS = {"http": 80, "https": 443}


def job(word: str) -> str:
    """Return the job that a person means: `url` is `blackbox`."""
    return JOB if word == WORD else word


def split(url: str) -> str:
    """Return HOST:PORT of a page. Raises ConfigError for what no visitor could open."""
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS.get(parts.scheme)
    except ValueError as error:
        raise ConfigError(f"{url[:80]!r}: has no port that can be") from error
    if parts.username is not None or parts.password is not None:
        raise ConfigError("a password in an address is seen by everybody; ask a page that needs none")
    if port is None or not parts.hostname:
        raise ConfigError(f"{url[:80]!r}: write the whole address, https://HOST/PATH")
    if parts.fragment or any(letter.isspace() for letter in url):
        raise ConfigError(f"{url[:80]!r}: without spaces and what follows #")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{host}:{port}"


def entry(one: Mapping[str, Any], exporter: str) -> dict[str, Any]:
    """Return the file_sd entry of a page: `exporter` (HOST:PORT) is asked, the URL is the instance."""
    labels = {**one.get("labels", {}), "__exporter__": exporter, "__param_target": one["url"]}
    return {"targets": [split(one["url"])], "labels": labels}


def ask(url: str) -> endpoint.Answer:
    """Return what the page answers from here: fine is 2xx, redirections followed. Never raises."""
    began = time.monotonic()
    try:
        with urllib3.PoolManager(cert_reqs="CERT_REQUIRED") as pool:
            answer = pool.request(
                "GET",
                url,
                headers={"User-Agent": "topmast-check"},
                timeout=urllib3.Timeout(total=endpoint.SECONDS),
                retries=urllib3.Retry(total=10, connect=0, read=0, status=0, other=0, redirect=10),
                preload_content=False,
            )
            answer.close()
    except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
        message, remedy = endpoint.failed(error, {})
        return endpoint.Answer(url, ok=False, message=message, remedy=remedy)
    seconds = round(time.monotonic() - began, 3)
    if 200 <= answer.status < 300:
        return endpoint.Answer(url, ok=True, status=answer.status, seconds=seconds)
    message, remedy = f"HTTP {answer.status}", "UrlDown will fire: name a page that answers with 200"
    return endpoint.Answer(url, ok=False, status=answer.status, seconds=seconds, message=message, remedy=remedy)
