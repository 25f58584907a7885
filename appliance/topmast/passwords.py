"""The passwords of the stack in containers: shown, and made anew.

They live in the volume `secrets` alone, so the set-up container is asked for them: nothing of ours reads Docker's own
folders. Rotating replaces the original and runs the set-up again, which writes each copy that differs.
"""

import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from topmast.errors import NotRunningError, TopmastError
from topmast.setup.secrets import random_secret

# Runs `docker compose ARGUMENTS` with a text on its standard input: no secret is ever an argument.
Compose = Callable[[Sequence[str], str], "subprocess.CompletedProcess[str]"]


@dataclass(frozen=True)
class Login:
    """One password that a person or a sender uses."""

    user: str
    secret: str
    """Its file in the volume."""
    url: str


LOGINS: Mapping[str, Login] = {
    "grafana": Login("admin", "grafana-admin-password", "http://localhost:3001"),
    "elasticsearch": Login("elastic", "elastic-password", "http://localhost:9200"),
    # Kibana asks Elasticsearch who somebody is: one login for both.
    "kibana": Login("elastic", "elastic-password", "http://localhost:5601"),
    "ingest": Login("", "ingest-token", "http://localhost:4318"),
    # With docker-compose.public.yml alone: in front of Prometheus, Alertmanager and the page.
    "gateway": Login("topmast", "gateway-password", "https://BIND_ADDR:9090"),
}

# Who reads its copy at its start alone.
RESTARTED = {"ingest": "exporter", "gateway": "gateway"}
# Elasticsearch keeps a copy of its own. curl reads both passwords from a pipe, so that no process list shows them.
_ELASTIC = r"""
IFS= read -r old; IFS= read -r new
printf 'user = "elastic:%s"\nheader = "content-type: application/json"\ndata = "{\\"password\\": \\"%s\\"}"\n' \
  "$old" "$new" | curl -fsS -K - -X POST http://127.0.0.1:9200/_security/user/elastic/_password
"""
# Grafana takes its file at the first start only.
_GRAFANA = "grafana cli --homepath /usr/share/grafana admin reset-admin-password --password-from-stdin"
_SET_UP = ("run", "--rm", "-T", "--no-deps", "secrets")


def show(compose: Compose, service: str) -> str:
    """Return the password. Raises NotRunningError before the first start."""
    done = compose([*_SET_UP, "cat", f"/secrets/all/{LOGINS[service].secret}"], "")
    if done.returncode != 0 or not done.stdout.strip():
        raise NotRunningError(f"{service}: no password yet; the first `topmast up --mode compose` makes it")
    return done.stdout.strip()


def rotate(compose: Compose, service: str, generate: Callable[[], str] = random_secret) -> str:
    """Make the password anew in its server, the volume and every copy; return it. Raises TopmastError.

    The server is told first: when it refuses, nothing has changed. The stack must be running.
    """
    secret, old, new = LOGINS[service].secret, show(compose, service), generate()
    if service in ("elasticsearch", "kibana"):
        _checked(compose, ["exec", "-T", "elasticsearch", "sh", "-ec", _ELASTIC], f"{old}\n{new}\n")
    elif service == "grafana":
        _checked(compose, ["exec", "-T", "grafana", "sh", "-ec", _GRAFANA], f"{new}\n")
    path = f"/secrets/all/{secret}"
    _checked(compose, [*_SET_UP, "sh", "-ec", f"umask 377; cat > {path}.new; mv {path}.new {path}"], new)
    _checked(compose, _SET_UP, "")
    if service in RESTARTED:
        _checked(compose, ["restart", RESTARTED[service]], "")
    return new


def _checked(compose: Compose, arguments: Sequence[str], text: str) -> None:
    done = compose(arguments, text)
    if done.returncode != 0:
        raise TopmastError(f"docker compose {arguments[0]}: {done.stderr.strip()[-300:] or done.stdout[-300:]}")
