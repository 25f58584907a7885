"""What a worker and the exporter say to each other over a local Unix socket.

A message is its length (4 bytes, big-endian) and that many bytes of JSON:

worker                                             exporter
{"version": 1, "app": "shop", "worker": "<id>"} ─▶
                                                ◀─ {"epoch": "<id of the kept sums>", "sequence": 41}
{"sequence": 42, "families": …, "counters": …}  ─▶
                                                ◀─ {"acknowledged": 42}
                                                   or {"refused": "why"}, and the end of the connection

A delta that was acknowledged is on the exporter's disk. One that was not is sent again under its number, and what was
counted already by that number is not counted again.
"""

import json
import os
import re
import socket
import stat
import struct
import tempfile
from pathlib import Path
from typing import Any

VERSION = 1

LENGTH = struct.Struct(">I")

# 20,000 label sets at their longest.
MAX_MESSAGE_BYTES = 16 * 2**20

APP_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
WORKER_ID = re.compile(r"[0-9a-f]{32}")

APP_VARIABLE, SOCKET_VARIABLE = "TOPMAST_APP", "TOPMAST_WORKERS_SOCKET"

DEFAULT_PORT = 9470


class WireError(Exception):
    """The other side does not speak this language, or refused."""


def default_socket(port: int = DEFAULT_PORT) -> Path:
    """Return where the exporter that is scraped at `port` takes deltas: a folder of this user's alone."""
    return Path(tempfile.gettempdir()) / f"topmast-{os.getuid()}" / f"workers-{port}.sock"


def is_private(folder: Path) -> bool:
    """Return whether nobody but this user (and root) can put another socket into this folder."""
    about = folder.stat()
    return about.st_uid in (os.getuid(), 0) and not about.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def encode(message: dict[str, Any]) -> bytes:
    """Return a message as bytes. Raises WireError when it is too long."""
    body = json.dumps(message, separators=(",", ":")).encode()
    if len(body) > MAX_MESSAGE_BYTES:
        raise WireError(f"a message has at most {MAX_MESSAGE_BYTES} bytes, not {len(body)}")
    return LENGTH.pack(len(body)) + body


def decode(body: bytes) -> dict[str, Any]:
    """Return the message of a body. Raises WireError when it is none."""
    try:
        message = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise WireError("not a message: no JSON") from error
    if not isinstance(message, dict):
        raise WireError("not a message: no object")
    return message


def length_of(head: bytes) -> int:
    """Return how many bytes follow. Raises WireError when they are too many."""
    length = int(LENGTH.unpack(head)[0])
    if length > MAX_MESSAGE_BYTES:
        raise WireError(f"a message has at most {MAX_MESSAGE_BYTES} bytes, not {length}")
    return length


def ask(connection: socket.socket, message: dict[str, Any]) -> dict[str, Any]:
    """Send a message and return its answer. Raises OSError, or WireError for a refusal."""
    connection.sendall(encode(message))
    answer = decode(_receive(connection, length_of(_receive(connection, LENGTH.size))))
    if "refused" in answer:
        raise WireError(f"refused: {str(answer['refused'])[:200]}")
    return answer


def _receive(connection: socket.socket, count: int) -> bytes:
    parts = []
    while count:
        part = connection.recv(min(count, 65_536))
        if not part:
            raise ConnectionError("the exporter hung up")
        parts.append(part)
        count -= len(part)
    return b"".join(parts)
