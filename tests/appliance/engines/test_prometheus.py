"""Prometheus is started on loopback, with the retention of the configuration on flags."""

from topmast.engine import Setup
from topmast.engines.prometheus import ENGINE


def test_it_keeps_what_the_configuration_says_on_the_moved_port(setup: Setup) -> None:
    component = ENGINE.component(setup)

    assert component.version == "9.8.7"
    assert component.address == "127.0.0.1:9097"
    assert "--web.listen-address=127.0.0.1:9097" in component.argv
    assert "--storage.tsdb.retention.time=12d" in component.argv
    assert "--storage.tsdb.retention.size=3000000B" in component.argv
    assert "--enable-feature=exemplar-storage" in component.argv


def test_no_flag_opens_its_life_cycle_or_admin_api(setup: Setup) -> None:
    assert not [flag for flag in ENGINE.component(setup).argv if "enable-lifecycle" in flag or "admin-api" in flag]
