"""`topmast grok`: what a pattern makes of lines, before Logstash or the shipper sees them."""

import json
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from topmast import groksamples
from topmast.errors import TopmastError

# So many lines that do not fit are shown with the place; all are counted.
_SHOWN = 10


@dataclass
class Trial:
    """A pattern over lines."""

    pattern: str
    lines: int = 0
    matched: int = 0
    seconds: float = 0.0
    slowest: float = 0.0
    misses: list[dict[str, Any]] = field(default_factory=list)


@click.group()
def grok() -> None:
    """Try grok patterns, the ones that Logstash reads too: `topmast grok test NGINX_ACCESS access.log`."""


@grok.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print {patterns: {NAME: DEFINITION}} as JSON.")
def list_patterns(as_json: bool) -> None:
    """List the patterns for whole lines."""
    from topmast_shipper import patterns

    own = {name: text for name, text in sorted(patterns.own().items()) if not name.startswith("T_")}
    click.echo(json.dumps({"patterns": own}, indent=2) if as_json else "\n".join(own))


@grok.command("test")
@click.argument("pattern")
@click.argument("file", required=False, type=click.Path(path_type=Path, allow_dash=True))
@click.option("--patterns-dir", type=click.Path(path_type=Path), help="A folder of pattern files of your own.")
@click.option("--fields", is_flag=True, help="Print the fields of each line that fits, one JSON object a line.")
@click.option("--json", "as_json", is_flag=True, help="Print what matched, what not and where it stopped as JSON.")
@click.pass_context
def test(
    ctx: click.Context, pattern: str, file: Path | None, patterns_dir: Path | None, fields: bool, as_json: bool
) -> None:
    """Say which lines of FILE (- for standard input) a pattern fits, and where the others stop fitting.

    Without FILE, the pattern's own samples are tried. Exit code 1 when a line does not fit (of the samples: when one
    means something else than it says).

    \b
    topmast grok test NGINX_ACCESS /var/log/nginx/access.log
    tail -f app.log | topmast grok test FASTAPI - --fields
    """
    from topmast_shipper import patterns
    from topmast_shipper.errors import ConfigError

    try:
        definitions = {**patterns.own(), **(patterns.load([patterns_dir]) if patterns_dir else {})}
        compiled = patterns.compile_pattern(pattern, definitions)
    except ConfigError as error:
        raise TopmastError(str(error)) from error
    if file is None:
        ctx.exit(_samples(compiled, pattern, as_json))
    trial = Trial(pattern)
    for number, line in enumerate(_lines(file), start=1):
        began = time.perf_counter()
        found = compiled.match(line)
        took = time.perf_counter() - began
        trial.lines += 1
        trial.seconds += took
        trial.slowest = max(trial.slowest, took)
        if found is not None:
            trial.matched += 1
            if fields:
                click.echo(json.dumps(found, ensure_ascii=False))
        elif len(trial.misses) < _SHOWN:
            stop = patterns.stopped(pattern, definitions, line)
            trial.misses.append(
                {"number": number, "line": line[:1000], "stopped_at": stop.position, "expected": stop.expected}
            )
    _report(trial, as_json)
    ctx.exit(0 if trial.matched == trial.lines else 1)


def _lines(file: Path) -> Iterator[str]:
    lines: Iterable[str]
    if str(file) == "-":
        lines = sys.stdin
        yield from (line.rstrip("\r\n") for line in lines)
        return
    try:
        with file.open(encoding="utf-8", errors="backslashreplace", newline="\n") as opened:
            yield from (line.rstrip("\r\n") for line in opened)
    except OSError as error:
        raise TopmastError(f"{file}: {error.strerror}") from error


def _samples(compiled: Any, pattern: str, as_json: bool) -> int:
    """Try the pattern's own samples; return the exit code."""
    samples = [each for each in groksamples.samples() if each.pattern == pattern]
    wrong = []
    for each in samples:
        found = compiled.match(each.line)
        told = found if found is None or each.fields is None else {name: found.get(name) for name in each.fields}
        if told != each.fields:
            wrong.append({"line": each.line, "expected": each.fields, "found": found})
    if as_json:
        click.echo(json.dumps({"pattern": pattern, "samples": len(samples), "wrong": wrong}, indent=2))
    elif not samples:
        click.echo(f"{pattern} has no samples of its own: name a file")
    else:
        click.echo(f"{pattern}: {len(samples) - len(wrong)} of {len(samples)} samples mean what they say")
        for one in wrong:
            click.echo(f"  {one['line']!r}\n    expected {one['expected']}\n    found    {one['found']}")
    return 1 if wrong else 0


def _report(trial: Trial, as_json: bool) -> None:
    each = round(trial.seconds / trial.lines * 1e6, 2) if trial.lines else None
    if as_json:
        told = {
            "pattern": trial.pattern,
            "lines": trial.lines,
            "matched": trial.matched,
            "microseconds_a_line": each,
            "slowest_microseconds": round(trial.slowest * 1e6, 2),
            "misses": trial.misses,
        }
        click.echo(json.dumps(told, indent=2, ensure_ascii=False))
        return
    for miss in trial.misses:
        # a window around the place, so that the caret stands under it
        start = max(0, miss["stopped_at"] - 60)
        shown = "".join(c if c.isprintable() else "·" for c in miss["line"][start : start + 100])
        expected = miss["expected"] or "(the end of the line)"
        click.echo(f"line {miss['number']}: {shown}")
        click.echo(f"{' ' * (len(str(miss['number'])) + 7 + miss['stopped_at'] - start)}^ here it wants {expected}")
    hidden = trial.lines - trial.matched - len(trial.misses)
    if hidden > 0:
        click.echo(f"and {hidden} more")
    click.echo(
        f"{trial.pattern}: {trial.matched} of {trial.lines} lines fit; "
        f"{each or 0} µs a line, the slowest {trial.slowest * 1e6:.0f} µs"
    )


COMMAND = grok
