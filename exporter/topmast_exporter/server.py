"""The listener that is scraped: /metrics, /probe, /apps/NAME/metrics, /healthz.

A scrape reads what is known and waits for no server. /probe answers configured names only: it is no open proxy.
"""

import asyncio
import gzip
import threading
from collections.abc import Callable
from urllib.parse import parse_qs

from prometheus_client.core import Metric

from topmast_exporter import foreign
from topmast_exporter.refresh import Target, Targets
from topmast_exporter.registry import Registry
from topmast_exporter.render import OPENMETRICS, TEXT, wants_openmetrics
from topmast_exporter.scrape import GZIP_FROM_BYTES, GZIP_LEVEL, Endpoint, Scraper, accepts_gzip
from topmast_exporter.web import HttpError, Receive, Scope, Send, answer, check_host, header, refuse

# Prometheus gives up at its own timeout: an answer after that is wasted (as exporter-toolkit's offset).
TIMEOUT_OFFSET_SECONDS = 0.5
DEFAULT_TIMEOUT_SECONDS = 10.0

INDEX = b"""topmast exporter
/metrics                             the exporter itself, what models cost, what was pushed
/probe?module=KIND&target=NAME       one configured server
/apps/NAME/metrics                   one application with several workers
/healthz
"""


class Server:
    """The ASGI application."""

    def __init__(
        self,
        registry: Registry,
        targets: Callable[[], Targets],
        listens_on_loopback: bool = True,
        apps: Callable[[str], Endpoint | None] = lambda _name: None,
    ) -> None:
        self._metrics = Endpoint(Scraper(registry))
        self._targets = targets
        self._apps = apps
        self._listens_on_loopback = listens_on_loopback
        self._bodies = ProbeBodies()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        try:
            check_host(scope, self._listens_on_loopback)
            if scope["method"] not in ("GET", "HEAD"):
                raise HttpError(405, "only GET and HEAD", [(b"allow", b"GET, HEAD")])
            await self._route(scope, receive, send)
        except HttpError as error:
            await refuse(send, error)

    async def _route(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        if path == "/metrics":
            await _within_timeout(self._metrics, scope, receive, send)
        elif path == "/probe":
            await self._probe(scope, send)
        elif path.startswith("/apps/") and path.endswith("/metrics") and path.count("/") == 3:
            await self._app(path.split("/")[2], scope, receive, send)
        elif path == "/healthz":
            await answer(send, 200, b"ok\n")
        elif path == "/":
            await answer(send, 200, INDEX)
        else:
            raise HttpError(404, "nothing is at this path; / lists what there is")

    async def _app(self, name: str, scope: Scope, receive: Receive, send: Send) -> None:
        endpoint = self._apps(name)
        if endpoint is None:
            raise HttpError(503, f"no worker of {name[:64]!r} has reported for 15 s")
        await _within_timeout(endpoint, scope, receive, send)

    async def _probe(self, scope: Scope, send: Send) -> None:
        query = scope.get("query_string", b"").decode("latin-1")
        try:
            asked = parse_qs(query, max_num_fields=20)
        except ValueError as error:
            raise HttpError(400, "too many fields") from error
        module, name = (asked.get(key, [""])[-1] for key in ("module", "target"))
        target = self._targets().get(module, name)
        if target is None:
            raise HttpError(404, f"no target {name[:64]!r} of module {module[:64]!r} is configured")
        openmetrics = wants_openmetrics(header(scope, b"accept"))
        packed = accepts_gzip(header(scope, b"accept-encoding"))
        body = self._bodies.of(target, openmetrics)
        headers = [(b"vary", b"accept, accept-encoding")]
        if packed and len(body) >= GZIP_FROM_BYTES:
            body = gzip.compress(body, GZIP_LEVEL)
            headers.append((b"content-encoding", b"gzip"))
        content_type = OPENMETRICS if openmetrics else TEXT
        await answer(send, 200, b"" if scope["method"] == "HEAD" else body, content_type, headers)


class ProbeBodies:
    """The text of each target's last reading, written once for as many scrapes as come."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[tuple[Target, bool], tuple[int, str]] = {}

    def of(self, target: Target, openmetrics: bool) -> bytes:
        """Return what /probe answers for this target now."""
        snapshot = target.snapshot()
        key = (target, openmetrics)
        with self._lock:
            generation, text = self._kept.get(key, (None, ""))
            if generation != snapshot.generation:
                text = "".join(_text(metric, openmetrics) for metric in snapshot.metrics)
                # a target that a reload took away is forgotten with the next one that is new
                self._kept = {one: kept for one, kept in self._kept.items() if not one[0].stopped}
                self._kept[key] = (snapshot.generation, text)
        up = Metric(target.collector.up, target.collector.up_documentation, "gauge")
        up.add_sample(target.collector.up, {}, float(snapshot.up))
        end = "# EOF\n" if openmetrics else ""
        return f"{_text(up, openmetrics)}{text}{end}".encode()


async def _within_timeout(endpoint: Endpoint, scope: Scope, receive: Receive, send: Send) -> None:
    try:
        async with asyncio.timeout(timeout_seconds(header(scope, b"x-prometheus-scrape-timeout-seconds"))):
            await endpoint(scope, receive, send)
    except TimeoutError as error:
        raise HttpError(503, "not rendered within the scrape's timeout") from error


def _text(metric: Metric, openmetrics: bool) -> str:
    return "".join((foreign.openmetrics_lines if openmetrics else foreign.text_lines)(metric))


def timeout_seconds(value: str) -> float:
    """Return how long a scrape may take, from X-Prometheus-Scrape-Timeout-Seconds."""
    try:
        asked = float(value)
    except ValueError:
        return DEFAULT_TIMEOUT_SECONDS
    if not 0 < asked < 3600:
        return DEFAULT_TIMEOUT_SECONDS
    return max(0.1, asked - TIMEOUT_OFFSET_SECONDS)
