"""`topmast lint`: every static check over monitoring/, or over rule files and folders of your own."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from topmast import check, checks, plugins
from topmast.check import Check, Finding

if TYPE_CHECKING:
    from topmast.cli import Call


def findings(paths: Sequence[Path], home: Path) -> list[Finding]:
    """Return what every check finds, in order of file and line."""
    return run(check.read(paths, home))


def run(tree: check.Tree) -> list[Finding]:
    """Return what every check finds in what was read, in order of file and line."""
    found = set(_run(plugins.load_all(checks, "CHECK"), tree))
    return sorted(found, key=lambda finding: (finding.file, finding.line, finding.check, finding.message))


def _run(room: Sequence[Check], tree: check.Tree) -> Iterator[Finding]:
    for each in room:
        if each.ours and not tree.ours:
            continue
        try:
            for spot in each.run(tree):
                yield Finding(shown(spot.path, tree.home), spot.line, each.name, spot.message)
        except Exception as error:  # noqa: BLE001 - the guard: a value of any shape may stand in a stranger's file
            told = f"{type(error).__name__}: {error}"[:120]
            message = f"stopped at a value that it does not expect ({told}): mend the other findings first"
            root = next(iter([*tree.documents, *(rule.file for rule in tree.rules), tree.home]))
            yield Finding(shown(root, tree.home), 1, each.name, message)


def shown(path: Path, home: Path) -> str:
    """Return a path as a person finds it: relative to here or to the clone, else whole."""
    for base in (Path.cwd(), home):
        if path.is_relative_to(base):
            return str(path.relative_to(base))
    return str(path)


@click.command("lint")
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path, resolve_path=True))
@click.option("--json", "as_json", is_flag=True, help='{"findings": [{"file", "line", "check", "message"}]}')
@click.pass_context
def lint(ctx: click.Context, paths: tuple[Path, ...], as_json: bool) -> None:
    """Check rules, routes, targets and dashboards without running anything.

    \b
    topmast lint                          everything in monitoring/, and docs/runbooks
    topmast lint my-rules/ prometheus.yml  rule files, folders and engine files of your own
    topmast lint topmast.yml              the configuration

    A finding reads `file:line: check: what to do`; the exit code is 1 when there is one. Of your own files only
    what holds of everybody's is asked: our catalogue's habits (runbooks, units in names, …) are not.
    """
    call: Call = ctx.obj
    tree = check.read(paths, call.home)
    found = run(tree)
    if as_json:
        click.echo(json.dumps({"findings": [asdict(finding) for finding in found]}, indent=2, ensure_ascii=False))
    else:
        for finding in found:
            click.echo(finding)
        if not found:
            files = len(tree.documents) + len({rule.file for rule in tree.rules})
            click.echo(f"no finding in {files} files with {len(tree.rules)} rules")
    if found:
        ctx.exit(1)


COMMAND = lint
