"""A tab of a real Chromium: it is asked, it hears complaints, and both it and its browser end."""

import os
import shutil
import socket
from pathlib import Path

import pytest
from http_stub import serving
from topmast.errors import PrerequisiteError, TopmastError
from topmast.tab import open_tab


@pytest.mark.browser
def test_a_page_is_opened_asked_and_pictured() -> None:
    chromium = os.environ.get("TOPMAST_CHROMIUM") or shutil.which("chromium")
    if not chromium:
        pytest.skip("no chromium: `./topmast test --suite browser` gets it")
    with serving() as stub, open_tab(Path(chromium), 320, 200) as tab:
        tab.open(f"{stub.url}/hello")
        tab.ask("setTimeout(() => { window.late = 3; console.error('oh', 1); }, 50)")

        assert tab.wait("window.late === 3", 10)
        assert tab.ask("Promise.resolve({answer: window.late, width: innerWidth})") == {"answer": 3, "width": 320}
        assert not tab.wait("false", 0.2)
        assert tab.picture().startswith(b"\x89PNG")
        assert tab.complaints[-1:] == ["oh 1"]
        with pytest.raises(TopmastError, match=r"nothing\.here"):
            tab.ask("nothing.here")
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))  # bound, and nobody listens
            with pytest.raises(TopmastError, match="ERR_CONNECTION_REFUSED"):
                tab.open(f"http://127.0.0.1:{taken.getsockname()[1]}")


def test_a_browser_that_ends_at_once_says_why(tmp_path: Path) -> None:
    broken = tmp_path / "chromium"
    broken.write_text("#!/bin/sh\necho no display >&2\nexit 3\n")
    broken.chmod(0o755)

    with pytest.raises(PrerequisiteError, match="no display"), open_tab(broken):
        pass
