"""The page's own files, from memory and already compressed.

The folder is the list. The document asks for one script (every module of js/, after vendor/) and one style sheet
(every file of css/), under an address with their digest, which a browser keeps for good; the single files are
there too, for whoever reads them.
"""

import gzip
import hashlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from topmast.page.bundle import joined

FOLDER = Path(__file__).with_name("static")

TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".LICENSE": "text/plain; charset=utf-8",
}


# What is joined for the document: the sheets in the order of the cascade, and what the modules find ready.
SHEETS = (
    "vendor/uPlot.min.css",
    *(
        f"css/{name}.css"
        for name in ("tokens", "shell", "controls", "grid", "panels", "alerts", "prose", "inbox", "logs")
    ),
)
CHARTS = "vendor/uPlot.iife.min.js"


@dataclass(frozen=True)
class Asset:
    """One file as it is sent."""

    media_type: str
    plain: bytes
    packed: bytes
    etag: str
    lasting: bool = False
    """Its address changes with its content: a browser need not ask again."""

    def answer(self, request: Request, status: int = 200) -> Response:
        # A browser keeps the file and asks whether it is still the same: after an update nothing old is shown.
        kept = "public, max-age=31536000, immutable" if self.lasting else "no-cache"
        headers = {"etag": self.etag, "cache-control": kept, "vary": "accept-encoding"}
        if request.headers.get("if-none-match") == self.etag:
            return Response(status_code=304, headers=headers)
        if "gzip" in request.headers.get("accept-encoding", ""):
            headers["content-encoding"] = "gzip"
            return Response(self.packed, status, headers=headers, media_type=self.media_type)
        return Response(self.plain, status, headers=headers, media_type=self.media_type)


def asset(content: bytes, suffix: str, *, lasting: bool = False) -> Asset:
    """Return the content as it is sent. Level 9: it is done once."""
    digest = hashlib.sha256(content).hexdigest()[:20]
    return Asset(TYPES[suffix], content, gzip.compress(content, 9, mtime=0), f'"{digest}"', lasting)


def assets(folder: Path) -> dict[str, Asset]:
    """Return every file of a known type by its path below the folder, the joined two, and index.html naming those."""
    files = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.suffix in TYPES}
    found = {name: asset(path.read_bytes(), path.suffix) for name, path in files.items()}
    text = {name: each.plain.decode() for name, each in found.items()}
    modules = {name: source for name, source in text.items() if name.startswith("js/")}
    script = text[CHARTS] + "\n" + joined(modules, "js/main.js")
    style = "\n".join(text[name] for name in SHEETS)
    panels = " ".join(path.stem for name, path in files.items() if name.startswith("js/panels/"))
    document = text["index.html"].replace("{panels}", panels)
    for name, content in (("app.js", script), ("app.css", style)):
        kept = asset(content.encode(), Path(name).suffix, lasting=True)
        address = f"{kept.etag[1:13]}/{name}"
        found[address] = kept
        document = document.replace(f"/static/{name}", f"/static/{address}")
    return {**found, "index.html": asset(document.encode(), ".html")}


def routes(known: Mapping[str, Asset], views: tuple[str, ...]) -> list[Route]:
    """Return the routes of the files under /static/, and of the one document at every address of a view."""

    async def document(request: Request) -> Response:
        return known["index.html"].answer(request)

    async def file(request: Request) -> Response:
        found = known.get(request.path_params["path"])
        return found.answer(request) if found else PlainTextResponse("no such file\n", status_code=404)

    return [*(Route(path, document) for path in views), Route("/static/{path:path}", file)]


def nowhere(known: Mapping[str, Asset]) -> Callable[[Request, Exception], Awaitable[Response]]:
    """Return what answers at an address that there is not: to a browser the document, which says so to a person."""

    async def answer(request: Request, error: Exception) -> Response:
        del error
        if "text/html" in request.headers.get("accept", ""):
            return known["index.html"].answer(request, 404)
        return PlainTextResponse("nothing is at this address\n", status_code=404)

    return answer
