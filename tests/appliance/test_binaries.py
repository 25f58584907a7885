"""Where an engine comes from: the configuration, PATH, a package, an archive with a known digest."""

import hashlib
import http.server
import io
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from topmast.binaries import Program, find
from topmast.errors import ConfigError, PrerequisiteError
from topmast.layout import Layout


def script(path: Path, text: str = "echo 'prometheus, version 2.53.1 (branch: HEAD)'") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path, tmp_path / "state")


def quiet(_text: str) -> None:
    return None


def test_a_configured_path_wins(layout: Layout, tmp_path: Path) -> None:
    mine = script(tmp_path / "mine" / "prometheus")

    found = find("prometheus", ("prometheus",), layout, {"engines": {"prometheus": {"path": str(mine)}}}, quiet)

    assert found == Program(mine, "configuration")
    assert found.version() == "2.53.1"


def test_a_configured_path_that_is_none_is_refused_by_its_place(layout: Layout) -> None:
    with pytest.raises(ConfigError, match=r"\$\.engines\.prometheus\.path: no program at '/nowhere'"):
        find("prometheus", ("prometheus",), layout, {"engines": {"prometheus": {"path": "/nowhere"}}}, quiet)


def test_path_is_looked_at_before_packages(layout: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = script(tmp_path / "bin" / "prometheus")
    monkeypatch.setenv("PATH", str(mine.parent))

    assert find("prometheus", ("prometheus",), layout, {}, quiet) == Program(mine, "PATH")


def test_without_apt_the_error_says_what_to_do(
    layout: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(PrerequisiteError, match=r"no apt-get.*engines\.prometheus\.path"):
        find("prometheus", ("prometheus",), layout, {}, quiet)


def test_what_was_unpacked_is_found_without_a_network(
    layout: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unpacked = script(layout.engines / "debian" / "usr" / "bin" / "prometheus")
    for tool in ("apt-get", "dpkg"):
        script(tmp_path / "bin" / tool, "exit 100")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))

    assert find("prometheus", ("prometheus",), layout, {}, quiet) == Program(unpacked, "package")


def test_a_failing_package_server_is_one_sentence_and_nothing_is_left(
    layout: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script(tmp_path / "bin" / "apt-get", "echo 'E: Unable to fetch some archives' >&2; exit 100")
    script(tmp_path / "bin" / "dpkg")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/bin:/usr/bin")

    with pytest.raises(PrerequisiteError, match=r"could not be fetched \(E: Unable to fetch.*check the network"):
        find("no-such-engine", ("no-such-engine",), layout, {}, quiet)

    assert list(layout.engines.iterdir()) == []


def test_a_program_that_does_not_run_here_is_said(tmp_path: Path) -> None:
    foreign = tmp_path / "prometheus"
    foreign.write_bytes(b"\x00 not for this machine")
    foreign.chmod(0o755)

    with pytest.raises(PrerequisiteError, match="does not run here"):
        Program(foreign, "PATH").version()


@pytest.fixture
def archive() -> Iterator[tuple[str, str]]:
    """Yield (url, sha256) of a release archive on a local server; only https passes the schema, not this function."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        body = b"#!/bin/sh\necho version 3.1.0\n"
        member = tarfile.TarInfo("prometheus-3.1.0.linux-amd64/prometheus")
        member.size, member.mode = len(body), 0o755
        tar.addfile(member, io.BytesIO(body))
    data = packed.getvalue()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            return

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/prometheus.tar.gz", hashlib.sha256(data).hexdigest()
        server.shutdown()


def test_an_archive_with_the_pinned_digest_is_used(layout: Layout, archive: tuple[str, str]) -> None:
    url, sha256 = archive
    settings = {"engines": {"prometheus": {"archive": url, "sha256": sha256}}}

    found = find("prometheus", ("prometheus",), layout, settings, quiet)

    assert (found.origin, found.version()) == ("archive", "3.1.0")


def test_an_archive_with_another_digest_is_refused_and_not_kept(layout: Layout, archive: tuple[str, str]) -> None:
    settings = {"engines": {"prometheus": {"archive": archive[0], "sha256": "0" * 64}}}

    with pytest.raises(PrerequisiteError, match="SHA-256"):
        find("prometheus", ("prometheus",), layout, settings, quiet)

    assert list(layout.engines.iterdir()) == []
