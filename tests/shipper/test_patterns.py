"""patterns.py and monitoring/logstash/patterns/: every pattern compiles, and is bounded on what does not fit."""

from pathlib import Path

import pytest
from topmast_shipper import patterns
from topmast_shipper.errors import ConfigError

NAMES = sorted(patterns.own())


@pytest.mark.parametrize("name", NAMES)
def test_every_pattern_compiles(name: str) -> None:
    patterns.compile_pattern(name, patterns.own())


def test_the_patterns_that_pipelines_and_the_demo_name_are_there() -> None:
    assert {"NGINX_ACCESS", "FASTAPI", "UVICORN_ACCESS"} <= set(NAMES)


def test_groups_are_numbered_in_order_and_converted() -> None:
    definitions = {"N": "[0-9]+", "PAIR": "%{N:[a][b]:int}(?:-%{N:c:float})?", "TWO": "%{PAIR}/%{N:last}"}
    grok = patterns.compile_pattern("TWO", definitions)

    assert grok.match("1-2/3") == {"a.b": 1, "c": 2.0, "last": "3"}
    assert grok.match("1/3") == {"a.b": 1, "last": "3"}


def test_an_empty_group_is_there_and_an_unmatched_one_is_not() -> None:
    grok = patterns.compile_pattern("X", {"ANY": ".*", "X": "a(?:b%{ANY:one})?"})

    assert grok.match("ab") == {"one": ""}
    assert grok.match("a") == {}


def test_a_line_fits_as_a_whole_or_not() -> None:
    grok = patterns.compile_pattern("X", {"X": "a"})

    assert grok.match("a") == {}
    assert [grok.match(line) for line in ("ab", "ba", "a\n", "a\na", "")] == [None] * 5


@pytest.mark.parametrize(
    ("definitions", "said"),
    [
        pytest.param({"X": "%{Y}"}, "no pattern 'Y'", id="a name that is none"),
        pytest.param({"X": "%{X}"}, "refer to themselves", id="a circle"),
        pytest.param({"X": "("}, "pattern X: ", id="no regex"),
        pytest.param({}, "no pattern 'X'", id="nothing"),
    ],
)
def test_what_is_no_pattern_says_why(definitions: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        patterns.compile_pattern("X", definitions)


def test_a_name_that_is_defined_twice_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("# a comment\n\nX a\nX b\n")

    with pytest.raises(ConfigError, match=r"a:4: 'X' is defined twice"):
        patterns.load([tmp_path])


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no folder of patterns"):
        patterns.load([tmp_path / "nowhere"])
