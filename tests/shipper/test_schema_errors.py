"""schema_errors.py: what a careless hand wrote, and what it is told."""

from typing import Any

import pytest
from topmast_shipper import config, schema_errors


def file(**options: Any) -> dict[str, Any]:
    return {"data": "d", "inputs": [{"file": {"name": "a", "paths": ["a.log"], **options}}]}


@pytest.mark.parametrize(
    ("section", "said"),
    [
        pytest.param(file(), None, id="nothing"),
        pytest.param(file(pathes=["b"]), ".inputs[0].file: no key 'pathes'; did you mean 'paths'?", id="a key"),
        pytest.param(
            {"data": "d", "inputs": [{"file": {"name": "a", "path": ["b"]}}]},
            ".inputs[0].file: no key 'path'; did you mean 'paths'?",
            id="a key that lacks for that",
        ),
        pytest.param({"data": "d", "sink": []}, ": no key 'sink'; did you mean 'sinks'?", id="a section"),
        pytest.param(
            {"data": "d", "inputs": [{"tape": {}}]}, ".inputs[0]: no key 'tape'; there are file, http", id="an input"
        ),
        pytest.param(
            file(multiline="pyhton"), ".inputs[0].file.multiline: no 'pyhton'; did you mean 'python'?", id="a word"
        ),
        pytest.param(file(multiline="x"), ".inputs[0].file.multiline: no 'x'; there are ", id="another word"),
        pytest.param(
            file(multiline={"strat": "x"}),
            ".inputs[0].file.multiline: no key 'strat'; did you mean 'start'?",
            id="a key of a branch",
        ),
        pytest.param(
            file(multiline={"max_lines": 5}),
            ".inputs[0].file.multiline: trace or start: one of them is needed",
            id="none of two",
        ),
        pytest.param(
            file(multiline={"start": "x", "trace": "python"}),
            ".inputs[0].file.multiline: trace or start: one of them, not both",
            id="both of two",
        ),
        pytest.param(
            file(multiline={"start": "x", "max_lines": "9"}),
            ".inputs[0].file.multiline.max_lines: '9' is not of type 'integer'",
            id="a value inside a branch",
        ),
        pytest.param(file(redact=[]), ".inputs[0].file.redact: [] should be non-empty", id="a list of a branch"),
        pytest.param({1: 2, "data": "d"}, ": no key '1'; there are data", id="a number"),
    ],
)
def test_what_is_wrong_is_told_with_what_was_meant(section: dict[str, Any], said: str | None) -> None:
    found = schema_errors.first(config.SCHEMA, section)

    assert found is said is None or (found or "").startswith(said or "-")
