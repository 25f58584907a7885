"""Volumes go into one archive and come back as they were; nothing is touched by one that is not whole."""

import io
import tarfile
from pathlib import Path

import pytest
from topmast.errors import StateError, TopmastError
from topmast.setup import volumes


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "volumes"
    (folder / "grafana" / "plugins").mkdir(parents=True)
    (folder / "grafana" / "grafana.db").write_bytes(b"\0" * 3000)
    (folder / "grafana" / "plugins" / "current").symlink_to("one")
    (folder / "secrets").mkdir(mode=0o700)
    secret = folder / "secrets" / "token"
    secret.write_text("s3cret")
    secret.chmod(0o400)
    (folder / "kibana").mkdir()
    return folder


@pytest.fixture
def archive(root: Path, tmp_path: Path) -> Path:
    file = tmp_path / "backup.tar.gz"
    with file.open("wb") as out:
        volumes.save(root, out)
    return file


def empty(root: Path, folder: Path) -> Path:
    for each in root.iterdir():
        (folder / each.name).mkdir(parents=True)
    return folder


def seen(folder: Path) -> dict[str, tuple[int, str]]:
    return {
        str(path.relative_to(folder)): (
            path.lstat().st_mode,
            str(path.readlink()) if path.is_symlink() else path.read_text() if path.is_file() else "",
        )
        for path in sorted(folder.rglob("*"))
    }


def test_all_comes_back_with_its_modes(root: Path, archive: Path, tmp_path: Path) -> None:
    target = empty(root, tmp_path / "again")

    with archive.open("rb") as content:
        files = volumes.restore(target, content, replace=False)

    assert files == len(volumes.check(archive)["files"]) == 2
    assert seen(target) == seen(root)


def test_what_is_there_is_kept_unless_it_is_given_up(root: Path, archive: Path) -> None:
    (root / "kibana" / "new").write_text("x")

    with archive.open("rb") as content, pytest.raises(StateError, match="grafana, kibana, secrets; --replace"):
        volumes.restore(root, content, replace=False)
    assert (root / "kibana" / "new").exists()

    with archive.open("rb") as content:
        volumes.restore(root, content, replace=True)
    assert not (root / "kibana" / "new").exists()


def test_one_that_was_cut_is_none(archive: Path) -> None:
    archive.write_bytes(archive.read_bytes()[: archive.stat().st_size // 2])

    with pytest.raises(TopmastError, match="not a whole backup"):
        volumes.check(archive)


def test_one_whose_file_differs_from_its_manifest_is_damaged(archive: Path, tmp_path: Path) -> None:
    forged = tmp_path / "forged.tar.gz"
    with tarfile.open(archive) as old, tarfile.open(forged, "w:gz") as new:
        for entry in old:
            content = old.extractfile(entry) if entry.isreg() else None
            data = content.read() if content else b""
            data = data.replace(b"s3cret", b"S3CRET") if entry.name.endswith("token") else data
            new.addfile(entry, io.BytesIO(data))

    with pytest.raises(TopmastError, match="damaged: secrets/token"):
        volumes.check(forged)


def test_a_name_that_leads_outside_is_refused(tmp_path: Path) -> None:
    forged = tmp_path / "forged.tar.gz"
    with tarfile.open(forged, "w:gz") as new:
        new.addfile(tarfile.TarInfo("../../etc/cron.d/x"), io.BytesIO(b""))

    with pytest.raises(TopmastError, match="no place here"):
        volumes.check(forged)
    with forged.open("rb") as content, pytest.raises(TopmastError, match="no place here"):
        (tmp_path / "volumes").mkdir()
        volumes.restore(tmp_path / "volumes", content, replace=False)


def test_a_backup_of_embedded_mode_is_not_taken_for_one(tmp_path: Path) -> None:
    other = tmp_path / "other.tar.gz"
    text = b'{"format": 1, "version": "0.1.0", "mode": "embedded", "files": []}'
    with tarfile.open(other, "w:gz") as new:
        entry = tarfile.TarInfo(volumes.MANIFEST)
        entry.size = len(text)
        new.addfile(entry, io.BytesIO(text))

    with pytest.raises(TopmastError, match="'embedded' mode"):
        volumes.check(other)
