"""Grafana's datasources: each name and uid once, one default, and what one says of another is there.

Grafana ends at its start when two are the default; a uid that stands twice takes the first one's place silently.
"""

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

from topmast import check
from topmast.check import Check, Spot, Tree

# `"datasource": {"type": "prometheus", "uid": "prometheus"}`, in any order and over lines.
_UID = re.compile(r'"datasource":\s*\{[^{}]*"uid":\s*"([A-Za-z0-9_-]+)"[^{}]*\}')


def run(tree: Tree) -> Iterator[Spot]:
    for path, text in tree.documents.items():
        if path.suffix not in check.YAML or not path.parent.as_posix().endswith("provisioning/datasources"):
            continue
        value = check.load_yaml(text)
        listed = value.get("datasources") if isinstance(value, dict) else None
        sources = [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
        for needle, message in _problems(sources):
            yield Spot(path, check.line_of(text, needle), message)
        uids = {str(each.get("uid")) for each in sources}
        for uid, dashboards in sorted(_asked(tree).items()):
            if tree.ours and uid not in uids:
                message = (
                    f"no datasource has the uid {uid}, for which {', '.join(sorted(dashboards))} ask: give it to one"
                )
                yield Spot(path, check.line_of(text, "datasources:"), message)


def _asked(tree: Tree) -> dict[str, set[str]]:
    """Return the uids that dashboards ask for, with the dashboards' names. Variables are left out."""
    asked: dict[str, set[str]] = {}
    for path, text in tree.documents.items():
        if path.suffix == ".json" and path.parent.name == "dashboards":
            for uid in _UID.findall(text):
                asked.setdefault(uid, set()).add(path.stem)
    return asked


def _problems(sources: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    for key in ("name", "uid"):
        for value, count in Counter(str(each.get(key)) for each in sources if each.get(key)).items():
            if count > 1:
                yield f"{key}: {value}", f"{key} {value} stands {count} times: rename one"
    defaults = [str(each.get("name")) for each in sources if each.get("isDefault") is True]
    if len(defaults) > 1:
        yield "isDefault:", f"{', '.join(defaults)}: only one datasource is the default: Grafana does not start"
    uids = {str(each.get("uid")) for each in sources}
    for each in sources:
        options = each.get("jsonData")
        wanted = options.get("alertmanagerUid") if isinstance(options, dict) else None
        if wanted and str(wanted) not in uids:
            yield f"alertmanagerUid: {wanted}", f"{each.get('name')}: no datasource has the uid {wanted}: correct it"
        if each.get("basicAuth") is True and not each.get("basicAuthUser"):
            yield f"name: {each.get('name')}", f"{each.get('name')}: basicAuth without basicAuthUser: say who"


CHECK = Check(name="datasources", summary="Grafana's datasources are one of each", run=run)
