"""The page's own files, from memory and already compressed: forty small modules cost a browser no forty disk reads.

The folder is the list: index.html names every module of js/ for preloading, and the panel types of js/panels/.
"""

import gzip
import hashlib
from dataclasses import dataclass
from pathlib import Path

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

FOLDER = Path(__file__).with_name("static")

TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".LICENSE": "text/plain; charset=utf-8",
}


@dataclass(frozen=True)
class Asset:
    """One file as it is sent."""

    media_type: str
    plain: bytes
    packed: bytes
    etag: str

    def answer(self, request: Request) -> Response:
        # A browser keeps the file and asks whether it is still the same: after an update nothing old is shown.
        headers = {"etag": self.etag, "cache-control": "no-cache", "vary": "accept-encoding"}
        if request.headers.get("if-none-match") == self.etag:
            return Response(status_code=304, headers=headers)
        if "gzip" in request.headers.get("accept-encoding", ""):
            headers["content-encoding"] = "gzip"
            return Response(self.packed, headers=headers, media_type=self.media_type)
        return Response(self.plain, headers=headers, media_type=self.media_type)


def asset(content: bytes, suffix: str) -> Asset:
    """Return the content as it is sent. Level 9: it is done once."""
    digest = hashlib.sha256(content).hexdigest()[:20]
    return Asset(TYPES[suffix], content, gzip.compress(content, 9, mtime=0), f'"{digest}"')


def assets(folder: Path) -> dict[str, Asset]:
    """Return every file of a known type by its path below the folder; index.html filled in."""
    files = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.suffix in TYPES}
    found = {name: asset(path.read_bytes(), path.suffix) for name, path in files.items()}
    modules = [name for name in files if name.startswith("js/")]
    panels = [path.stem for name, path in files.items() if name.startswith("js/panels/")]
    preload = "\n".join(f'<link rel="modulepreload" href="/static/{name}">' for name in modules)
    source = found["index.html"].plain.decode()
    document = source.replace("<!-- modules -->", preload).replace("{panels}", " ".join(panels))
    return {**found, "index.html": asset(document.encode(), ".html")}


def routes(folder: Path, views: tuple[str, ...]) -> list[Route]:
    """Return the routes of the files under /static/, and of the one document at every address of a view."""
    known = assets(folder)

    async def document(request: Request) -> Response:
        return known["index.html"].answer(request)

    async def file(request: Request) -> Response:
        found = known.get(request.path_params["path"])
        return found.answer(request) if found else PlainTextResponse("no such file\n", status_code=404)

    return [*(Route(path, document) for path in views), Route("/static/{path:path}", file)]
