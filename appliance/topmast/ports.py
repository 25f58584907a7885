"""Is a port free, and who has it? Asked before anything starts."""

import contextlib
import socket
from collections.abc import Iterable
from pathlib import Path

from topmast.errors import PrerequisiteError
from topmast.layout import LOOPBACK, PORTS, Layout


def refuse_offset(layout: Layout) -> None:
    """Raise PrerequisiteError where the offset moves a port to a number that none has."""
    for name in PORTS:
        if not 0 < (port := layout.port(name)) < 65536:
            raise PrerequisiteError(f"port {port} for {name}: not a port; choose another --port-offset")


def check(layout: Layout, components: Iterable[str]) -> None:
    """Raise PrerequisiteError for the first port of `components` that is in use, naming who has it."""
    for name in components:
        if name not in PORTS:
            continue
        port = layout.port(name)
        if not free(port):
            raise PrerequisiteError(
                f"port {port} ({name}) is in use{holder(port)}; stop that, or move all ports with --port-offset N"
            )


def free(port: int, address: str = LOOPBACK) -> bool:
    """Return whether `port` of this machine's address can be listened on now."""
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as plug:
        # As the servers themselves do: a port in TIME_WAIT from a run just before is free.
        plug.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            plug.bind((address, port))
        except OSError:
            return False
    return True


def of_this_machine(address: str) -> bool:
    """Return whether something can listen on the address here."""
    return free(0, address)


def holder(port: int) -> str:
    """Return ` by NAME (pid N)` of the process that listens on `port`, or nothing where that cannot be seen."""
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError):
            for line in Path(table).read_text().splitlines()[1:]:
                fields = line.split()
                # proc(5): local address is field 1, state 0A is LISTEN, the socket's inode is field 9
                if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:
                    inodes.add(f"socket:[{fields[9]}]")
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            for descriptor in (process / "fd").iterdir():
                if str(descriptor.readlink()) in inodes:
                    return f" by {(process / 'comm').read_text().strip()} (pid {process.name})"
    return ""
