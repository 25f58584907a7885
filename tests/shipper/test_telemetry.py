"""telemetry.py: the families of METRICS.md, valid, bounded, started at 0."""

import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from topmast_shipper.errors import StateError
from topmast_shipper.signatures import Signatures
from topmast_shipper.telemetry import Server, Telemetry
from topmast_shipper.testing import event


@pytest.fixture
def telemetry(tmp_path: Path) -> Telemetry:
    return Telemetry(Signatures(tmp_path / "signatures"))


@pytest.fixture
def server(telemetry: Telemetry) -> Iterator[Server]:
    server = Server("127.0.0.1:0", telemetry)
    yield server
    server.close()


def samples(telemetry: Telemetry) -> dict[tuple[str, tuple[str, ...]], float]:
    return {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in telemetry.collect()
        for sample in family.samples
    }


def test_what_is_configured_starts_at_zero(telemetry: Telemetry) -> None:
    telemetry.expect([("app", "shop"), ("other", "")], ["sqlite"])

    found = samples(telemetry)

    assert set(found.values()) == {0}
    assert [labels for name, labels in found if name == "log_events_total"] == [
        ("shop", level) for level in ("critical", "debug", "error", "info", "warning")
    ]
    assert ("shipper_events_read_total", ("other",)) in found
    assert ("shipper_events_sent_total", ("sqlite",)) in found
    assert ("shipper_lost_total", ("truncated",)) in found
    assert ("log_error_signatures_new_total", ("shop",)) in found


def test_log_events_by_service_and_level(telemetry: Telemetry) -> None:
    telemetry.count_logs([event(0), event(1, level="error"), event(2, level="error", service="cart")])

    found = samples(telemetry)

    assert found["log_events_total", ("shop", "info")] == 1
    assert found["log_events_total", ("shop", "error")] == 1
    assert found["log_events_total", ("cart", "error")] == 1
    assert found["log_events_total", ("cart", "critical")] == 0


def test_services_beyond_the_bound_are_counted_together(telemetry: Telemetry) -> None:
    telemetry.count_logs(event(number, service=f"service-{number}") for number in range(150))

    found = {labels: value for (name, labels), value in samples(telemetry).items() if name == "log_events_total"}

    assert len({service for service, _ in found}) == 101
    assert found["_other", "info"] == 50


def test_an_error_of_a_new_shape_is_counted_once(telemetry: Telemetry) -> None:
    telemetry.count_logs(
        [event(number, level="error", message=f"order {number} failed: 'x{number}'") for number in range(9)]
    )
    telemetry.count_logs([event(10, level="error", message="another")])

    assert samples(telemetry)["log_error_signatures_new_total", ("shop",)] == 2


def test_metrics_are_served_as_prometheus_reads_them(server: Server, telemetry: Telemetry) -> None:
    telemetry.expect([("app", "shop")], ["sqlite"])

    with urllib.request.urlopen(f"http://{server.address}/metrics", timeout=10) as answer:
        content_type, body = answer.headers["Content-Type"], answer.read().decode()

    names = {family.name for family in text_string_to_metric_families(body)}
    assert content_type == "text/plain; version=0.0.4; charset=utf-8"
    assert {"shipper_events_read", "shipper_lost", "log_events"} <= names
    assert "_created" not in body


def test_another_path_is_not_found(server: Server) -> None:
    with pytest.raises(urllib.error.HTTPError, match="404") as caught:
        urllib.request.urlopen(f"http://{server.address}/", timeout=10)
    caught.value.close()


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 here")
def test_an_address_of_ipv6(telemetry: Telemetry) -> None:
    server = Server("[::1]:0", telemetry)

    with urllib.request.urlopen(f"http://{server.address}/healthz", timeout=10) as answer:
        assert answer.read() == b"ok\n"
    server.close()


def test_an_address_in_use_says_so(server: Server, telemetry: Telemetry) -> None:
    with pytest.raises(StateError, match=f"{server.address}: Address already in use"):
        Server(server.address, telemetry)
