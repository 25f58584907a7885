"""What the gateway of docker-compose.public.yml shows and asks for: a certificate of the address, a password.

The certificate is signed by an authority that is made here, once: clients trust that one (`ca.crt`), and go on
trusting it when the address or the name changes and the certificate is made anew. Or the user's own is taken.
"""

import hashlib
import ipaddress
import os
import secrets
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from topmast.errors import ConfigError, TopmastError

# The user that nginx's image runs as.
NGINX = 101
FOLDER, PASSWORD, USER = "gateway", "gateway-password", "topmast"
AUTHORITY_DAYS = 3650
# What browsers take from an authority that a user added; made anew at a start in the last two months of it.
CERTIFICATE_DAYS, RENEW_DAYS = 820, 60
_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
_AUTHORITY = """\
[req]
distinguished_name = name
prompt = no
x509_extensions = ext
[name]
CN = Topmast authority {number}
[ext]
basicConstraints = critical, CA:TRUE, pathlen:0
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
"""
_SERVER = """\
[req]
distinguished_name = name
prompt = no
[name]
CN = topmast
[ext]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectAltName = {names}
"""

Write = Callable[[Path, str, int], None]


def alternative_names(bind: str, public_name: str) -> str:
    """Return the certificate's subjectAltName. Raises ConfigError where the name is none."""
    if public_name and not all(letter.isascii() and (letter.isalnum() or letter in "-.") for letter in public_name):
        raise ConfigError(f"PUBLIC_NAME: not a host's name: {public_name!r:.80}")
    names = [f"IP:{ipaddress.ip_address(bind)}", "IP:127.0.0.1", "DNS:localhost", f"DNS:{FOLDER}"]
    return ",".join([*names, *([f"DNS:{public_name}"] if public_name else [])])


def make(
    root: Path, bind: str, public_name: str, given: Path, write: Write, generate: Callable[[], str]
) -> list[str]:
    """Write what is missing below `root`/gateway; return the files written, as `FOLDER/FILE`. Raises TopmastError.

    `given` holds the user's own tls.crt and tls.key, empty where there are none.
    """
    originals, folder = root / "all", root / FOLDER
    written: list[str] = []

    def put(path: Path, text: str, uid: int) -> None:
        if not path.exists() or path.read_text() != text:
            write(path, text, uid)
            written.append(f"{path.parent.name}/{path.name}")

    if not (originals / PASSWORD).exists():
        put(originals / PASSWORD, generate(), os.geteuid())
    put(folder / "htpasswd", f"{USER}:{_hash((originals / PASSWORD).read_text())}\n", NGINX)
    for name in ("tls.crt", "tls.key"):
        # Docker makes a folder where a file to mount is not there.
        if (given / name).is_dir():
            raise ConfigError("TLS_CERTIFICATE, TLS_KEY: no such file on the host; name the paths of two files")
    certificate, key = (
        (given / name).read_text() if (given / name).exists() else "" for name in ("tls.crt", "tls.key")
    )
    if bool(certificate) != bool(key):
        raise ConfigError("TLS_CERTIFICATE and TLS_KEY go together: name both files, or neither")
    if certificate:
        _check_pair(given)
        put(folder / "names", "given", NGINX)
        put(folder / "tls.crt", certificate, NGINX)
        put(folder / "tls.key", key, NGINX)
        return written
    if not (originals / "ca.key").exists() or not (originals / "ca.crt").exists():
        made_key, made = _authority()
        put(originals / "ca.key", made_key, os.geteuid())
        put(originals / "ca.crt", made, os.geteuid())
    put(folder / "ca.crt", (originals / "ca.crt").read_text(), NGINX)
    names = alternative_names(bind, public_name)
    if _still_good(folder, names):
        return written
    made_key, made = _signed(originals, names)
    put(folder / "tls.key", made_key, NGINX)
    put(folder / "tls.crt", made, NGINX)
    # Last: what is half made is made again.
    put(folder / "names", names, NGINX)
    return written


def _still_good(folder: Path, names: str) -> bool:
    """Return whether the certificate is for these names, signed by our authority, and good for a while."""
    kept = folder / "names"
    if not kept.exists() or kept.read_text() != names or not (folder / "tls.key").exists():
        return False
    left = str(RENEW_DAYS * 86_400)
    certificate = str(folder / "tls.crt")
    checks = (["x509", "-checkend", left, "-noout", "-in"], ["verify", "-CAfile", str(folder / "ca.crt")])
    return all(_openssl([*check, certificate], check=False).returncode == 0 for check in checks)


def _check_pair(given: Path) -> None:
    public = [
        _openssl(["x509", "-pubkey", "-noout", "-in", str(given / "tls.crt")], check=False),
        _openssl(["pkey", "-pubout", "-in", str(given / "tls.key")], check=False),
    ]
    if any(each.returncode for each in public) or public[0].stdout != public[1].stdout:
        raise ConfigError(
            "TLS_CERTIFICATE and TLS_KEY: not a certificate and its key, in PEM and without a passphrase"
        )


def _authority() -> tuple[str, str]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "cnf").write_text(_AUTHORITY.format(number=secrets.token_hex(4)))
        argv = ["req", "-x509", *_KEY, "-days", str(AUTHORITY_DAYS), "-config", str(folder / "cnf")]
        _openssl([*argv, "-keyout", str(folder / "key"), "-out", str(folder / "crt")])
        return (folder / "key").read_text(), (folder / "crt").read_text()


def _signed(originals: Path, names: str) -> tuple[str, str]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "cnf").write_text(_SERVER.format(names=names))
        config = ["-config", str(folder / "cnf")]
        _openssl(["req", "-new", *_KEY, *config, "-keyout", str(folder / "key"), "-out", str(folder / "csr")])
        argv = ["x509", "-req", "-in", str(folder / "csr"), "-out", str(folder / "crt")]
        argv += ["-CA", str(originals / "ca.crt"), "-CAkey", str(originals / "ca.key")]
        argv += ["-set_serial", f"0x{secrets.token_hex(16)}", "-days", str(CERTIFICATE_DAYS)]
        _openssl([*argv, "-extfile", str(folder / "cnf"), "-extensions", "ext"])
        return (folder / "key").read_text(), (folder / "crt").read_text()


def _hash(password: str) -> str:
    """Return the password as crypt(3)'s SHA-512. The salt follows from it, so that a second run writes nothing."""
    salt = hashlib.sha256(b"htpasswd " + password.encode()).hexdigest()[:16]
    return _openssl(["passwd", "-6", "-salt", salt, "-stdin"], text=password).stdout.strip()


def _openssl(arguments: Sequence[str], *, text: str = "", check: bool = True) -> "subprocess.CompletedProcess[str]":
    done = subprocess.run(
        ["openssl", *arguments], input=text, capture_output=True, text=True, check=False, timeout=60
    )
    if check and done.returncode != 0:
        raise TopmastError(f"openssl {arguments[0]}: {done.stderr.strip()[-200:]}")
    return done
