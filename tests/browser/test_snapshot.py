"""A picture of a dashboard or a panel, taken by the command, of the page that the tests run."""

import json
import os
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import click.testing
import pytest
from browser_stack import Stack, program
from shown_panels import OWN_STACK
from topmast import lock
from topmast.cli import Call
from topmast.commands.snapshot import COMMAND
from topmast.layout import Layout, find_home

pytestmark = pytest.mark.browser

Take = Callable[..., click.testing.Result]


@pytest.fixture
def take(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Iterator[Take]:
    """Call `topmast snapshot` as if a supervisor kept the stack's page."""
    if stack.state is None:
        pytest.skip(OWN_STACK)
    monkeypatch.setenv("TOPMAST_CHROMIUM", program("TOPMAST_CHROMIUM", "chromium", "chromium-browser"))
    descriptor = lock.acquire(Layout(find_home(), stack.state), print)
    components = [{"name": "page", "address": urlsplit(stack.url).netloc}]
    (stack.state / "run" / "status.json").write_text(json.dumps({"pid": os.getpid(), "components": components}))

    def call(*arguments: str) -> click.testing.Result:
        given = Call(find_home(), stack.state or Path(), None)
        return click.testing.CliRunner().invoke(COMMAND, arguments, obj=given)

    yield call
    (stack.state / "run" / "status.json").unlink()
    os.close(descriptor)


def size(path: Path) -> tuple[int, int]:
    """Return a PNG's width and height: the first two numbers of its first chunk."""
    data = path.read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", data[16:24])
    return width, height


def test_the_whole_overview(take: Take, tmp_path: Path) -> None:
    told = take("-o", str(tmp_path / "all.png"), "--json")

    answer = json.loads(told.output)
    assert (len(answer["panels"]), {each["state"] for each in answer["panels"]}) == (17, {"ready"})
    assert size(tmp_path / "all.png") == (1440, answer["height"])
    assert answer["height"] > 1500


def test_one_panel_in_light_and_at_twice_the_pixels(take: Take, tmp_path: Path) -> None:
    told = take("error ratio", "--light", "--width", "800", "--scale", "2", "-o", str(tmp_path / "one.png"))

    assert told.output.endswith("1 of 1 panels with data\n")
    assert size(tmp_path / "one.png")[0] > 1400
    assert [path.name for path in tmp_path.iterdir()] == ["one.png"]


def test_what_cannot_be_written_is_said(take: Take, tmp_path: Path) -> None:
    told = take("--height", "400", "-o", str(tmp_path / "none" / "x.png"))

    assert "x.png: cannot be written: No such file or directory" in str(told.exception)
