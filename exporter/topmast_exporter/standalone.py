"""The standalone exporter: one process that reads the servers, keeps the ledger and answers the scrapes.

SIGHUP reads the configuration again (servers, prices, budgets, token, dependencies; listeners and the data folder
need a restart); SIGTERM and SIGINT commit what waits and end it.
"""

import argparse
import asyncio
import gc
import logging
import signal
import socket
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from topmast_exporter import __version__, listener
from topmast_exporter.admission import Limits
from topmast_exporter.config import DEPENDENCIES, Address, ExporterConfig, load
from topmast_exporter.doors import Doors
from topmast_exporter.errors import ConfigError
from topmast_exporter.guard import Guard
from topmast_exporter.ingest import PATHS, Ingest
from topmast_exporter.ledger import Ledger
from topmast_exporter.ledger_schema import LedgerError
from topmast_exporter.pricing.keeper import Keeper
from topmast_exporter.pricing.price import Pricer
from topmast_exporter.refresh import Targets
from topmast_exporter.registry import Registry
from topmast_exporter.server import ProbeBodies, Server
from topmast_exporter.web import is_loopback
from topmast_exporter.workers import intake
from topmast_exporter.workers.intake import Intake
from topmast_exporter.workers.store import StoreError
from topmast_exporter.workers.wire import default_socket

log = logging.getLogger("topmast_exporter")

# sysexits.h
EX_UNAVAILABLE, EX_CANTCREAT, EX_CONFIG = 69, 73, 78

# The ledger admits label sets itself, durably: a second admission would give its totals to another series.
UNLIMITED = Limits(per_family=10**9, in_all=10**9)
STOP_SECONDS = 5.0


class PortError(Exception):
    """An address cannot be listened on."""


class Standalone:
    """The parts and their order. `run` serves until `stop` is called."""

    def __init__(self, config: ExporterConfig) -> None:
        self.config = config
        self.registry = Registry(UNLIMITED)
        self.targets = Targets(self.registry)
        self._doors = Doors(config)
        self._sockets = [_listen(config.listen), _listen(config.ingest)]
        try:
            self.ledger = Ledger(
                config.data,
                Pricer(None, config.price_overrides),
                self.registry,
                config.budgets,
                environment=config.environment,
            )
            self.workers = Intake(config.data, self.registry)
            self._workers_socket = _listen_for_workers(config)
        except BaseException:
            for one in self._sockets:
                one.close()
            raise
        self.ledger.declare(config.models, ["", *config.budgets.features])
        self._prices = Keeper(config.data, self.ledger, self.registry)
        self._ending = threading.Event()
        loopback = is_loopback(config.ingest.host)
        self.ingest = Ingest(
            self.ledger,
            self.registry,
            self._doors.ingest_token,
            loopback,
            budgets=self.ledger.budgets,
            folder=config.data,
            environment=config.environment,
        )
        self.server = Server(
            self.registry, lambda: self.targets, is_loopback(config.listen.host), self.workers.endpoint
        )
        self._guards: list[Guard] = []
        self._stop: asyncio.Event | None = None
        self._declare()

    async def run(self) -> None:
        """Serve both listeners until stop(); then commit what waits."""
        self._stop = asyncio.Event()
        threading.Thread(target=self._start_ledger, name="prices", daemon=True).start()
        self.targets.replace(self.config.collectors)
        self._guards = [
            Guard(self.server, self._doors.scrapes, self._doors.token),
            Guard(self.ingest, self._doors.ingest),
        ]
        scrapes, ingest = self._guards
        servers = [
            listener.server(scrapes, scrapes.web),
            listener.server(ingest, ingest.web, self.ingest.at_once()),
        ]
        serving = [
            asyncio.create_task(server.serve(sockets=[one]))
            for server, one in zip(servers, self._sockets, strict=True)
        ]
        if self._workers_socket is not None:
            await self.workers.serve(self._workers_socket)
        log.info("listening", extra={"scrapes": str(self.config.listen), "usage": str(self.config.ingest)})
        stopped = asyncio.create_task(self._stop.wait())
        await asyncio.wait([*serving, stopped], return_when=asyncio.FIRST_COMPLETED)
        for server in servers:
            server.should_exit = True
        await asyncio.wait(serving, timeout=STOP_SECONDS)
        stopped.cancel()
        self._ending.set()
        self.targets.stop()
        await self.workers.stop()
        await asyncio.to_thread(self.ledger.stop)
        self.ingest.close()
        log.info("stopped")

    def stop(self) -> None:
        """End run(). Called in its event loop."""
        if self._stop is not None:
            self._stop.set()

    def reload(self, path: str) -> None:
        """Read the file again; one that is refused changes nothing."""
        try:
            config = load(path)
            doors = Doors(config)
        except ConfigError as error:
            log.error("the configuration is refused, the old one stays", extra={"error": str(error)})
            return
        for name in (
            "listen",
            "ingest",
            "data",
            "workers_socket",
            "web_config_file",
            "ingest_web_config_file",
            "second_prices",
        ):
            if getattr(config, name) != getattr(self.config, name):
                log.warning("a restart is needed for this to change", extra={"option": name})
        self.config = config
        self.ingest.token = doors.ingest_token
        if self._guards:
            self._guards[0].token = doors.token
        self._prices.use(config.price_overrides)
        self.ledger.use_budgets(config.budgets)
        self.targets.replace(config.collectors)
        log.info("the configuration is read again")

    def _start_ledger(self) -> None:
        # in a thread: the first compilation takes half a second, and nothing else has to wait for it
        self._prices.start(self.config.price_overrides)
        self.ledger.start()
        self._prices.compare(self.config.second_prices)
        gc.freeze()  # what start-up made stays: no collection walks it again
        threading.Thread(target=self._prices.watch, args=(self._ending,), name="prices-watch", daemon=True).start()

    def _declare(self) -> None:
        from prometheus_client import ProcessCollector

        self.registry.gauge(
            "app_dependency_configured",
            "Whether the user declared this dependency; arms the alerts on its absence.",
            ("dependency",),
        ).set_source(lambda: [((name,), float(name in self.config.dependencies)) for name in DEPENDENCIES])
        build = self.registry.gauge("exporter_build_info", "Version of the exporter.", ("version",))
        build.labels(__version__).set(1)
        self.registry.register(ProcessCollector(registry=None))


