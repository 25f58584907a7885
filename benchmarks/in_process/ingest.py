"""`ingest.py FOLDER EVENTS SINGLES`: events over HTTP into a real exporter; prints what it took a second, as JSON.

{"batch": [events a second of the exporter's CPU time, events a second by the clock], "single": […]}
"""

import http.client
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from socket import IPPROTO_TCP, TCP_NODELAY, create_connection, create_server

MODELS = ("gpt-4o", "gpt-4o-mini", "gpt-4.1", "o3-mini")
FEATURES = ("search", "chat", "summary", "")

_HEAD = (
    b"POST /v1/usage HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/x-ndjson\r\ncontent-length: %d\r\n\r\n"
)


def main(folder: Path, batch: int, singles: int) -> None:
    """Print the rates of both."""
    found = {}
    with _exporter(folder) as (port, pid):
        for name, count, size, connections in (("batch", batch, 1_000, 2), ("single", singles, 1, 8)):
            bodies = [_body(f"{name}-{start}", size) for start in range(0, count, size)]
            began, cpu = time.perf_counter(), _cpu_of(pid)
            _push(port, bodies, connections)
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


def _push(port: int, bodies: Sequence[bytes], connections: int) -> None:
    """Send the bodies over so many connections at once; raises RuntimeError when one is not taken whole."""

    def send(share: Sequence[bytes]) -> None:
        with closing(create_connection(("127.0.0.1", port), timeout=60)) as connection:
            connection.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
            for body in share:
                while True:
                    connection.sendall(_HEAD % len(body) + body)  # as one, as fetch() does
                    response = http.client.HTTPResponse(connection)
                    response.begin()
                    told = response.read()
                    if response.status != 429:
                        break
                    time.sleep(0.05)  # what a full ledger asks for, in a benchmark's measure
                if response.status != 202 or json.loads(told)["rejected"]:
                    raise RuntimeError(f"ingest: {response.status} {told[:200]!r}")

    with ThreadPoolExecutor(connections) as pool:
        list(pool.map(send, [bodies[number::connections] for number in range(connections)]))


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
                except (OSError, http.client.HTTPException) as error:
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
