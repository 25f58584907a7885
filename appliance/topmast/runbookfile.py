"""A runbook as text: its sections, its queries, and the commands that it tells a tired person to type.

A command is a line of a `sh` fence, or code in a sentence that begins with a program we know, with SQL or with a
request as Elasticsearch's console writes it, or that looks like one all the same: a name with a flag, a file, a HOST.
What a command may look like stands here: a flag that nobody knows at three in the morning is a mistake of the file.
"""

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

_PROMQL = re.compile(r"^ *```promql\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
_SHELL = re.compile(r"^ *```sh\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
_FENCE = re.compile(r"^ *```.*?^ *```", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`([^`\n]+)`")
_SQL = re.compile(r"^(select|explain|show|create index|kill|set global) ", re.IGNORECASE)
_CONSOLE = re.compile(r"^(GET|POST|PUT) (\S+)( \{.*\})?$")
# What follows a program's name and no message's first word: a flag, a path, a file, NAME=, a HOST to fill in.
_TYPED = re.compile(r"^[a-z][a-z0-9_.+-]*( .*)? (-[A-Za-z-]|\S*[\w~*]/|/\w|[\w-]+\.[a-z]{2,}\b|\w+=|[A-Z]{3,}\b)")
_COMPOSE = {"-f", "--tail", "-d", "--all"}
PROGRAMS: Mapping[str, frozenset[str]] = {
    "cat": frozenset(),
    "curl": frozenset({"-i", "-s", "-v", "-o", "-w"}),
    "df": frozenset({"-h", "-t"}),
    "dmesg": frozenset({"-T"}),
    "docker": frozenset({*_COMPOSE, "--format", "--filter", "--no-stream"}),
    "du": frozenset({"-xh", "--max-depth"}),
    "fuser": frozenset({"-v"}),
    "grep": frozenset({"-i"}),
    "journalctl": frozenset({"-u", "-n"}),
    "lsof": frozenset(),
    "mysqladmin": frozenset({"-h", "-P"}),
    "openssl": frozenset({"-connect", "-showcerts", "-noout", "-enddate", "-issuer"}),
    "pg_isready": frozenset({"-h", "-p"}),
    "ping": frozenset({"-c"}),
    "ps": frozenset({"--sort"}),
    "py-spy": frozenset({"--pid"}),
    "redis-cli": frozenset({"-h", "-p", "--bigkeys", "--scan", "--pattern"}),
    "sort": frozenset({"-h"}),
    "systemctl": frozenset(),
    "tail": frozenset(),
    "vmstat": frozenset(),
    "wc": frozenset({"-l"}),
}
"""The flags of each program that runbooks use; `topmast` has its own parser."""


@dataclass(frozen=True)
class Command:
    """One command, as it is written, and its line."""

    text: str
    line: int
    kind: str
    """`topmast`, `shell`, `sql` or `console`."""


def sections(text: str) -> dict[str, str]:
    """Return the text below each heading of the second level."""
    parts = re.split(r"^## (.+)$", text, flags=re.MULTILINE)
    return dict(zip((each.strip() for each in parts[1::2]), parts[2::2], strict=True))


def queries(text: str) -> list[tuple[str, int]]:
    """Return each PromQL query with its line."""
    return [(match[1].strip(), text.count("\n", 0, match.start()) + 2) for match in _PROMQL.finditer(text)]


def commands(text: str) -> list[Command]:
    """Return the commands in the order of the text."""
    found = []
    for match in _SHELL.finditer(text):
        first = text.count("\n", 0, match.start()) + 2
        for offset, line in enumerate(match[1].splitlines()):
            found.append(Command(line.strip(), first + offset, _kind(line.strip()) or "shell"))
    # What is fenced is no sentence: its lines stay, so that the numbers of the others are right.
    bare = _FENCE.sub(lambda match: "\n" * match[0].count("\n"), text)
    for match in _INLINE.finditer(bare):
        if kind := _kind(match[1]):
            found.append(Command(match[1], bare.count("\n", 0, match.start()) + 1, kind))
    return sorted(found, key=lambda each: each.line)


def problems(command: Command) -> Iterator[str]:
    """Yield what is wrong with a command that is not topmast's own (its parser says that)."""
    text = command.text
    if command.kind == "sql" and (text.count("(") != text.count(")") or text.count("'") % 2):
        yield "a bracket or a quote is not closed"
    if command.kind == "console" and not _CONSOLE.match(text.partition(" | ")[0]):
        yield "not a request: METHOD path, without a space in the path"
    if command.kind != "shell":
        return
    for part in _piped(text):
        program, *arguments = part or [""]
        if program not in PROGRAMS:
            yield f"{program!r}: no program that runbooks use: choose another, or add it to runbookfile.PROGRAMS"
            continue
        for argument in arguments:
            flag = argument.partition("=")[0]
            if flag.startswith("-") and flag not in PROGRAMS[program]:
                yield f"{program} {flag}: no flag that runbooks use: correct it, or add it to runbookfile.PROGRAMS"


def _kind(text: str) -> str:
    first = text.split(" ", 1)[0]
    if first == "topmast":
        return "topmast"
    if first in PROGRAMS and " " in text:
        return "shell"
    if _SQL.match(text):
        return "sql"
    if re.match(r"^(GET|POST|PUT) ", text):
        return "console"
    return "shell" if _TYPED.match(text) else ""


def _piped(text: str) -> list[list[str]]:
    """Return the words of each program of a pipe. What is read from a file is left out."""
    try:
        lexer = shlex.shlex(text, posix=True, punctuation_chars="|<>;&")
        lexer.whitespace_split = True
        words = list(lexer)
    except ValueError:
        return [[f"(a quote is not closed: {text[:40]})"]]
    parts: list[list[str]] = [[]]
    for word in words:
        if word == "|":
            parts.append([])
        elif word != "<":
            parts[-1].append(word)
    return parts