def read_once(config: ExporterConfig) -> bool:
    """Read every configured server once and print what /probe would answer; return whether all of them answered."""
    targets = Targets(Registry())
    bodies = ProbeBodies()
    listed = [targets.add(collector, one) for collector, one in config.collectors]
    with ThreadPoolExecutor(max_workers=max(1, len(listed))) as pool:
        answered = list(pool.map(lambda target: target.refresh(), listed))
    for target in listed:
        sys.stdout.write(f"# module={target.key[0]} target={target.key[1]}\n{bodies.of(target, False).decode()}")
    return all(answered)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="topmast-exporter",
        description=__doc__.splitlines()[0] if __doc__ else "",
        epilog=f"Scrapes are answered at {ExporterConfig.listen}: /metrics, /probe, /apps/NAME/metrics."
        f" What can only push goes to {ExporterConfig.ingest}: POST {', '.join(PATHS)}. topmast.yml moves both.",
    )
    parser.add_argument("-c", "--config", required=True, metavar="FILE", help="topmast.yml")
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--once", action="store_true", help="read every server once, print the metrics, end")
    group.add_argument("--check", action="store_true", help="check the configuration, end")
    options = parser.parse_args(argv)
    _log_to_stderr()
    try:
        config = load(options.config)
        if options.check:
            Doors(config)
            sys.stdout.write(f"{options.config}: {len(config.collectors)} servers, nothing is wrong\n")
            return 0
        if options.once:
            return 0 if read_once(config) else 1
        return _serve(Standalone(config), options.config)
    except ConfigError as error:
        return _failed(error, EX_CONFIG)
    except (LedgerError, StoreError) as error:
        return _failed(error, EX_CANTCREAT)
    except PortError as error:
        return _failed(error, EX_UNAVAILABLE)


def _serve(standalone: Standalone, path: str) -> int:
    async def serve() -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, standalone.stop)
        loop.add_signal_handler(signal.SIGHUP, standalone.reload, path)
        await standalone.run()

    asyncio.run(serve())
    return 0


def _failed(error: Exception, code: int) -> int:
    sys.stderr.write(f"{error}\n")
    return code


def _listen(address: Address) -> socket.socket:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    try:
        listener = socket.create_server((address.host, address.port), family=family, backlog=128)
    except OSError as error:
        raise PortError(f"{address}: cannot listen: {error.strerror or error}") from error
    # What is accepted inherits it. asyncio sets it on sockets that say they are TCP, which those of create_server do
    # not: a small answer would wait 40 ms for the scraper's delayed acknowledgement of its head.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _listen_for_workers(config: ExporterConfig) -> socket.socket | None:
    if config.workers_socket == "":
        return None
    path = Path(config.workers_socket) if config.workers_socket else default_socket(config.listen.port)
    try:
        return intake.listen(path)
    except intake.SocketError as error:
        if config.workers_socket:
            raise PortError(str(error)) from error
        # a read-only container without a /tmp is no reason not to start
        log.warning("workers cannot report: no socket", extra={"why": str(error)})
        return None


class _Fields(logging.Formatter):
    """A constant message and its fields, one line each record: `time level message key=value …`."""

    _own = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}

    def format(self, record: logging.LogRecord) -> str:
        line = super().format(record)
        fields = {key: value for key, value in vars(record).items() if key not in self._own}
        return line + "".join(f" {key}={str(value)!r}" for key, value in fields.items())


def _log_to_stderr() -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(_Fields("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger("topmast_exporter")
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    root.propagate = False
