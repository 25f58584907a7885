"""Read and edit PromQL: a tokeniser that edits text in place, and walks over the tree of the 3.x grammar.

Grammar: prometheus/promql/parser (lex.go, generated_parser.y). The tree comes from the promql-parser package; the
tokeniser is ours, because the tree forgets white space and rendering must not reformat what people read.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any

import promql_parser as tree

_TOKEN = re.compile(
    r"""
    (?P<string> "(?:[^"\\]|\\.)*" | '(?:[^'\\]|\\.)*' | `[^`]*` )
  | (?P<comment> \#[^\n]* )
  | (?P<range> \[ [^\]]* \] )
  | (?P<name> [A-Za-z_:][A-Za-z0-9_:]* )
  | (?P<duration> (?:[0-9]+(?:ms|[smhdwy]))+ (?![A-Za-z0-9_.]) )
  | (?P<number> 0[xX][0-9a-fA-F]+ | (?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)? )
  | (?P<other> . )
    """,
    re.VERBOSE | re.DOTALL,
)
# model.ParseDuration: each unit at most once, the longest first; "0" alone needs none.
_DURATION = re.compile("".join(f"(?:(?P<{unit}>[0-9]+){unit})?" for unit in ("y", "w", "d", "h", "m", "s", "ms")))
_MILLISECONDS = {
    "y": 365 * 86_400_000,
    "w": 7 * 86_400_000,
    "d": 86_400_000,
    "h": 3_600_000,
    "m": 60_000,
    "s": 1000,
    "ms": 1,
}

Node = Any
"""A node of the package's tree: it has no common typed base for the children."""


def milliseconds(duration: str) -> int:
    """Return the length of a Prometheus duration (`1h30m`). Raises ValueError for anything else."""
    match = _DURATION.fullmatch(duration) if duration else None
    if duration == "0":
        return 0
    if match is None:
        raise ValueError(f"not a duration: {duration[:80]!r}")
    return sum(int(number) * _MILLISECONDS[unit] for unit, number in match.groupdict().items() if number)


def duration(length: int) -> str:
    """Return a length in milliseconds as Prometheus writes it: `1h30m`, `1m30s`, `1s500ms`, `0s`."""
    text = ""
    for unit in ("d", "h", "m", "s", "ms"):
        count, length = divmod(length, _MILLISECONDS[unit])
        text += f"{count}{unit}" if count else ""
    return text or "0s"


def shortened(text: str, speed: int) -> str:
    """Return the duration divided by `speed`, never below a millisecond unless it is 0."""
    length = milliseconds(text)
    return duration(max(1, length // speed) if length else 0)


def edited(
    expression: str,
    *,
    number: Callable[[str], str] = str,
    span: Callable[[str], str] = str,
) -> str:
    """Return the expression with each number literal and each duration (range, offset) passed through a function.

    Names, strings and white space stay as they are: `rate5m` in a metric's name is no duration.
    """
    pieces = []
    for match in _TOKEN.finditer(expression):
        kind, text = match.lastgroup, match[0]
        if kind == "number":
            text = number(text)
        elif kind == "duration":
            text = span(text)
        elif kind == "range":
            text = _DURATION_RUN.sub(lambda found: span(found[0]), text)
        pieces.append(text)
    return "".join(pieces)


_DURATION_RUN = re.compile(r"(?:[0-9]+(?:ms|[smhdwy]))+")


def numbers(expression: str) -> list[str]:
    """Return the number literals of an expression as they are written, in order."""
    return [match[0] for match in _TOKEN.finditer(expression) if match.lastgroup == "number"]


def parse(expression: str) -> Node:
    """Return the tree. Raises ValueError with the parser's words."""
    return tree.parse(expression)


def children(node: Node) -> list[Node]:
    """Return a node's operands, left to right."""
    if isinstance(node, tree.BinaryExpr):
        return [node.lhs, node.rhs]
    if isinstance(node, tree.AggregateExpr):
        return [node.expr] if node.param is None else [node.param, node.expr]
    if isinstance(node, tree.Call):
        return list(node.args)
    if isinstance(node, tree.ParenExpr | tree.UnaryExpr | tree.SubqueryExpr):
        return [node.expr]
    if isinstance(node, tree.MatrixSelector):
        return [node.vector_selector]
    return []


def walk(node: Node, above: tuple[Node, ...] = ()) -> Iterator[tuple[Node, tuple[Node, ...]]]:
    """Yield every node with those above it (outermost first), depth first, left to right."""
    yield node, above
    for child in children(node):
        yield from walk(child, (*above, node))


def bare(node: Node) -> Node:
    """Return the node inside any parentheses."""
    while isinstance(node, tree.ParenExpr):
        node = node.expr
    return node


def operator(node: Node) -> str:
    """Return a binary node's operator or an aggregation's name, as it is written: `>`, `and`, `sum`."""
    return str(node.op).lower()


COMPARISONS = ("==", "!=", ">", "<", ">=", "<=")


def is_comparison(node: Node) -> bool:
    """Return whether the node is a filtering comparison (`> bool` yields 0 and 1 and filters nothing)."""
    return (
        isinstance(node, tree.BinaryExpr)
        and operator(node) in COMPARISONS
        and not (node.modifier is not None and node.modifier.return_bool)
    )


def metric_name(selector: Node) -> str:
    """Return a vector selector's metric name, "" when it has none."""
    if selector.name:
        return str(selector.name)
    return next((m.value for m in selector.matchers.matchers if m.name == "__name__"), "")


def selectors(node: Node) -> list[Node]:
    """Return every vector selector of a tree."""
    return [each for each, _ in walk(node) if isinstance(each, tree.VectorSelector)]


def metric_names(node: Node) -> list[str]:
    """Return the metric names that an expression reads, in order, each once."""
    return list(dict.fromkeys(name for name in map(metric_name, selectors(node)) if name))
