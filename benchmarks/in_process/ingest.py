"""`ingest.py FOLDER EVENTS SINGLES`: events over HTTP into a real exporter; prints what it took a second, as JSON.

{"batch": [events a second of the exporter's CPU time, events a second by the clock], "single": […], "few": […]}

`single` is what a front end of functions sends: each of many senders one event, and the next one when it is answered.
`few` is the same of eight, who share a commit among fewer.
"""

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from selectors import EVENT_READ, DefaultSelector
from socket import IPPROTO_TCP, TCP_NODELAY, create_connection, create_server, socket

MODELS = ("gpt-4o", "gpt-4o-mini", "gpt-4.1", "o3-mini")
FEATURES = ("search", "chat", "summary", "")

_HEAD = (
    b"POST /v1/usage HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/x-ndjson\r\ncontent-length: %d\r\n\r\n"
)


def main(folder: Path, batch: int, singles: int) -> None:
    """Print the rates of both."""
    found = {}
    with _exporter(folder) as (port, pid):
        for name, count, size, senders in (
            ("batch", batch, 1_000, 2),
            ("single", singles, 1, 32),
            ("few", singles, 1, 8),
        ):
            bodies = [_body(f"{name}-{start}", size) for start in range(0, count, size)]
            began, cpu = time.perf_counter(), _cpu_of(pid)
            _push(port, bodies, senders)
            wall, used = time.perf_counter() - began, _cpu_of(pid) - cpu
            found[name] = [count / max(used, 0.01), count / wall]
    print(json.dumps(found))


def _body(prefix: str, size: int) -> bytes:
    lines = []
    for number in range(size):
        event = {
            "id": f"{prefix}-{number}",
            "provider": "openai",
            "model": MODELS[number % len(MODELS)],
            "feature": FEATURES[number % len(FEATURES)],
            "usage": {"input": 1000 + number, "output": 99, "cache_read": 512},
            "convention": "total",
            "duration_seconds": 1.25,
        }
        lines.append(json.dumps(event))
    return "\n".join(lines).encode()


def _push(port: int, bodies: Sequence[bytes], senders: int) -> None:
    """Send the bodies over so many connections at once; raises RuntimeError when one is not taken whole.

    In one thread: threads for the senders would be slower than what is measured, and take the time of its core.
    """
    with ExitStack() as stack:
        selector = stack.enter_context(DefaultSelector())
        for number in range(senders):
            connection = stack.enter_context(create_connection(("127.0.0.1", port), timeout=60))
            connection.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
            share = iter(bodies[number::senders])
            _send(connection, next(share, b""))
            selector.register(connection, EVENT_READ, share)
        left = len(bodies)
        while left:
            ready = selector.select(60)
            if not ready:
                raise RuntimeError("ingest: no answer within 60 s")
            for key, _ in ready:
                connection = key.fileobj
                _check(connection.recv(65_536))  # an answer is one write
                left -= 1
                _send(connection, next(key.data, b""))


def _send(connection: socket, body: bytes) -> None:
    if body:
        connection.sendall(_HEAD % len(body) + body)  # as one, as fetch() does


def _check(answer: bytes) -> None:
    head, _, told = answer.partition(b"\r\n\r\n")
    if head[9:12] != b"202" or json.loads(told)["rejected"]:
        raise RuntimeError(f"ingest: {answer[:300]!r}")


@contextmanager
def _exporter(folder: Path) -> Iterator[tuple[int, int]]:
    """Yield the ingest's port and the process id of a standalone exporter that has its prices."""
    folder.mkdir()
    with ExitStack() as stack:
        sockets = [stack.enter_context(create_server(("127.0.0.1", 0))) for _ in range(2)]
        scrape, ingest = (int(one.getsockname()[1]) for one in sockets)
    section = {
        "listen": f"127.0.0.1:{scrape}",
        "data": str(folder / "data"),
        "ingest": {"listen": f"127.0.0.1:{ingest}"},
        "workers": {"socket": str(folder / "workers")},
    }
    config = folder / "topmast.yml"
    config.write_text(json.dumps({"exporter": section}), encoding="utf-8")
    argv = [sys.executable, "-m", "topmast_exporter", "-c", str(config)]
    log = folder / "log"
    with log.open("wb") as file, subprocess.Popen(argv, stdout=file, stderr=file) as process:
        try:
            deadline = time.monotonic() + 60
            while True:
                try:
                    _push(ingest, [_body("warm", 1)], 1)
                    break
                except (OSError, RuntimeError) as error:
                    if process.poll() is not None or time.monotonic() > deadline:
                        raise RuntimeError(f"the exporter does not start: {log.read_text()[-300:]!r}") from error
                    time.sleep(0.05)  # a process that starts tells nobody when it listens
            yield ingest, process.pid
        finally:
            process.kill()


def _cpu_of(pid: int) -> float:
    """Return the CPU seconds that a process has used (proc(5): utime and stime, 100 a second)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
