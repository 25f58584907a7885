"""The real blackbox_exporter asks a page as monitoring/blackbox/ says; without a page it is not started."""

import datetime
import os
import re
import socket
import ssl
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
import trustme
from http_stub import serving
from running import wait_for, with_engines
from topmast.engine import Setup, wanted
from topmast.engines.blackbox_exporter import ENGINE
from topmast.layout import PORTS, Layout

ROOT = Path(__file__).resolve().parents[3]


def setup_of(state: Path, offset: int, pages: list[dict[str, str]]) -> Setup:
    settings = {"engines": {}, "targets": {"blackbox": pages} if pages else {}}
    return Setup(Layout(ROOT, state, offset), settings, demo=False, real_clocks=False, say=print)


@pytest.mark.parametrize(("pages", "started"), [([], False), ([{"url": "https://a.example/"}], True)])
def test_is_started_for_a_page(tmp_path: Path, pages: list[dict[str, str]], started: bool) -> None:
    assert wanted(ENGINE, setup_of(tmp_path, 0, pages)) is started


def free_port() -> int:
    with socket.socket() as plug:
        plug.bind(("127.0.0.1", 0))
        port: int = plug.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[trustme.CA, Path]]:
    """What signs the certificates that a running one believes, and its file."""
    ca = trustme.CA()
    file = tmp_path_factory.mktemp("authority") / "ca.pem"
    ca.cert_pem.write_to_path(str(file))
    yield ca, file


@pytest.fixture(scope="module")
def exporter(tmp_path_factory: pytest.TempPathFactory, authority: tuple[trustme.CA, Path]) -> Iterator[str]:
    """The address of a running one."""
    state = with_engines(tmp_path_factory.mktemp("blackbox"))
    component = ENGINE.component(setup_of(state, free_port() - PORTS["blackbox_exporter"], [{"url": "http://a/"}]))
    trusting = {**os.environ, "SSL_CERT_FILE": str(authority[1])}
    with subprocess.Popen(component.argv, stderr=subprocess.DEVNULL, env=trusting) as process:
        assert component.ready
        wait_for("blackbox_exporter answers", lambda: answers(component.ready))
        yield component.address
        process.terminate()


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def probe(exporter: str, url: str) -> dict[str, float]:
    """Return the samples of a probe, as prometheus.yml's job asks for it."""
    asked = f"http://{exporter}/probe?module=http&target={quote(url, safe='')}"
    with urllib.request.urlopen(asked, timeout=10) as answer:
        text = answer.read().decode()
    return {name: float(value) for name, value in re.findall(r"^(probe_\S+) (\S+)$", text, re.MULTILINE)}


@pytest.mark.live
def test_a_page_that_answers_and_one_that_does_not(exporter: str) -> None:
    well = probe(exporter, f"http://{exporter}/")
    sick = probe(exporter, f"http://{exporter}/probe?module=none")
    gone = probe(exporter, "http://127.0.0.1:1/")

    assert (well["probe_success"], well["probe_http_status_code"]) == (1, 200)
    assert (sick["probe_success"], sick["probe_http_status_code"]) == (0, 400)
    assert (gone["probe_success"], gone["probe_http_status_code"]) == (0, 0)
    assert {
        "probe_duration_seconds",
        "probe_dns_lookup_time_seconds",
        'probe_http_duration_seconds{phase="resolve"}',
    } <= (well.keys())


@pytest.mark.live
def test_the_end_of_a_certificate_is_told(exporter: str, authority: tuple[trustme.CA, Path]) -> None:
    ends = datetime.datetime.now(datetime.UTC).replace(microsecond=0) + datetime.timedelta(days=5)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority[0].issue_cert("localhost", not_after=ends).configure_cert(context)
    with serving(context) as page:
        found = probe(exporter, page.url)

    assert (found["probe_success"], found["probe_http_ssl"]) == (1, 1)
    assert found["probe_ssl_earliest_cert_expiry"] == ends.timestamp()
