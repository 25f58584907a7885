"""`python -m topmast.setup.kibana`: the data view and the saved searches of monitoring/kibana/objects/, then end.

Kibana's own import API (`POST /api/saved_objects/_import?overwrite=true`), as a user who may do that and nothing else
(monitoring/elasticsearch/roles/kibana_provisioner.json). What is there is exported first and compared: a second run
changes nothing. An object of ours that somebody changed is brought back; a copy under another name stays.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from topmast.errors import ConfigError, PrerequisiteError, StateError, TopmastError
from topmast.setup.elasticsearch import within

TIMEOUT_SECONDS = 60
# Without it Kibana refuses whatever changes: a page of somebody else's cannot send it.
_HEADERS = {"kbn-xsrf": "topmast"}


@dataclass(frozen=True)
class Kibana:
    """One Kibana, logged in."""

    url: str
    session: requests.Session

    def present(self, objects: Sequence[Mapping[str, Any]]) -> dict[tuple[str, str], Any]:
        """Return what Kibana has of these objects, by type and id."""
        wanted = [{"type": each["type"], "id": each["id"]} for each in objects]
        answer = self._post("/api/saved_objects/_export", json={"objects": wanted, "excludeExportDetails": True})
        if answer.status_code == 400:
            # One that is not there fails the whole; then all are imported.
            return {}
        _checked(answer, "_export")
        return {(each["type"], each["id"]): each for each in map(json.loads, answer.text.splitlines())}

    def bring(self, name: str, text: str) -> int:
        """Import the file, over what is there; return how many objects. Raises PrerequisiteError with the reason."""
        file = {"file": (name, text.encode(), "application/ndjson")}
        answer = self._post("/api/saved_objects/_import?overwrite=true", files=file)
        _checked(answer, "_import")
        told = answer.json()
        if not told["success"]:
            why = [f"{each['type']} {each['id']}: {each['error']['type']}" for each in told.get("errors", [])]
            raise PrerequisiteError(f"Kibana did not import {name}: {'; '.join(why[:5])}")
        return int(told["successCount"])

    def _post(self, path: str, **body: Any) -> requests.Response:
        try:
            return self.session.post(self.url + path, headers=_HEADERS, timeout=TIMEOUT_SECONDS, **body)
        except requests.RequestException as error:
            raise PrerequisiteError(f"{self.url}: {error}") from error


def _checked(answer: requests.Response, path: str) -> None:
    if answer.status_code == 401:
        raise StateError(
            "kibana: the stored password of kibana_provisioner is refused: `docker compose up elasticsearch-setup` "
            "gives it to Elasticsearch again"
        )
    if not answer.ok:
        raise PrerequisiteError(f"{path}: {answer.status_code}: {answer.text[:300]}")


def read(path: Path) -> list[dict[str, Any]]:
    """Return the objects of an NDJSON file. Raises ConfigError naming the line."""
    objects = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            each = json.loads(line)
            objects.append({**each, "type": str(each["type"]), "id": str(each["id"])})
        except (ValueError, KeyError, TypeError) as error:
            raise ConfigError(f"{path}:{number}: not a saved object: {error!r:.120}") from error
    return objects


def same(wanted: Mapping[str, Any], present: Mapping[str, Any]) -> bool:
    """Return whether Kibana's object says all that ours says; JSON inside a string is compared as what it means."""
    attributes = within(_opened(wanted["attributes"]), _opened(present.get("attributes", {})))
    return attributes and within(_named(wanted), _named(present))


def _named(one: Mapping[str, Any]) -> dict[str, Any]:
    return {each["name"]: each for each in one.get("references", [])}


def _opened(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _opened(each) for key, each in value.items()}
    if isinstance(value, str) and value[:1] in ("{", "["):
        try:
            return _opened(json.loads(value))
        except ValueError:
            return value
    return value


def set_up(kibana: Kibana, folder: Path) -> list[str]:
    """Bring Kibana to what the files say; return what changed, e.g. `search topmast-errors`. Raises TopmastError."""
    changed: list[str] = []
    for path in sorted(folder.glob("*.ndjson")):
        objects = read(path)
        present = kibana.present(objects)
        other = [each for each in objects if not same(each, present.get((each["type"], each["id"]), {}))]
        if other:
            kibana.bring(path.name, "".join(json.dumps(each) + "\n" for each in objects))
            changed += [f"{each['type']} {each['id']}" for each in other]
    return changed


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m topmast.setup.kibana", description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--user", required=True)
    parser.add_argument("--password-file", type=Path, required=True)
    parser.add_argument("--objects", type=Path, required=True, help="monitoring/kibana/objects")
    named = parser.parse_args(arguments)
    session = requests.Session()
    session.auth = (named.user, named.password_file.read_text().strip())
    try:
        changed = set_up(Kibana(named.url, session), named.objects)
    except TopmastError as error:
        sys.stderr.write(f"topmast: {error}\n")
        return error.exit_code
    sys.stdout.write("".join(f"kibana: {each}\n" for each in changed) or "kibana: nothing to do\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
