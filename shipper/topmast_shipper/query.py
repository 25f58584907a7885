"""The language of log searches, Lucene-style: text to a tree. Pure.

checkout timeout                both words, anywhere in the event
"payment failed"                the words side by side
check*                          a beginning
level:error service:shop        fields by their ECS name, or an alias: level service logger trace status
status:>=500  level:>=warning   ranges; also status:[500 TO 599], and {500 TO 600} without its ends
*out  ch*out  path:/api/*       a star anywhere; one that is not at the end is looked for line by line
http.request.id:*               the field is there
a OR b, NOT a, -a, (a b) OR c   AND is the default and binds closer than OR
"""

import re
from dataclasses import dataclass

from topmast_shipper.errors import QueryError

ALIASES = {
    "level": "log.level",
    "service": "service.name",
    "logger": "log.logger",
    "trace": "trace.id",
    "span": "span.id",
    "status": "http.response.status_code",
    "method": "http.request.method",
    "path": "url.path",
    "time": "@timestamp",
    "host": "host.name",
    "user": "user.id",
    "file": "log.file.path",
}
_MAX_CHARACTERS = 4096
_MAX_DEPTH = 32


@dataclass(frozen=True)
class Words:
    """A word, or words side by side; in any field, or in one."""

    text: str
    prefix: bool = False
    field: str = ""


@dataclass(frozen=True)
class Compare:
    """A field against a value: `=`, `<`, `<=`, `>`, `>=`, or `?` (it is there)."""

    field: str
    operator: str
    value: str = ""
    """May hold `*` with `=`."""
    position: int = 0


@dataclass(frozen=True)
class Not:
    node: "Node"


@dataclass(frozen=True)
class And:
    nodes: tuple["Node", ...]


@dataclass(frozen=True)
class Or:
    nodes: tuple["Node", ...]


Node = Words | Compare | Not | And | Or

# Text is searched by word; every other field is compared as a whole.
TEXT_FIELDS = frozenset({"message", "error.message", "error.stack_trace", "event.original"})

_VALUES = r"""
    (?P<range>[\[{][^\]}]*[\]}]) |
    "(?P<phrase>(?:[^"\\]|\\.)*)(?P<end>")? |
    (?P<word>(?:[^\s()":\\]|\\.|:)+)
"""
_VALUE = re.compile(rf"\s*(?:{_VALUES})", re.VERBOSE)
_TOKEN = re.compile(
    rf"""\s*(?:
        (?P<open>\() | (?P<close>\)) | (?P<minus>[-!](?=[^\s)!-])) |
        (?P<field>[A-Za-z_@][\w.@-]*):(?P<operator>>=|<=|>|<)? |
        {_VALUES}
    )""",
    re.VERBOSE,
)
_KINDS = ("open", "close", "minus", "field", "range", "phrase", "word")


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    position: int
    operator: str = ""


def parse(query: str) -> Node | None:
    """Return the tree of a query; None for an empty one, which everything matches.

    Raises QueryError with the position of what is wrong.
    """
    if len(query) > _MAX_CHARACTERS:
        raise QueryError(f"longer than {_MAX_CHARACTERS} characters", _MAX_CHARACTERS)
    tokens = _tokens(query)
    if not tokens:
        return None
    reader = _Reader(tokens, len(query))
    node = reader.either(0)
    if (extra := reader.peek()) is not None:
        raise QueryError("this parenthesis closes nothing", extra.position)
    return node


def _tokens(query: str) -> list[_Token]:
    tokens: list[_Token] = []
    position = 0
    while query[position:].strip():
        # behind a field, a colon or a minus is part of the value
        valued = _VALUE.match(query, position) if tokens and tokens[-1].kind == "field" else None
        found = valued or _TOKEN.match(query, position)
        if found is None:
            raise QueryError("nothing that a search understands", position + _blanks(query, position))
        named = found.groupdict()
        kind = next(name for name in _KINDS if named.get(name) is not None)
        start = found.start(kind)
        if kind == "phrase":
            start -= 1
            if not found["end"]:
                raise QueryError("this quotation mark is never closed", start)
        tokens.append(_Token(kind, found[kind], start, named.get("operator") or ""))
        position = found.end()
    return tokens


def _blanks(query: str, position: int) -> int:
    rest = query[position:]
    return len(rest) - len(rest.lstrip())


