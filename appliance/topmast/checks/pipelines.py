"""Logstash's pipelines.yml: every pipeline has a file that is there, every file a pipeline, every id stands once."""

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from topmast import check
from topmast.check import Check, Spot, Tree


def run(tree: Tree) -> Iterator[Spot]:
    for path, text in tree.named("/pipelines.yml"):
        pipelines = [each for each in _listed(check.load_yaml(text)) if isinstance(each, dict)]
        seen: set[str] = set()
        for each in pipelines:
            name = str(each.get("pipeline.id", ""))
            if name in seen:
                yield Spot(path, _last(text, f"pipeline.id: {name}"), f"pipeline {name} stands twice: rename one")
            seen.add(name)
        yield from _files(tree, path, text, pipelines)


def _files(tree: Tree, path: Path, text: str, pipelines: list[dict[str, Any]]) -> Iterator[Spot]:
    folder = path.parent / "pipeline"
    there = {each.name for each in tree.documents if each.parent == folder and each.suffix == ".conf"}
    if not there:
        return
    named = {PurePosixPath(str(each["path.config"])).name: each for each in pipelines if "path.config" in each}
    for name, each in named.items():
        if name not in there and "*" not in name:
            yield Spot(path, check.line_of(text, name), f"{each.get('pipeline.id')}: pipeline/{name} does not exist")
    if not any("*" in name for name in named):
        for name in sorted(there - named.keys()):
            yield Spot(folder / name, 1, f"no pipeline reads {name}: add it to {path.name}, or remove it")


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _last(text: str, needle: str) -> int:
    lines = text.splitlines()
    return max((number for number, line in enumerate(lines, 1) if line.rstrip().endswith(needle)), default=1)


CHECK = Check(name="pipelines", summary="Logstash's pipelines have their files, each id once", run=run)
