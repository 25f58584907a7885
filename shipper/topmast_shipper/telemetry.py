"""What the shipper says of itself: the shipper_* and log_* families of METRICS.md, served for Prometheus."""

import socket
from collections.abc import Callable, Iterable, Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import compress
from threading import Lock, Thread

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

from topmast_shipper import listening
from topmast_shipper.ecs import LEVELS
from topmast_shipper.errors import StateError
from topmast_shipper.event import Event
from topmast_shipper.signatures import Signatures
from topmast_shipper.window import of

_MAX_SERVICES = 100
OTHER = "_other"
_ERRORS = frozenset({"error", "critical"})
LOST_REASONS = ("truncated", "deleted", "held", "damaged", "dead_letters", "full", "too_long")
"""Why unread data can be gone; each starts at 0."""

_COUNTERS: dict[str, tuple[str, tuple[str, ...]]] = {
    "shipper_events_read_total": ("Lines read from an input.", ("input",)),
    "shipper_events_sent_total": ("Events that a sink has settled.", ("sink",)),
    "shipper_events_refused_total": ("Events that a sink refused for good.", ("sink", "reason")),
    "shipper_lost_total": ("Contents that were gone before they were read; must stay 0.", ("reason",)),
    "shipper_lost_bytes_total": ("Bytes of contents that were gone before they were read.", ("reason",)),
    "shipper_send_errors_total": ("Failed attempts to send a window.", ("sink", "reason")),
    "shipper_read_errors_total": ("Failed attempts to read a file.", ("input",)),
    "shipper_dead_letters_total": ("Events written to the dead-letter file.", ("reason",)),
    "log_events_total": ("Log events by service and level.", ("service", "level")),
    "log_error_signatures_new_total": ("Errors of a shape never seen before.", ("service",)),
}


class Telemetry:
    """Counters by label values, and gauges asked for at scrape time. Thread-safe."""

    def __init__(self, signatures: Signatures) -> None:
        self._signatures = signatures
        self._mutex = Lock()
        self._counts: dict[str, dict[tuple[str, ...], float]] = {name: {} for name in _COUNTERS}
        self._services: set[str] = set()
        self.gauges: Callable[[], Iterable[Metric]] = tuple
        """Set by the pipeline: what is true now."""
        for reason in LOST_REASONS:
            self.add("shipper_lost_total", (reason,), 0)
            self.add("shipper_lost_bytes_total", (reason,), 0)

    def expect(self, inputs: Sequence[tuple[str, str]], sinks: Sequence[str]) -> None:
        """Start the series of what is configured at 0, so that a first increment is visible."""
        for name, service in inputs:
            self.add("shipper_events_read_total", (name,), 0)
            if service:
                self._service(service)
        for sink in sinks:
            self.add("shipper_events_sent_total", (sink,), 0)

    def add(self, name: str, labels: tuple[str, ...], amount: float = 1) -> None:
        with self._mutex:
            counts = self._counts[name]
            counts[labels] = counts.get(labels, 0) + amount

    def lost(self, reason: str, unread_bytes: int) -> None:
        self.add("shipper_lost_total", (reason,))
        self.add("shipper_lost_bytes_total", (reason,), unread_bytes)

    def count_logs(self, events: Sequence[Event]) -> None:
        """Count events by service and level, and errors of a new shape."""
        window = of(events)
        counts = window.counts()
        for (name, level), count in counts.items():
            self.add("log_events_total", (self._service(name or "_unknown"), level), count)
        if not any(level in _ERRORS for _, level in counts):
            return
        errors = list(map(_ERRORS.__contains__, window.levels))
        names = {name: self._service(name or "_unknown") for name, _ in counts}
        services = [names[name] for name in compress(window.services, errors)]
        documents, bare = list(compress(window.documents, errors)), list(compress(window.bare, errors))
        for at in self._signatures.news(services, documents, bare):
            self.add("log_error_signatures_new_total", (services[at],))

    def collect(self) -> Iterator[Metric]:
        """Yield every family (the collector interface of prometheus_client)."""
        with self._mutex:
            counts = {name: dict(each) for name, each in self._counts.items()}
        for name, (help_text, labels) in _COUNTERS.items():
            family = CounterMetricFamily(name, help_text, labels=labels)
            for values, count in sorted(counts[name].items()):
                family.add_metric(values, count)
            yield family
        yield from self.gauges()

    def _service(self, name: str) -> str:
        if name in self._services:
            return name
        if len(self._services) >= _MAX_SERVICES:
            return OTHER
        self._services.add(name)
        for level in LEVELS:
            self.add("log_events_total", (name, level), 0)
        self.add("log_error_signatures_new_total", (name,), 0)
        return name


def gauge(name: str, help_text: str, label: str, values: Iterable[tuple[str, float]]) -> Metric:
    """Return a gauge family with one label; without one when `label` is empty."""
    family = GaugeMetricFamily(name, help_text, labels=[label] if label else [])
    for value, number in values:
        family.add_metric([value] if label else [], number)
    return family


class Server:
    """Answers `/metrics` (and `/healthz`) until closed."""

    def __init__(self, listen: str, telemetry: Telemetry) -> None:
        registry = CollectorRegistry(auto_describe=False)
        registry.register(telemetry)
        place = listening.place(listen)
        try:
            self._server = _Listener(place, _handler(registry))
        except OSError as error:
            raise StateError(f"{listen}: {error.strerror}") from error
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 5}, daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        host, port = self._server.server_address[:2]
        return f"[{host!s}]:{port}" if ":" in str(host) else f"{host!s}:{port}"

    def close(self) -> None:
        # `shutdown` would wait for the poll interval; the thread is a daemon and holds nothing
        self._server.server_close()


class _Listener(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, place: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        if ":" in place[0]:
            self.address_family = socket.AF_INET6
        super().__init__(place, handler)


def _handler(registry: CollectorRegistry) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = 10
        server_version = "topmast-shipper"
        sys_version = ""

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            if path == "/metrics":
                self._answer(200, generate_latest(registry), CONTENT_TYPE_PLAIN_0_0_4)
            elif path == "/healthz":
                self._answer(200, b"ok\n", "text/plain; charset=utf-8")
            else:
                self._answer(404, b"see /metrics\n", "text/plain; charset=utf-8")

        def _answer(self, status: int, body: bytes, content_type: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Scrapes are not worth a line."""

    return Handler
