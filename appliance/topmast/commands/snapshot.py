"""`topmast snapshot`: a picture of a dashboard or of one panel, as the page draws it."""

import json
import math
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import click

from topmast import chromium, compose, devtools, lock
from topmast.cli import Call
from topmast.errors import NotRunningError, TopmastError
from topmast.layout import Layout
from topmast.page import dashboards
from topmast.page.settings import from_layout

HOME = "application-overview"
PHONE_WIDTH = 390
HEIGHT = 900
# A dashboard of a hundred panels is no picture any more.
MAX_HEIGHT = 12_000
# The page says of each panel how it stands; the fonts and the last frame are waited for as well.
SETTLED = (
    "window.topmastPanels && topmastPanels.length && topmastPanels.every((each) => each.state !== 'loading')"
    " && document.fonts.ready.then(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame("
    "() => done(topmastPanels.map(({id, title, state}) => ({id, title, state}))))))) || null"
)


@click.command()
@click.argument("what", required=False, default=HOME, metavar="[PANEL|DASHBOARD]")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    metavar="FILE.png",
    help="Where the picture goes.",
)
@click.option("--from", "since", default="", metavar="TIME", help="Such as now-6h; without it the dashboard's own.")
@click.option("--to", "until", default="", metavar="TIME", help="Such as now-1h, or unix milliseconds.")
@click.option("--light", is_flag=True, help="Light instead of dark.")
@click.option("--width", type=click.IntRange(320, 4000), default=1440, show_default=True, help="In CSS pixels.")
@click.option("--height", type=click.IntRange(100, MAX_HEIGHT), help="No more than so much of it, from the top.")
@click.option("--scale", type=click.FloatRange(0.5, 4), default=1.0, show_default=True, help="Pixels of each.")
@click.option("--json", "as_json", is_flag=True, help="Print {file, address, width, height, panels: […]}.")
@click.pass_obj
def snapshot(
    call: Call,
    what: str,
    output: Path,
    since: str,
    until: str,
    light: bool,
    width: int,
    height: int | None,
    scale: float,
    as_json: bool,
) -> None:
    """Write a picture of a dashboard or a panel, for a report or a message.

    Without an argument it is the overview. A dashboard is named by its file or its title, a panel by its title or
    as DASHBOARD/NUMBER; `topmast snapshot "Error ratio" -o errors.png` finds the first of that title. The page must
    be running, and a Chromium be there; where it is missing, it is said how to get it.
    """
    layout = Layout(call.home, call.state)
    address = _page(layout)
    dashboard, panel = find(from_layout(layout).dashboard_folders, what)
    program = chromium.find(layout, lambda text: click.echo(text, err=True))
    wanted = {"from": since, "to": until, "refresh": "off", "viewPanel": "" if panel is None else str(panel)}
    search = urlencode({name: value for name, value in wanted.items() if value})
    url = f"http://{address}/d/{quote(dashboard)}?{search}"
    with devtools.tab(program) as tab:
        tab.screen(width, HEIGHT, scale=scale, mobile=width <= PHONE_WIDTH, scheme="light" if light else "dark")
        tab.call("Page.navigate", url=url)
        states = tab.wait_for(SETTLED, f"{url} draws its panels")
        box = _box(tab, None if panel is None else f"#panel-{panel}")
        box["height"] = min(box["height"], height or MAX_HEIGHT)
        image = tab.picture(box)
    _write(output, image)
    told = {
        "file": str(output),
        "address": url,
        "width": round(box["width"] * scale),
        "height": round(box["height"] * scale),
        "panels": states,
    }
    if as_json:
        click.echo(json.dumps(told, indent=2))
        return
    drawn = sum(each["state"] == "ready" for each in states)
    click.echo(f"{output}: {told['width']} × {told['height']}, {drawn} of {len(states)} panels with data")


def find(folders: tuple[Path, ...], what: str) -> tuple[str, int | None]:
    """Return the dashboard's name, and the panel's id or None. Raises TopmastError naming what there is."""
    listed = [entry for entry in dashboards.listing(folders) if "error" not in entry]
    for entry in listed:
        if what in (entry["name"], entry["uid"], entry["title"]):
            return str(entry["name"]), None
    prefix, _, number = what.rpartition("/")
    # The overview first: a title that stands on several dashboards means its panel there.
    ordered = sorted(listed, key=lambda entry: entry["name"] != HOME)
    for entry in ordered:
        for panel in panels(dashboards.read(folders, entry["name"])):
            named = str(panel.get("title", "")).casefold() == what.casefold()
            if named or (prefix == entry["name"] and number == str(panel.get("id"))):
                return str(entry["name"]), int(panel["id"])
    known = ", ".join(entry["name"] for entry in listed)
    raise TopmastError(f"no dashboard and no panel {what[:80]!r}; dashboards: {known}; a panel by its title")


def panels(model: dict[str, Any]) -> list[dict[str, Any]]:
    """Return every panel that has an id, those of folded rows included, without the rows."""
    every = [inner for panel in model["panels"] for inner in (panel, *(panel.get("panels") or []))]
    return [panel for panel in every if isinstance(panel, dict) and panel.get("type") != "row" and "id" in panel]


def _page(layout: Layout) -> str:
    """Return the running page's HOST:PORT. Raises NotRunningError."""
    if compose.mode(layout, None) == "compose":
        return compose.url(layout, "page").removeprefix("http://")
    for one in lock.status(layout)["components"]:
        if one["name"] == "page":
            return str(one["address"])
    raise NotRunningError("the page is not running yet; `topmast status` tells how far it is")


def _box(tab: devtools.Tab, selector: str | None) -> dict[str, float]:
    """Return the rectangle of the panel, or of the whole document."""
    if selector is None:
        size = tab.evaluate("[document.documentElement.scrollWidth, document.documentElement.scrollHeight]")
        return {"x": 0, "y": 0, "width": size[0], "height": size[1]}
    inner = json.dumps(selector)
    x, y, width, height = tab.evaluate(
        "(({x, y, width, height}) => [x + scrollX, y + scrollY, width, height])"
        f"(document.querySelector({inner}).getBoundingClientRect())"
    )
    return {"x": math.floor(x), "y": math.floor(y), "width": math.ceil(width), "height": math.ceil(height)}


def _write(path: Path, image: bytes) -> None:
    """Write the picture whole or not at all. Raises TopmastError."""
    draft = path.with_name(f".{path.name}.part")
    try:
        draft.write_bytes(image)
        draft.replace(path)
    except OSError as error:
        raise TopmastError(f"{path}: cannot be written: {error.strerror}") from error


COMMAND = snapshot
