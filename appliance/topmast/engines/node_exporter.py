"""node_exporter: the machine's own CPU, memory, disks and network."""

from topmast.binaries import find
from topmast.component import Component
from topmast.engine import Engine, Setup

# What the rules and dashboards read, and what one looks at next; the rest of its 40 collectors stays off.
COLLECTORS = (
    "cpu",
    "diskstats",
    "filesystem",
    "loadavg",
    "meminfo",
    "netdev",
    "pressure",
    "stat",
    "time",
    "uname",
    "vmstat",
)


def component(setup: Setup) -> Component:
    layout = setup.layout
    program = find("node_exporter", ("node_exporter", "prometheus-node-exporter"), layout, setup.settings, setup.say)
    return Component(
        name="node_exporter",
        argv=(
            str(program.path),
            f"--web.listen-address={layout.address('node_exporter')}",
            "--collector.disable-defaults",
            *(f"--collector.{name}" for name in COLLECTORS),
            "--web.disable-exporter-metrics",
            "--log.level=warn",
        ),
        version=program.version(),
        address=layout.address("node_exporter"),
        ready=f"{layout.url('node_exporter')}/",
        env={"GOMAXPROCS": "1"},
    )


ENGINE = Engine(name="node_exporter", summary="CPU, memory, disks, network of this machine", component=component)
