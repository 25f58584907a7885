"""`python -m topmast.setup.secrets DIR`: make what is missing of the stack's secrets, then end.

One folder a service (each is a volume that only this service mounts), every file with mode 0400 and the owner that
its reader runs as: Elasticsearch refuses a password file with any other mode (its entry point, env-from-file).
The originals stay in DIR/all, which nothing else mounts. A second run changes nothing.
"""

import ipaddress
import os
import secrets
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from topmast.errors import ConfigError, StateError, TopmastError
from topmast.setup import gateway

# The users that the images run as, as docker-compose.monitoring.yml says them.
ELASTIC, GRAFANA, OURS, POSTGRES = 1000, 472, 10001, 999
CERTIFICATE_DAYS = 3650
# A clock that was set back between the two, a copy that rounds times.
CLOCK_SECONDS = 120


@dataclass(frozen=True)
class Reader:
    """One service's copy of one secret."""

    folder: str
    file: str
    uid: int


# Which secret is read by whom, the one that it is for first. `all` holds every one; the rest holds what its service
# needs and no more.
READERS: Mapping[str, tuple[Reader, ...]] = {
    "elastic-password": (
        Reader("elasticsearch", "elastic-password", ELASTIC),
        Reader("setup", "elastic-password", ELASTIC),
    ),
    "logstash-writer-password": (
        Reader("logstash", "logstash-writer-password", ELASTIC),
        Reader("setup", "logstash_writer-password", ELASTIC),
    ),
    "grafana-reader-password": (
        Reader("grafana", "elasticsearch-password", GRAFANA),
        Reader("setup", "grafana_reader-password", ELASTIC),
    ),
    "exporter-monitor-password": (
        Reader("exporter", "elasticsearch-password", OURS),
        Reader("setup", "exporter_monitor-password", ELASTIC),
    ),
    "kibana-provisioner-password": (
        Reader("kibana-setup", "password", ELASTIC),
        Reader("setup", "kibana_provisioner-password", ELASTIC),
    ),
    "kibana-encryption-key": (Reader("setup", "kibana-encryption-key", ELASTIC),),
    "grafana-admin-password": (Reader("grafana", "grafana-admin-password", GRAFANA),),
    "grafana-secret-key": (Reader("grafana", "grafana-secret-key", GRAFANA),),
    "ingest-token": (Reader("exporter", "ingest-token", OURS), Reader("demo", "ingest-token", OURS)),
    "demo-postgres-password": (
        Reader("demo-postgres", "demo-postgres-password", POSTGRES),
        Reader("demo", "demo-postgres-password", OURS),
        Reader("exporter", "demo-postgres-password", OURS),
    ),
}
# Folders of docker-compose.demo.yml: without it they are not mounted, and what only they need is not made.
DEMO = frozenset({"demo", "demo-postgres"})
# Folders that a later service writes into: kibana.yml with the service token.
WRITABLE = {"kibana": ELASTIC}

Owner = Callable[[Path, int], None]


def random_secret() -> str:
    """Return 32 characters that are safe in a URL, a shell and YAML (192 bits)."""
    return secrets.token_urlsafe(24)


def give(path: Path, uid: int) -> None:
    os.chown(path, uid, uid)


def refuse_public(bind: str, *, gateway: bool) -> None:
    """Raise ConfigError unless `bind` is a loopback address, or one address behind the gateway's TLS and password."""
    try:
        address = ipaddress.ip_address(bind)
    except ValueError as error:
        raise ConfigError(f"BIND_ADDR: not an IP address: {bind!r:.80}; leave it away, or name one") from error
    if address.is_unspecified:
        raise ConfigError(f"BIND_ADDR={bind}: names every address of this machine; name the one to publish on")
    if not address.is_loopback and not gateway:
        raise ConfigError(
            f"BIND_ADDR={bind}: without TLS and a password ports stay on 127.0.0.1; "
            "add `-f docker-compose.public.yml`, or start with `topmast up --mode compose`, which does"
        )


def refuse_orphans(root: Path, data: Path) -> None:
    """Raise StateError where a store holds data that older, lost secrets protect."""
    if (root / "all" / "elastic-password").exists():
        _refuse_older(root / "all", data / "elasticsearch")
        return
    for name in ("elasticsearch", "grafana"):
        folder = data / name
        if folder.is_dir() and any(folder.iterdir()):
            raise StateError(
                f"the volume topmast_{name} holds data, but the secrets that open it are gone: bring the volume "
                f"topmast_secrets back, or give the data up with `docker volume rm topmast_{name}`"
            )


