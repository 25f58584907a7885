"""Debian's Alertmanager, unpacked: its built-in template path is replaced at equal length."""

from pathlib import Path

from topmast.binaries import Program
from topmast.engines.alertmanager import relocated

BUILT_IN = b"/usr/share/prometheus/alertmanager"


def test_the_copy_reads_its_templates_from_the_working_directory(tmp_path: Path) -> None:
    original = tmp_path / "prometheus-alertmanager"
    original.write_bytes(b"\x7fELF" + (b"..." + BUILT_IN + b"/default.tmpl...") * 3)

    copy = relocated(Program(original, "package"), tmp_path / "relocated")

    assert copy == tmp_path / "relocated" / "alertmanager"
    data = copy.read_bytes()
    assert len(data) == original.stat().st_size
    assert BUILT_IN not in data
    assert data.count(b"/proc/self/cwd/") == 3
    assert copy.stat().st_mode & 0o111


def test_an_official_build_is_used_as_it_is(tmp_path: Path) -> None:
    original = tmp_path / "alertmanager"
    original.write_bytes(b"\x7fELF templates are inside")

    assert relocated(Program(original, "archive"), tmp_path / "relocated") == original


def test_the_copy_is_made_once(tmp_path: Path) -> None:
    original = tmp_path / "prometheus-alertmanager"
    original.write_bytes(BUILT_IN)
    first = relocated(Program(original, "package"), tmp_path / "relocated").stat()

    assert relocated(Program(original, "package"), tmp_path / "relocated").stat() == first
