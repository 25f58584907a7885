"""A port in use is told before anything starts, with who has it."""

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from topmast import ports
from topmast.errors import PrerequisiteError
from topmast.layout import PORTS, Layout


def test_a_free_port_passes_and_a_taken_one_names_its_holder(
    tmp_path: Path, port: int, eventually: Callable[..., None]
) -> None:
    layout = Layout(tmp_path, tmp_path, port - PORTS["page"])
    with socket.socket() as plug:
        plug.bind(("127.0.0.1", port))
        plug.listen()

        with pytest.raises(PrerequisiteError, match=rf"\(page\) is in use by .*\(pid {os.getpid()}\).*--port-offset"):
            ports.check(layout, ["page"])

    # A process that starts just then holds a copy of the socket until its exec.
    eventually(lambda: ports.free(port), "the port is free again")
    ports.check(layout, ["page"])


def test_an_offset_beyond_the_last_port_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PrerequisiteError, match="not a port"):
        ports.refuse_offset(Layout(tmp_path, tmp_path, 63_000))


def test_what_serves_no_port_is_not_asked() -> None:
    ports.check(Layout(Path(), Path()), ["demo-load"])
