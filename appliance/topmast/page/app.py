"""The page's server: static files, dashboards, a read-only view of the engines, log search, and the inbox."""

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Any

import anyio.to_thread
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from topmast.page import batch, dashboards, exposition, intake, logs, runbooks, silences, static, upstream
from topmast.page.door import standing_open
from topmast.page.guard import Guard
from topmast.page.heartbeat import Heartbeat, listening
from topmast.page.inbox import Inbox
from topmast.page.quiet import StatusInHeader
from topmast.page.settings import Settings

# A thread costs memory for as long as it idles. Six is what a browser opens to one HTTP/1.1 host; two more keep
# the inbox and the health check free while six queries are slow.
MAX_THREADS = 8

# Addresses that a person opens: one document, the view is chosen by the path.
VIEWS = ("/", "/d/{name}", "/alerts", "/alerts/{name}", "/inbox", "/logs", "/query", "/runbooks", "/runbooks/{name}")


def build(settings: Settings) -> Starlette:
    """Return the application; its lifespan holds the mail receiver open."""
    inbox = Inbox(settings.layout.inbox)
    heartbeat = Heartbeat(inbox)
    prometheus, alertmanager = upstream.engines(settings)

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        anyio.to_thread.current_default_thread_limiter().total_tokens = MAX_THREADS
        host, port = settings.address[0], settings.layout.port("inbox-smtp")
        async with intake.mail(inbox, host, port, settings.max_request_bytes), standing_open(settings.door, app):
            looking = asyncio.create_task(listening(heartbeat))
            try:
                yield
            finally:
                looking.cancel()

    files = static.assets(static.FOLDER)
    return Starlette(
        routes=[
            Route("/healthz", healthz),
            exposition.route(inbox, heartbeat),
            *static.routes(files, VIEWS),
            *dashboard_routes(settings),
            *upstream.routes(prometheus, alertmanager),
            upstream.facts(prometheus),
            batch.route(prometheus),
            *silences.routes(alertmanager),
            *logs.routes(settings.layout.log_store),
            *inbox_routes(inbox),
            *intake.routes(inbox, settings.max_request_bytes, heartbeat.heard),
            *runbook_routes(settings),
            Route("/api/settings", lambda _: JSONResponse({"trace_url": settings.trace_url})),
            Route("/api/status", status(settings.layout.run / "status.json")),
        ],
        middleware=[
            Middleware(Guard, hosts=settings.hosts),
            Middleware(StatusInHeader),
            Middleware(GZipMiddleware, minimum_size=1000, compresslevel=6),
        ],
        exception_handlers={404: static.nowhere(files)},
        lifespan=lifespan,
    )


async def healthz(request: Request) -> Response:  # noqa: ARG001 - Starlette's signature
    """Answer from the event loop itself, so that eight slow queries do not make the page look dead."""
    return PlainTextResponse("ok\n")


def dashboard_routes(settings: Settings) -> list[Route]:
    folders = settings.dashboard_folders

    def listed() -> Response:
        return JSONResponse({"dashboards": dashboards.listing(folders)})

    def one(name: str) -> Response:
        try:
            return JSONResponse(dashboards.read(folders, name))
        except dashboards.UnknownDashboardError as error:
            return upstream.failed(404, "not_found", str(error))
        except dashboards.BrokenDashboardError as error:
            return upstream.failed(422, "broken", str(error))

    return [
        Route("/api/dashboards", lambda _: listed()),
        Route("/api/dashboard/{name}", lambda request: one(request.path_params["name"])),
    ]


def inbox_routes(inbox: Inbox) -> list[Route]:
    def newest(request: Request) -> Response:
        wanted = request.query_params.get("limit", "100")
        limit = min(int(wanted), 1000) if re.fullmatch(r"\d{1,6}", wanted) else 100
        since = request.query_params.get("since")
        try:
            oldest = datetime.fromisoformat(since) if since else None
        except ValueError:
            return upstream.failed(400, "bad_data", f"since: not an ISO 8601 time: {since!r:.80}")
        version = inbox.version()
        if request.headers.get("if-none-match") == f'"{version}"':
            return Response(status_code=304)
        found = inbox.newest(limit, oldest)
        return JSONResponse({"notifications": found}, headers={"etag": f'"{version}"'})

    return [Route("/api/inbox", newest)]


def runbook_routes(settings: Settings) -> list[Route]:
    def listed(_: Request) -> Response:
        return JSONResponse({"runbooks": runbooks.names(settings.runbooks)})

    def one(request: Request) -> Response:
        name = request.path_params["name"]
        nodes = runbooks.read(settings.runbooks, name)
        if nodes is None:
            return upstream.failed(404, "not_found", f"no runbook {name[:80]!r}")
        return JSONResponse({"name": name, "nodes": nodes})

    return [Route("/api/runbooks", listed), Route("/api/runbook/{name}", one)]


def status(path: Path) -> Any:
    """Return the endpoint that hands out the supervisor's status file."""

    def current(_: Request) -> Response:
        try:
            return JSONResponse(json.loads(path.read_bytes()))
        except FileNotFoundError:
            return upstream.failed(404, "not_found", "no supervisor has written a status here")
        except ValueError:
            # The supervisor replaces the file whole; whatever this is, it is none of its own.
            return upstream.failed(500, "broken", f"{path.name}: not JSON")

    return current
