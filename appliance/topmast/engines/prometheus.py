"""Prometheus: scrapes, evaluates the rules, keeps the samples. The real one, version 2.42 or newer."""

from topmast.binaries import find
from topmast.component import Component
from topmast.engine import Engine, Setup


def component(setup: Setup) -> Component:
    layout = setup.layout
    program = find("prometheus", ("prometheus",), layout, setup.settings, setup.say)
    data = layout.data / "prometheus"
    data.mkdir(parents=True, exist_ok=True)
    retention = setup.settings["retention"]
    argv = (
        str(program.path),
        f"--config.file={layout.rendered / 'prometheus' / 'prometheus.yml'}",
        f"--storage.tsdb.path={data}",
        # Retention stays on flags: 2.42 refuses it in the file, 3.x still knows the flags.
        f"--storage.tsdb.retention.time={retention['metrics_days']}d",
        f"--storage.tsdb.retention.size={retention['metrics_bytes']}B",
        "--storage.tsdb.wal-compression",
        "--enable-feature=exemplar-storage",
        f"--web.listen-address={layout.address('prometheus')}",
        f"--web.external-url={layout.url('prometheus')}/",
        # A page that asks for too much must not take the engine down with it.
        "--query.max-concurrency=8",
        "--query.timeout=30s",
        "--query.max-samples=20000000",
        "--log.level=warn",
    )
    return Component(
        name="prometheus",
        argv=argv,
        version=program.version(),
        address=layout.address("prometheus"),
        ready=f"{layout.url('prometheus')}/-/ready",
        # Halves the heap's head-room; a scrape every 15 s leaves the collector all the time it wants.
        env={"GOGC": "50"},
        stop_seconds=20.0,
    )


ENGINE = Engine(name="prometheus", summary="scrapes, rules, samples", component=component)
