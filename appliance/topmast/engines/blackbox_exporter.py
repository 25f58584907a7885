"""blackbox_exporter: asks pages from outside, as a visitor would. Only where topmast.yml names one."""

from topmast import outside
from topmast.binaries import find
from topmast.component import Component
from topmast.engine import Engine, Setup

PACKAGES = ("prometheus-blackbox-exporter",)


def component(setup: Setup) -> Component:
    layout = setup.layout
    names = ("blackbox_exporter", "prometheus-blackbox-exporter")
    program = find("blackbox_exporter", names, layout, setup.settings, setup.say, PACKAGES)
    return Component(
        name="blackbox_exporter",
        argv=(
            str(program.path),
            f"--config.file={layout.monitoring / 'blackbox' / 'blackbox.yml'}",
            f"--web.listen-address={layout.address('blackbox_exporter')}",
            "--log.level=warn",
        ),
        version=program.version(),
        address=layout.address("blackbox_exporter"),
        ready=f"{layout.url('blackbox_exporter')}/-/healthy",
        env={"GOMAXPROCS": "1"},
    )


ENGINE = Engine(
    name="blackbox_exporter",
    summary="pages asked from outside: status, time, name, certificate",
    component=component,
    job=outside.JOB,
)
