"""Logstash's configuration language, as Elastic's own grammar has it."""

import pytest
from topmast.logstash.lscl import Branch, LsclError, Plugin, Selector, parse


def test_a_configuration_is_a_tree_with_lines() -> None:
    text = (
        '# c\nfilter {\n  if [a][b] {\n    grok { match => { "m" => ["x", \'y\'] } timeout_millis => 10 }\n  }\n}\n'
    )

    (section,) = parse(text)

    assert (section.kind, section.line) == ("filter", 2)
    (branch,) = section.body
    assert isinstance(branch, Branch)
    ((condition, (plugin,)),) = branch.arms
    assert condition == Selector(("a", "b"), 3)
    assert plugin == Plugin("grok", (("match", {"m": ["x", "y"]}), ("timeout_millis", 10.0)), 4)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(r"filter { if [m] =~ /a\/b/ { drop { } } }", id="a slash in a regular expression"),
        pytest.param('filter { ruby { code => "a\nb" } }', id="a string over two lines"),
        pytest.param("input { tcp { codec => json_lines { a1 => 2 } } }", id="a codec with options"),
        pytest.param("output { if !([a] and [b] not in [c]) { null { } } else { null { } } }", id="not in"),
        pytest.param("", id="nothing"),
    ],
)
def test_what_the_grammar_allows(text: str) -> None:
    parse(text)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param("filter {\n mutate { replace => { a1 => 'b', c1 => 'd' } } }", "line 2: a comma", id="comma"),
        pytest.param("filter { json { source => x } }", "line 1: not a value: 'x'", id="one letter"),
        pytest.param("filters { }", "line 1: expected input, filter or output", id="section"),
        pytest.param("filter { mutate { }", "expected a plugin's name", id="not closed"),
        pytest.param("filter { if 3 { } }", "only a field can stand by itself", id="a bare number"),
        pytest.param("filter { " + "if [a1] { " * 100, "nested deeper", id="depth"),
    ],
)
def test_what_it_refuses(text: str, says: str) -> None:
    with pytest.raises(LsclError, match=says):
        parse(text)
