"""What a data stream of logs needs of its Elasticsearch: an index template, and a lifecycle where there are any.

The definitions are monitoring/elasticsearch/, the ones that the containers' set-up writes; in a wheel they travel
inside the package. Everything is compared first: what is there already is not written again.
"""

import json
from collections.abc import Mapping
from fnmatch import fnmatchcase
from itertools import chain
from pathlib import Path
from typing import Any

from elasticsearch import ApiError, Elasticsearch

NAME = "topmast-logs"
"""Of the template, and of the lifecycle that it names."""
_HEADERS = {"accept": "application/json", "content-type": "application/json"}


def definition(kind: str) -> dict[str, Any]:
    """Return `templates` or `lifecycle` as it stands in its file."""
    package = Path(__file__).parent
    packed = package / "elasticsearch_definitions"
    folder = packed if packed.is_dir() else package.parents[1] / "monitoring" / "elasticsearch"
    found: dict[str, Any] = json.loads((folder / kind / f"{NAME}.json").read_text(encoding="utf-8"))
    return found


def set_up(server: Elasticsearch, data_stream: str, retention_days: int) -> list[str]:
    """Write what is missing; return what that was. Raises ApiError when the login may not, or nobody answers.

    A template that covers the stream already, ours or a person's own, is left as it is.
    """
    if missing(server, data_stream) is None:
        return []
    template = definition("templates")
    present = _get(server, f"/_index_template/{NAME}") or {}
    covered = [each["index_template"]["index_patterns"] for each in present.get("index_templates", ())]
    template["index_patterns"] = sorted({*template["index_patterns"], *chain(*covered), data_stream})
    done = []
    policy = _get(server, f"/_ilm/policy/{NAME}")
    if policy is None:
        body = definition("lifecycle")
        body["policy"]["phases"]["delete"]["min_age"] = f"{retention_days}d"
        server.perform_request("PUT", f"/_ilm/policy/{NAME}", headers=_HEADERS, body=body)
        done.append(f"lifecycle {NAME}")
    elif not policy:
        # a server without lifecycles keeps its indices until somebody deletes them
        del template["template"]["settings"]["index.lifecycle.name"]
    server.perform_request("PUT", f"/_index_template/{NAME}", headers=_HEADERS, body=template)
    return [*done, f"index template {NAME}"]


def missing(server: Elasticsearch, data_stream: str) -> str | None:
    """Return what keeps the server from taking the stream; None when a template for data streams covers it."""
    found = _get(server, "/_index_template") or {}
    for each in found.get("index_templates", ()):
        body = each["index_template"]
        # the server's own template for logs-*-* has 100, and maps what it sees: fields without end
        ours = "data_stream" in body and body.get("priority", 0) > 100
        if ours and any(fnmatchcase(data_stream, pattern) for pattern in body["index_patterns"]):
            return None
    return f"no index template covers the data stream {data_stream}"


def _get(server: Elasticsearch, path: str) -> Mapping[str, Any] | None:
    """Return the answer; None when there is no such thing, empty when the server does not know the question."""
    try:
        answer: Mapping[str, Any] = server.perform_request("GET", path, headers=_HEADERS).body
    except ApiError as error:
        if error.status_code == 404:
            return None
        if error.status_code in (400, 405, 410) and "no handler" in str(error.body):
            return {}
        raise
    return answer
