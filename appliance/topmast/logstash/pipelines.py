"""A folder of pipelines as Logstash runs it: pipelines.yml, its files, and where an event ends."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from topmast.logstash import filters
from topmast.logstash.conditions import holds
from topmast.logstash.event import Event
from topmast.logstash.lscl import Plugin, Section, Statement, parse

# One event meets at most so many pipelines: they could hand it round for ever.
MAX_HOPS = 20


@dataclass(frozen=True)
class Stored:
    """What one output wrote."""

    plugin: str
    """`elasticsearch`, `file`."""
    place: str
    """The data stream, or the file."""
    id: str
    document: dict[str, Any]
    route: tuple[str, ...]
    """The pipelines that the event went through."""


class Pipelines:
    """All pipelines of monitoring/logstash (or a folder like it)."""

    def __init__(self, folder: Path) -> None:
        """Raises OSError, LsclError, yaml.YAMLError."""
        self._sections: dict[str, list[Section]] = {}
        for each in yaml.safe_load((folder / "pipelines.yml").read_text(encoding="utf-8")):
            path = folder / "pipeline" / PurePosixPath(each["path.config"]).name
            self._sections[each["pipeline.id"]] = parse(path.read_text(encoding="utf-8"))
        self._addresses = {
            str(plugin.get("address")): name
            for name, sections in self._sections.items()
            for section in sections
            if section.kind == "input"
            for plugin in section.plugins()
            if plugin.name == "pipeline"
        }

    def run(self, pipeline: str, fields: dict[str, Any]) -> list[Stored]:
        """Return what becomes of an event that enters this pipeline. Raises DroppedError, UnsupportedError."""
        return list(self._through(pipeline, Event(fields), ()))

    def _through(self, pipeline: str, event: Event, route: tuple[str, ...]) -> Iterator[Stored]:
        route = (*route, pipeline)
        if len(route) > MAX_HOPS:
            raise filters.UnsupportedError(f"the pipelines hand an event round: {' → '.join(route[:5])} …")
        for section in self._sections[pipeline]:
            if section.kind == "filter":
                for plugin in _chosen(section.body, event):
                    filters.apply(plugin, event)
        for section in self._sections[pipeline]:
            if section.kind == "output":
                for plugin in _chosen(section.body, event):
                    yield from self._out(plugin, event, route)

    def _out(self, plugin: Plugin, event: Event, route: tuple[str, ...]) -> Iterator[Stored]:
        if plugin.name == "pipeline":
            addresses = plugin.get("send_to")
            for address in addresses if isinstance(addresses, list) else [addresses]:
                copied = Event(event.fields)  # with @metadata: the bus clones the event
                yield from self._through(self._addresses[str(address)], copied, route)
        elif plugin.name == "elasticsearch":
            place = event.format("%{[data_stream][type]}-%{[data_stream][dataset]}-%{[data_stream][namespace]}")
            yield Stored(
                "elasticsearch", place, event.format(str(plugin.get("document_id"))), event.document(), route
            )
        elif plugin.name == "file":
            yield Stored("file", str(plugin.get("path")), "", event.document(), route)
        else:
            raise filters.UnsupportedError(f"line {plugin.line}: the output {plugin.name}")


def _chosen(body: list[Statement] | Any, event: Event) -> Iterator[Plugin]:
    """Yield the plugins that the event meets, each condition asked when its turn comes."""
    for each in body:
        if isinstance(each, Plugin):
            yield each
            continue
        for condition, inner in each.arms:
            if condition is None or holds(condition, event):
                yield from _chosen(inner, event)
                break
