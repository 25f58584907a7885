"""Our shipper runs from the rendered configuration, and is ready when it answers."""

from topmast.engine import Setup
from topmast.engines.shipper import ENGINE


def test_it_reads_the_rendered_configuration(setup: Setup) -> None:
    component = ENGINE.component(setup)

    assert component.argv[1:] == ("-m", "topmast_shipper", "-c", str(setup.layout.rendered / "topmast.yml"))
    assert component.ready.startswith("http://127.0.0.1:9478/")
    assert (setup.layout.data / "shipper").is_dir()
