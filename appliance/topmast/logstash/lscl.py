"""Logstash's configuration language as a tree with line numbers.

The grammar is Elastic's own (logstash-core, grammar.treetop): sections, plugins, branches, conditions. A string keeps
its backslashes, as it does there while `config.support_escapes` is off.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

MAX_CHARACTERS = 1_000_000
_MAX_DEPTH = 64

_SPACE = re.compile(r"(?:\s|#[^\n]*)*")
_NAME = re.compile(r"[A-Za-z0-9_-]+")
_BAREWORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]+")
_NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]*)?")
_STRING = re.compile(r"\"((?:\\.|[^\"\\])*)\"|'((?:\\.|[^'\\])*)'", re.DOTALL)
_REGEXP = re.compile(r"/((?:\\/|[^/])*)/", re.DOTALL)
_SELECTOR = re.compile(r"(?:\[[^\[\],]+\])+")
_COMPARISON = re.compile(r"==|!=|<=|>=|<|>|=~|!~|not\s+in\b|in\b")
_BOOLEAN = re.compile(r"(and|or|xor|nand)\b")


class LsclError(Exception):
    """Where the text stops to be a configuration, and what was expected there."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(f"line {line}: {message}")
        self.line = line
        self.message = message


@dataclass(frozen=True)
class Selector:
    """`[a][b]`: a field of the event."""

    path: tuple[str, ...]
    line: int


@dataclass(frozen=True)
class Regexp:
    source: str


@dataclass(frozen=True)
class Plugin:
    """`name { key => value … }`; also a codec, as a value."""

    name: str
    options: Sequence[tuple[str, "Value"]]
    line: int

    def get(self, key: str) -> "Value | None":
        return next((value for name, value in self.options if name == key), None)


Value = str | float | Plugin | Selector | Regexp | list["Value"] | dict[str, "Value"]


@dataclass(frozen=True)
class Comparison:
    """`left OPERATOR right`; operator is one of == != < <= > >= =~ !~ in, not in."""

    operator: str
    left: Value
    right: Value
    line: int


@dataclass(frozen=True)
class Negation:
    of: "Condition"


@dataclass(frozen=True)
class Combination:
    """`left and|or|xor|nand right`."""

    operator: str
    left: "Condition"
    right: "Condition"


Condition = Selector | Comparison | Negation | Combination


@dataclass(frozen=True)
class Branch:
    """`if … else if … else`: the first arm whose condition holds; the condition of an else is None."""

    arms: Sequence[tuple[Condition | None, Sequence["Statement"]]]
    line: int


Statement = Plugin | Branch


@dataclass(frozen=True)
class Section:
    kind: str
    """`input`, `filter` or `output`."""
    body: Sequence[Statement]
    line: int

    def plugins(self) -> list[Plugin]:
        """Return every plugin, in whatever branch it stands."""
        return _plugins(self.body)


def _plugins(body: Sequence[Statement]) -> list[Plugin]:
    found: list[Plugin] = []
    for each in body:
        if isinstance(each, Plugin):
            found.append(each)
        else:
            for _, inner in each.arms:
                found += _plugins(inner)
    return found


def parse(text: str) -> list[Section]:
    """Return the sections in order. Raises LsclError."""
    if len(text) > MAX_CHARACTERS:
        raise LsclError(1, f"longer than {MAX_CHARACTERS} characters")
    return _Reader(text).sections()