def _refuse_older(originals: Path, folder: Path) -> None:
    """Raise StateError where Elasticsearch wrote before its secrets were made: its passwords are others.

    These secrets are there before Elasticsearch first starts; that a password is made anew later changes nothing.
    """
    made = min(path.stat().st_mtime for path in originals.iterdir() if path.is_file())
    written = [path.stat().st_mtime for path in folder.rglob("*") if path.is_file()] if folder.is_dir() else []
    if written and min(written) < made - CLOCK_SECONDS:
        raise StateError(
            "the volume topmast_elasticsearch is older than the secrets in topmast_secrets, so its passwords are "
            "others: bring back the topmast_secrets of then (`topmast restore FILE`), or give the data up with "
            "`docker volume rm topmast_elasticsearch`"
        )


def write(path: Path, text: str, uid: int, own: Owner) -> None:
    """Put the file in place whole, 0400 for `uid`."""
    draft = path.with_name(f".{path.name}.new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400)
    with os.fdopen(descriptor, "w") as out:
        out.write(text)
    own(draft, uid)
    draft.replace(path)


def make(root: Path, own: Owner = give, generate: Callable[[], str] = random_secret) -> list[str]:
    """Write what is missing; return the files written, as `FOLDER/FILE`."""
    written = []
    originals = root / "all"
    originals.mkdir(parents=True, exist_ok=True)
    originals.chmod(0o700)
    # The one file that is never written again: when these secrets were made.
    made = originals / "made"
    if not made.exists():
        write(made, "", os.geteuid(), own)
        oldest = min(path.stat().st_mtime for path in originals.iterdir() if path.is_file())
        os.utime(made, (oldest, oldest))
        written.append("all/made")
    absent = {folder for folder in DEMO if not (root / folder).is_dir()}
    for name, all_readers in READERS.items():
        readers = [reader for reader in all_readers if reader.folder not in absent]
        if all_readers[0] not in readers:
            continue
        original = originals / name
        if not original.exists():
            write(original, generate(), os.geteuid(), own)
            written.append(f"all/{name}")
        value = original.read_text()
        for reader in readers:
            copy = root / reader.folder / reader.file
            copy.parent.mkdir(exist_ok=True)
            if not copy.exists() or copy.read_text() != value:
                write(copy, value, reader.uid, own)
                written.append(f"{reader.folder}/{reader.file}")
    for folder, uid in WRITABLE.items():
        (root / folder).mkdir(exist_ok=True)
        own(root / folder, uid)
    written += make_certificate(root / "logstash" / "tls", own)
    # Who sends to Logstash trusts this one certificate.
    certificate = (root / "logstash" / "tls" / "logstash.crt").read_text()
    trusted = root / "shipper" / "logstash.crt"
    trusted.parent.mkdir(exist_ok=True)
    if not trusted.exists() or trusted.read_text() != certificate:
        write(trusted, certificate, OURS, own)
        written.append("shipper/logstash.crt")
    return written


def make_certificate(folder: Path, own: Owner) -> list[str]:
    """Make the certificate of Logstash's beats port if it is missing; return the files written.

    Self-signed: a sender trusts this one certificate. PKCS #8, as the beats input asks for it.
    """
    key, certificate = folder / "logstash.key", folder / "logstash.crt"
    if key.exists() and certificate.exists():
        return []
    folder.mkdir(parents=True, exist_ok=True)
    draft_key, draft_certificate = folder / ".key.new", folder / ".crt.new"
    argv = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    argv += ["-days", str(CERTIFICATE_DAYS), "-subj", "/CN=logstash"]
    argv += ["-addext", "subjectAltName=DNS:logstash,DNS:localhost,IP:127.0.0.1"]
    argv += ["-keyout", str(draft_key), "-out", str(draft_certificate)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
    if done.returncode != 0:
        raise TopmastError(f"openssl: {done.stderr.strip()[-200:]}")
    for draft, path, mode in ((draft_key, key, 0o400), (draft_certificate, certificate, 0o444)):
        draft.chmod(mode)
        own(draft, ELASTIC)
        draft.replace(path)
    return ["logstash/tls/logstash.key", "logstash/tls/logstash.crt"]


def main(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    root = Path(arguments[0])
    try:
        bind, behind = environment.get("BIND_ADDR", "127.0.0.1"), bool(environment.get("BEHIND_GATEWAY"))
        refuse_public(bind, gateway=behind)
        refuse_orphans(root, root.parent / "data")
        written = make(root)
        if behind:
            name = environment.get("PUBLIC_NAME", "")
            written += gateway.make(root, bind, name, Path("/given"), partial(write, own=give), random_secret)
    except TopmastError as error:
        sys.stderr.write(f"topmast: {error}\n")
        return error.exit_code
    sys.stdout.write(f"secrets: {len(written)} written\n" if written else "secrets: nothing to do\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
