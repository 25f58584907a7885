"""The peers themselves are measured by the benchmark; here is how a handler is timed, with a stand-in for it."""

import sys
import textwrap
import time
from pathlib import Path

from topmast import logpeers


def test_a_handler_is_timed_from_its_first_record(tmp_path: Path) -> None:
    stand_in = tmp_path / "stand_in_for_the_handler.py"
    stand_in.write_text(
        textwrap.dedent("""
            import json, socket, sys, time
            from topmast_shipper.lumberjack import encode_window

            port, events, batch = map(int, sys.argv[1:])
            time.sleep(0.5)
            began = time.monotonic()
            with socket.create_connection(("127.0.0.1", port)) as server:
                for _ in range(events // batch):
                    server.sendall(encode_window([b"{}"] * batch))
                    server.recv(6)
            print(json.dumps({"began": began, "seconds": 1.5}))
        """)
    )

    before = time.monotonic()
    took = logpeers.handled(Path(sys.executable), stand_in, 3_000, 1_000)

    assert took.cpu_seconds == 1.5
    assert 3_000 / took.rate < time.monotonic() - before - 0.5
