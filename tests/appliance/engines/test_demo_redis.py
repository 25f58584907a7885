"""The demo's cache: a real server, bounded, on loopback, gone with its process."""

import subprocess
import time
from pathlib import Path

import redis
from topmast import probe
from topmast.engine import Setup
from topmast.engines.demo_redis import ENGINE
from topmast.layout import PORTS, Layout


def test_it_is_a_cache_of_64_mb_that_evicts(tmp_path: Path, port: int) -> None:
    layout = Layout(tmp_path, tmp_path / "state", port - PORTS["demo-redis"])
    component = ENGINE.component(Setup(layout, {}, demo=True, real_clocks=False, say=print))

    process = subprocess.Popen(component.argv, stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 30
        while not probe.answers(component.ready):
            assert process.poll() is None and time.monotonic() < deadline, "the server did not come up"
            time.sleep(0.02)
        with redis.Redis(port=layout.port("demo-redis")) as client:
            told = client.config_get("maxmemory", "maxmemory-policy", "bind", "save", "appendonly")
    finally:
        process.terminate()
        process.wait(10)

    assert told == {
        "maxmemory": str(64 * 1024**2),
        "maxmemory-policy": "allkeys-lru",
        "bind": "127.0.0.1",
        "save": "",
        "appendonly": "no",
    }
    assert component.version
    assert process.returncode == 0
