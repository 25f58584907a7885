"""YAML of a stranger's: every line known, every trick refused in bounded time."""

import pytest
from topmast import yamltext
from topmast.yamltext import NotYamlError


def test_every_value_has_its_line() -> None:
    text = "a: 1\nb:\n  - c: 2\n    d: 3\n  - e\n"

    assert yamltext.lines(yamltext.compose(text)) == {
        (): 1,
        ("a",): 1,
        ("b",): 2,
        ("b", 0): 3,
        ("b", 0, "c"): 3,
        ("b", 0, "d"): 4,
        ("b", 1): 5,
    }


def test_an_empty_text_is_nothing() -> None:
    assert yamltext.compose("# a comment\n") is None
    assert yamltext.load("") is None


BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 10)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        pytest.param("a: 1\nb: [1\n", 2, "not YAML", id="a list that does not end"),
        pytest.param("a: 1\n\tb: 2\n", 2, "not YAML", id="a tab"),
        pytest.param("a: 1\n---\nb: 2\n", 2, "not YAML: but found another document", id="two documents"),
        pytest.param("a: b\nc: *d\n", 2, "undefined alias", id="an alias of nothing"),
        pytest.param("[" * 100_000, 1, "nested more than 100 deep", id="a hundred thousand brackets"),
        pytest.param("- " * 100_000, 1, "nested more than 100 deep", id="a hundred thousand dashes"),
        pytest.param(BOMB, 6, "aliases stand for more than", id="a billion laughs"),
        pytest.param("a: &a\n  b: *a\n", 1, "an alias inside of what it names", id="an alias without an end"),
        pytest.param("a: !!python/object:os.system x\n", 1, "not plain YAML", id="a tag that runs something"),
        pytest.param("a: !!timestamp 2026-13-45\n", 1, "put the value in quotes", id="a day that there is not"),
        pytest.param("a: 1\n? [b]\n: 2\n", 2, "not plain YAML", id="a list for a key"),
    ],
)
def test_refuses(text: str, line: int, message: str) -> None:
    with pytest.raises(NotYamlError, match=message) as told:
        yamltext.load(text)

    assert told.value.line == line


def test_a_key_that_stands_twice_is_told_with_both_lines() -> None:
    root = yamltext.compose("a: {b: 1}\nc: 2\na: 3\n")

    assert list(yamltext.repeated(root)) == [(3, "a", 1)]
