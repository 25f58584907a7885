"""node_exporter reads what the rules need, and listens on loopback."""

from topmast.engine import Setup
from topmast.engines.node_exporter import ENGINE


def test_the_collectors_that_the_rules_read_are_on(setup: Setup) -> None:
    argv = ENGINE.component(setup).argv

    assert "--web.listen-address=127.0.0.1:9107" in argv
    needed = {"cpu", "loadavg", "meminfo", "vmstat", "pressure", "filesystem"}
    assert needed <= {flag.removeprefix("--collector.") for flag in argv}
