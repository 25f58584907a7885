"""The peers of log delivery at work, for benchmarks: Debian's rsyslog, and the package python-logstash-async."""

import json
import os
import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path
from typing import NamedTuple

from topmast import debian, environments
from topmast.acknowledgers import Acknowledger, lumberjack
from topmast.errors import TopmastError
from topmast.processes import cpu_seconds, wait_for

LOGSTASH_ASYNC = "python-logstash-async==4.1.0"
_RSYSLOG = ("rsyslog", "rsyslog-relp", "librelp0", "libestr0", "libfastjson4")

Say = Callable[[str], None]


def rsyslog(state: Path, say: Say) -> Path:
    """Return where rsyslog is unpacked, below the folder of states. Raises PrerequisiteError."""
    return debian.unpack(_RSYSLOG, state / "benchmark-rsyslog", say)


def relp(root: Path, folder: Path, backlog: Path, events: int) -> float:
    """Return the events a second and core of rsyslog, from a file over RELP to a server that writes them to one.

    RELP is the one of its ways that is acknowledged.
    """
    (library,) = (root / "usr" / "lib").glob("*-linux-gnu")
    arrived, state = folder / "arrived.log", folder / "state"
    state.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    module = f"{library}/rsyslog/"
    server, client = folder / "server.conf", folder / "client.conf"
    server.write_text(
        f'module(load="{module}imrelp.so")\ninput(type="imrelp" port="{port}" address="127.0.0.1")\n'
        'template(name="text" type="string" string="%msg%\\n")\n'
        f'action(type="omfile" file="{arrived}" template="text")\n'
    )
    client.write_text(
        f'global(workDirectory="{state}")\nmodule(load="{module}imfile.so")\nmodule(load="{module}omrelp.so")\n'
        f'input(type="imfile" file="{backlog}" tag="app" persistStateInterval="100"'
        ' persistStateAfterSubmission="on")\n'
        f'action(type="omrelp" target="127.0.0.1" port="{port}" action.resumeRetryCount="-1")\n'
    )
    environment = {**os.environ, "LD_LIBRARY_PATH": str(library)}
    argv = [str(root / "usr" / "sbin" / "rsyslogd"), "-n", "-C", "-M", module, "-i"]
    with ExitStack() as stack:
        # at its end it complains that the other is gone
        said = stack.enter_context((folder / "said.log").open("w+"))
        for config in (server, client):
            process = stack.enter_context(
                subprocess.Popen(
                    [*argv, f"{config}.pid", "-f", str(config)], env=environment, stdout=said, stderr=said
                )
            )
            stack.callback(process.kill)
        try:
            wait_for(lambda: _newlines(arrived) >= events, 300)
        except TopmastError as error:
            said.seek(0)
            raise TopmastError(f"rsyslog: {error}: {said.read().strip()[-300:]}") from error
        return events / cpu_seconds(process.pid)


def _newlines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


def logstash_async(state: Path, say: Say) -> Path:
    """Return the interpreter of an environment that has the handler, made when it is not there yet."""
    return environments.made(state / "benchmark-logstash-async", [LOGSTASH_ASYNC], say)


class Handled(NamedTuple):
    """What a run of the handler took."""

    rate: float
    """Events acknowledged a second, from its first record on."""
    cpu_seconds: float
    """With the start of its interpreter."""


def handled(python: Path, script: Path, events: int, batch: int) -> Handled:
    """Return what so many records took through the handler, by benchmarks/in_process/handler.py."""
    with closing(Acknowledger(lumberjack)) as server:
        argv = [str(python), str(script), server.address.rpartition(":")[2], str(events), str(batch)]
        with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
            server.wait_for(events, 300)
            ended = time.monotonic()
            said = json.loads(process.communicate(timeout=120)[0])
    # time.monotonic() is one clock for all processes (Linux)
    return Handled(events / (ended - said["began"]), said["seconds"])
