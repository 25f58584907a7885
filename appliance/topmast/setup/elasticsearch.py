"""`python -m topmast.setup.elasticsearch`: users, roles, lifecycle, templates and Kibana's token, then end.

What it writes lies in monitoring/elasticsearch/ (one file a thing, the file's name is the thing's name).
Everything is compared first: a second run changes nothing. APIs of Elasticsearch 9 (security, ILM, templates).
"""

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from topmast.errors import PrerequisiteError, StateError, TopmastError

TIMEOUT_SECONDS = 30
# The service account that Elastic made for Kibana: since 8.0 Kibana refuses the superuser.
KIBANA_TOKEN = "/_security/service/elastic/kibana/credential/token/topmast"  # noqa: S105 - a path, no token


@dataclass(frozen=True)
class Cluster:
    """One Elasticsearch, logged in."""

    url: str
    session: requests.Session

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """Return the answer's JSON, or None for 404. Raises StateError for a refused login."""
        try:
            answer = self.session.request(method, self.url + path, json=body, timeout=TIMEOUT_SECONDS)
        except requests.RequestException as error:
            raise PrerequisiteError(f"{self.url}: {error}") from error
        if answer.status_code == 404:
            return None
        if answer.status_code == 401:
            raise StateError(
                "elasticsearch: the stored password is refused: the data volume is older than its secrets; bring the "
                "volume topmast_secrets back, or give the data up with `docker volume rm topmast_elasticsearch`"
            )
        if not answer.ok:
            raise PrerequisiteError(f"{method} {path}: {answer.status_code}: {answer.text[:300]}")
        return answer.json()


def within(wanted: Any, present: Any) -> bool:
    """Return whether `present` says all that `wanted` says (a server adds defaults, and strings for numbers)."""
    if isinstance(wanted, Mapping):
        return isinstance(present, Mapping) and all(
            key in present and within(value, present[key]) for key, value in wanted.items()
        )
    if isinstance(wanted, list) and isinstance(present, list):
        return len(wanted) == len(present) and all(map(within, wanted, present))
    if isinstance(wanted, bool | int | float):
        return str(wanted).lower() == str(present).lower()
    return bool(wanted == present)


def nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    """Return `{"a.b": 1}` as `{"a": {"b": 1}}`: settings come back nested, and are written either way."""
    out: dict[str, Any] = {}
    for key, value in flat.items():
        at = out
        *path, last = key.split(".")
        for part in path:
            at = at.setdefault(part, {})
        at[last] = value
    return out


def lifecycle(cluster: Cluster, name: str, body: Mapping[str, Any], logs_days: int) -> bool:
    """Write the policy, its deletion after `logs_days`; return whether anything changed."""
    policy = json.loads(json.dumps(body))
    policy["policy"]["phases"]["delete"]["min_age"] = f"{logs_days}d"
    present = cluster.call("GET", f"/_ilm/policy/{name}")
    if present is not None and within(policy["policy"], present[name]["policy"]):
        return False
    cluster.call("PUT", f"/_ilm/policy/{name}", policy)
    return True


def template(cluster: Cluster, name: str, body: Mapping[str, Any]) -> bool:
    """Write the index template; return whether anything changed."""
    wanted = json.loads(json.dumps(body))
    wanted["template"]["settings"] = nested(wanted["template"].get("settings", {}))
    present = cluster.call("GET", f"/_index_template/{name}")
    if present is not None and within(wanted, present["index_templates"][0]["index_template"]):
        return False
    cluster.call("PUT", f"/_index_template/{name}", body)
    return True


def role(cluster: Cluster, name: str, body: Mapping[str, Any]) -> bool:
    """Write the role; return whether anything changed."""
    present = cluster.call("GET", f"/_security/role/{name}")
    if present is not None and within(body, present[name]):
        return False
    cluster.call("PUT", f"/_security/role/{name}", body)
    return True


def user(cluster: Cluster, name: str, password: str) -> bool:
    """Make the user of the role of its name, or give it the stored password again; return whether that was needed."""
    login = requests.Session()
    login.auth = (name, password)
    try:
        Cluster(cluster.url, login).call("GET", "/_security/_authenticate")
    except StateError:
        cluster.call("PUT", f"/_security/user/{name}", {"password": password, "roles": [name], "metadata": {}})
        return True
    return False


def kibana(cluster: Cluster, path: Path, key: str) -> bool:
    """Write Kibana's second configuration file with a service token; return whether that was needed.

    A token is shown once, when it is made: one whose file is lost is replaced.
    """
    known = cluster.call("GET", "/_security/service/elastic/kibana/credential")
    if path.exists() and "topmast" in (known or {}).get("tokens", {}):
        return False
    cluster.call("DELETE", KIBANA_TOKEN)
    token = cluster.call("POST", KIBANA_TOKEN)["token"]["value"]
    lines = [f"elasticsearch.serviceAccountToken: {token}"]
    # Without fixed keys, sessions and saved alerts are lost at every start.
    lines += [f"xpack.{name}.encryptionKey: {key}" for name in ("encryptedSavedObjects", "security", "reporting")]
    draft = path.with_name(f".{path.name}.new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400)
    with os.fdopen(descriptor, "w") as out:
        out.write("\n".join(lines) + "\n")
    draft.replace(path)
    return True


def set_up(cluster: Cluster, definitions: Path, secrets: Path, kibana_yml: Path, logs_days: int) -> list[str]:
    """Bring the cluster to what the files say; return what changed, e.g. `role logstash_writer`."""
    changed = []
    for path in sorted(definitions.glob("lifecycle/*.json")):
        if lifecycle(cluster, path.stem, json.loads(path.read_text()), logs_days):
            changed.append(f"lifecycle {path.stem}")
    for path in sorted(definitions.glob("templates/*.json")):
        if template(cluster, path.stem, json.loads(path.read_text())):
            changed.append(f"template {path.stem}")
    for path in sorted(definitions.glob("roles/*.json")):
        if role(cluster, path.stem, json.loads(path.read_text())):
            changed.append(f"role {path.stem}")
        if user(cluster, path.stem, (secrets / f"{path.stem}-password").read_text()):
            changed.append(f"user {path.stem}")
    if kibana(cluster, kibana_yml, (secrets / "kibana-encryption-key").read_text()):
        changed.append("kibana token")
    return changed


def main(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m topmast.setup.elasticsearch", description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--secrets", type=Path, required=True)
    parser.add_argument("--kibana", type=Path, required=True, help="Kibana's second configuration file")
    parser.add_argument("--templates", type=Path, required=True, help="monitoring/elasticsearch")
    named = parser.parse_args(arguments)
    session = requests.Session()
    session.auth = ("elastic", (named.secrets / "elastic-password").read_text())
    try:
        days = int(environment.get("LOGS_DAYS", "30"))
        changed = set_up(Cluster(named.url, session), named.templates, named.secrets, named.kibana, days)
    except TopmastError as error:
        sys.stderr.write(f"topmast: {error}\n")
        return error.exit_code
    except ValueError as error:
        sys.stderr.write(f"topmast: LOGS_DAYS or a definition: {error}\n")
        return 78
    sys.stdout.write("".join(f"elasticsearch: {each}\n" for each in changed) or "elasticsearch: nothing to do\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
