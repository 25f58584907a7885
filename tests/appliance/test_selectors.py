"""A selector says what it is, and which series it picks as Prometheus would."""

from pathlib import Path

import pytest
from topmast import check, selectors

UP = {"job": "redis", "instance": "a:1"}


@pytest.mark.parametrize(
    ("expression", "picked"),
    [
        pytest.param("up", True, id="no matcher"),
        pytest.param('up{job="redis"}', True, id="equal"),
        pytest.param('up{job="red"}', False, id="equal is not the beginning"),
        pytest.param('up{job!="redis"}', False, id="not equal"),
        pytest.param('up{job=~"re.*|x"}', True, id="an expression"),
        pytest.param('up{job=~"edis"}', False, id="an expression is anchored"),
        pytest.param('up{job!~"x|y"}', True, id="not an expression"),
        pytest.param('up{zone=""}', True, id="a label that is not there is empty"),
        pytest.param('up{zone=~".+"}', False, id="and not something"),
        pytest.param("down", False, id="another name"),
        pytest.param('{__name__=~"up|redis_up", job="redis"}', True, id="the name is matched"),
    ],
)
def test_picks(expression: str, picked: bool) -> None:
    (selector,) = selectors.of(expression)

    assert selector.picks("up", UP) == picked


def test_reads_as_promql() -> None:
    (selector,) = selectors.of(r'x{b=~"a\\.b", a!="say \"so\""}')

    assert str(selector) == r'x{a!="say \"so\"",b=~"a\\.b"}'
    assert selectors.of(str(selector)) == [selector]


def test_every_reader_is_named_once(tmp_path: Path) -> None:
    rules = tmp_path / "rules.yml"
    rules.write_text(
        "groups: [{name: g, rules: [{alert: A, expr: 'up == 0 or up{job=\"a\"} > 1 or up < 2'}, "
        "{alert: B, expr: 'up > 3'}]}]"
    )

    found = selectors.read(check.read([rules], tmp_path))

    assert [(str(each), each.readers) for each in found] == [("up", ("A", "B")), ('up{job="a"}', ("A",))]