class _Reader:
    """Recursive descent over the tokens: OR of AND of NOT of what stands alone."""

    def __init__(self, tokens: list[_Token], length: int) -> None:
        self._tokens = tokens
        self._length = length
        self._at = 0
        self._within = ""
        """The field of a group: level:(error OR critical)."""

    def peek(self) -> _Token | None:
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def _word(self, *words: str) -> bool:
        token = self.peek()
        return token is not None and token.kind == "word" and token.text in words

    def either(self, depth: int) -> Node:
        nodes = [self._all(depth)]
        while self._word("OR", "||"):
            self._at += 1
            nodes.append(self._all(depth))
        return nodes[0] if len(nodes) == 1 else Or(tuple(nodes))

    def _all(self, depth: int) -> Node:
        nodes = [self._one(depth)]
        while (token := self.peek()) is not None and token.kind != "close" and not self._word("OR", "||"):
            if self._word("AND", "&&"):
                self._at += 1
            nodes.append(self._one(depth))
        return nodes[0] if len(nodes) == 1 else And(tuple(nodes))

    def _one(self, depth: int) -> Node:
        token = self.peek()
        if token is None:
            raise QueryError("something is missing here", self._length)
        if depth > _MAX_DEPTH:
            raise QueryError(f"nested deeper than {_MAX_DEPTH}", token.position)
        self._at += 1
        if token.kind == "minus" or (token.kind == "word" and token.text == "NOT"):
            return Not(self._one(depth + 1))
        if token.kind == "open":
            return self._group(token, depth)
        if token.kind == "close":
            raise QueryError("this parenthesis closes nothing", token.position)
        if token.kind == "field":
            return self._field(token, depth)
        if self._operator(token):
            raise QueryError(f"{token.text} stands between two searches", token.position)
        if self._within:
            return self._valued(self._within, token)
        if token.kind == "range":
            raise QueryError("a range needs a field: status:[500 TO 599]", token.position)
        return _words(token, "")

    def _group(self, opened: _Token, depth: int) -> Node:
        token = self.peek()
        if token is not None and token.kind == "close":
            raise QueryError("these parentheses are empty", opened.position)
        node = self.either(depth + 1)
        token = self.peek()
        if token is None:
            raise QueryError("this parenthesis is never closed", opened.position)
        self._at += 1
        return node

    def _field(self, token: _Token, depth: int) -> Node:
        field = ALIASES.get(token.text, token.text)
        value = self.peek()
        if value is None or value.kind not in ("word", "phrase", "range", "open") or self._operator(value):
            raise QueryError(f"{token.text}: needs a value, or * for any", token.position)
        self._at += 1
        if token.operator and value.kind in ("word", "phrase"):
            return Compare(field, token.operator, _unescaped(value.text), value.position)
        if value.kind == "open":
            self._within, outer = field, self._within
            node = self._group(value, depth)
            self._within = outer
            return node
        return self._valued(field, value)

    @staticmethod
    def _operator(token: _Token) -> bool:
        return token.kind == "word" and token.text in ("AND", "OR", "&&", "||")

    @staticmethod
    def _valued(field: str, value: _Token) -> Node:
        if value.kind == "range":
            return _range(field, value)
        text = _unescaped(value.text)
        if value.kind == "word" and text == "*":
            return Compare(field, "?", position=value.position)
        if value.kind == "word" and text[:1] in "<>" and text[1:]:
            operator = text[: 2 if text[1] == "=" else 1]
            return Compare(field, operator, text[len(operator) :], value.position)
        if field in TEXT_FIELDS:
            return _words(value, field)
        # in quotes a star is a star
        return Compare(field, "=" if value.kind == "word" else "==", text, value.position)


def _range(field: str, token: _Token) -> Node:
    """Return `[500 TO 599]` as two comparisons; `*` leaves a side open, a curly bracket leaves its end out."""
    sides = token.text[1:-1].split(" TO ")
    if len(sides) != 2 or not all(side.strip() for side in sides):
        raise QueryError("a range is [LOW TO HIGH], * for an open side", token.position)
    low, high = (side.strip() for side in sides)
    nodes = [
        Compare(field, operator, value, token.position)
        for operator, value in (
            (">=" if token.text[0] == "[" else ">", low),
            ("<=" if token.text[-1] == "]" else "<", high),
        )
        if value != "*"
    ]
    if not nodes:
        return Compare(field, "?", position=token.position)
    return nodes[0] if len(nodes) == 1 else And(tuple(nodes))


def _words(token: _Token, field: str) -> Node:
    text = _unescaped(token.text)
    if token.kind == "word" and "*" in text:
        if not text.strip("*"):
            raise QueryError("a star needs a beginning: check*", token.position)
        if "*" in text.rstrip("*"):
            # no index knows it: the text itself is looked through
            return Compare(field or "message", "=", f"*{text.strip('*')}*", token.position)
        return Words(text.rstrip("*"), True, field)
    if not text.strip():
        raise QueryError("this phrase is empty", token.position)
    return Words(text, False, field)


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text)
