"""strict_yaml.py: YAML as everywhere, but each key once."""

import pytest
import yaml
from topmast_shipper import strict_yaml


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("a: 1\na: 2", id="at the top"),
        pytest.param("l: [{x: {a: 1, 'a': 2}}]", id="deep inside, in quotes"),
    ],
)
def test_a_key_that_stands_twice_is_refused_with_its_place(text: str) -> None:
    with pytest.raises(yaml.YAMLError, match=r"the key 'a' stands twice: remove one\n.*line"):
        strict_yaml.load(text.encode())


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="nothing"),
        pytest.param("{a: {x: 1}, b: {x: 1}, 1: n, '1': t}", id="keys of several mappings, and of kinds"),
        pytest.param("r: &r {x: 0}\na: {b: &b {<<: *r, x: 1}}\nc: {<<: *b, x: 2}\nd: *b", id="merges"),
        pytest.param("at: 2026-11-01", id="a date"),
    ],
)
def test_everything_else_is_as_it_was(text: str) -> None:
    assert strict_yaml.load(text.encode()) == yaml.safe_load(text)


def test_what_refers_to_itself_ends() -> None:
    assert list(strict_yaml.load(b"&a {a: *a}")) == ["a"]