class _Reader:
    """A position in the text that moves forward."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._depth = 0

    def sections(self) -> list[Section]:
        found = []
        self._skip()
        while self._at < len(self._text):
            line = self._line()
            kind = self._need(_NAME, "input, filter or output")
            if kind not in ("input", "filter", "output"):
                raise LsclError(line, f"expected input, filter or output, found {kind!r:.80}")
            found.append(Section(kind, self._block(), line))
            self._skip()
        return found

    def _block(self) -> list[Statement]:
        self._token("{")
        self._deeper()
        body: list[Statement] = []
        while not self._take("}"):
            body.append(self._branch() if self._peek(re.compile(r"if\b")) else self._plugin())
        self._depth -= 1
        return body

    def _branch(self) -> Branch:
        line = self._line()
        arms: list[tuple[Condition | None, Sequence[Statement]]] = []
        self._need(re.compile("if"), "if")
        arms.append((self._condition(), self._block()))
        while self._peek(re.compile(r"else\b")):
            self._need(re.compile("else"), "else")
            if self._peek(re.compile(r"if\b")):
                self._need(re.compile("if"), "if")
                arms.append((self._condition(), self._block()))
            else:
                arms.append((None, self._block()))
                break
        return Branch(arms, line)

    def _plugin(self) -> Plugin:
        line = self._line()
        name = self._need(_NAME, "a plugin's name, or }")
        self._token("{")
        self._deeper()
        options: list[tuple[str, Value]] = []
        while not self._take("}"):
            key = self._string() if self._peek(_STRING) else self._need(_NAME, "an option's name, or }")
            self._token("=>")
            options.append((key, self._value()))
        self._depth -= 1
        return Plugin(name, tuple(options), line)

    def _value(self) -> Value:
        self._skip()
        if self._peek(_STRING):
            return self._string()
        if self._peek(re.compile(r"\[")):
            return self._array()
        if self._peek(re.compile(r"\{")):
            return self._hash()
        if self._peek(_NUMBER):
            return float(self._need(_NUMBER, "a number"))
        line, start = self._line(), self._at
        name = self._need(_NAME, "a value")
        if self._peek(re.compile(r"\{")):
            self._at = start
            return self._plugin()
        if not _BAREWORD.fullmatch(name):
            raise LsclError(line, f"not a value: {name!r:.80} (a word has two characters or more; else quote it)")
        return name

    def _array(self) -> list[Value]:
        self._token("[")
        self._deeper()
        found: list[Value] = []
        if not self._take("]"):
            found.append(self._value())
            while self._take(","):
                found.append(self._value())
            self._token("]")
        self._depth -= 1
        return found

    def _hash(self) -> dict[str, Value]:
        self._token("{")
        self._deeper()
        found: dict[str, Value] = {}
        while not self._take("}"):
            line = self._line()
            if self._peek(re.compile(",")):
                raise LsclError(line, "a comma between the entries of a hash: they stand side by side")
            key = self._string() if self._peek(_STRING) else self._need(_NAME, "a key, or }")
            self._token("=>")
            found[key] = self._value()
        self._depth -= 1
        return found

    def _condition(self) -> Condition:
        """`and` and `or` bind equally, from the left, as there."""
        self._deeper()
        left = self._term()
        while self._peek(_BOOLEAN):
            operator = self._need(_BOOLEAN, "and, or")
            left = Combination(operator, left, self._term())
        self._depth -= 1
        return left

    def _term(self) -> Condition:
        if self._take("!"):
            if self._take("("):
                inner = self._condition()
                self._token(")")
                return Negation(inner)
            return Negation(self._selector())
        if self._take("("):
            inner = self._condition()
            self._token(")")
            return inner
        line, left = self._line(), self._operand()
        if not self._peek(_COMPARISON):
            if isinstance(left, Selector):
                return left
            raise LsclError(line, "expected a comparison: only a field can stand by itself")
        operator = " ".join(self._need(_COMPARISON, "a comparison").split())
        if operator in ("=~", "!~") and self._peek(_REGEXP):
            self._skip()
            matched = _REGEXP.match(self._text, self._at)
            assert matched is not None  # noqa: S101 - it was just looked at
            self._at = matched.end()
            return Comparison(operator, left, Regexp(matched[1].replace("\\/", "/")), line)
        return Comparison(operator, left, self._operand(), line)

    def _operand(self) -> Value:
        if self._peek(_SELECTOR):
            return self._selector()
        return self._value()

    def _selector(self) -> Selector:
        line = self._line()
        text = self._need(_SELECTOR, "a field, as [log][level]")
        return Selector(tuple(text[1:-1].split("][")), line)

    def _string(self) -> str:
        self._skip()
        matched = _STRING.match(self._text, self._at)
        if matched is None:
            raise LsclError(self._line(), "expected a string")
        self._at = matched.end()
        return matched[1] if matched[1] is not None else matched[2]

    def _skip(self) -> None:
        matched = _SPACE.match(self._text, self._at)
        if matched is not None:
            self._at = matched.end()

    def _line(self) -> int:
        self._skip()
        return self._text.count("\n", 0, self._at) + 1

    def _peek(self, pattern: re.Pattern[str]) -> bool:
        self._skip()
        return pattern.match(self._text, self._at) is not None

    def _take(self, token: str) -> bool:
        self._skip()
        if not self._text.startswith(token, self._at):
            return False
        self._at += len(token)
        return True

    def _token(self, token: str) -> None:
        if not self._take(token):
            found = self._text[self._at : self._at + 20].split("\n")[0]
            raise LsclError(self._line(), f"expected {token}, found {found!r}" if found else f"expected {token}")

    def _need(self, pattern: re.Pattern[str], what: str) -> str:
        self._skip()
        matched = pattern.match(self._text, self._at)
        if matched is None:
            found = self._text[self._at : self._at + 20].split("\n")[0]
            raise LsclError(self._line(), f"expected {what}, found {found!r}" if found else f"expected {what}")
        self._at = matched.end()
        return matched[0]

    def _deeper(self) -> None:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise LsclError(self._line(), f"nested deeper than {_MAX_DEPTH}")
