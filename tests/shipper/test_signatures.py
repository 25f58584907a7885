"""signatures.py: what makes two errors the same."""

from pathlib import Path
from typing import Any

import pytest
from topmast_shipper.signatures import Signatures, shape

STACK = 'Traceback (most recent call last):\n  File "a.py", line {line}, in pay\n    x\nKeyError: {value}\n'


def stack(line: int, value: str) -> dict[str, Any]:
    return {"message": "failed", "error": {"stack_trace": STACK.format(line=line, value=value)}}


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        pytest.param({"message": "order 7 of 'a'"}, {"message": "order 12 of 'b'"}, True, id="numbers and quotes"),
        pytest.param({"message": "id 0af7651916cd43dd"}, {"message": "id 8448eb211c80319c"}, True, id="identifiers"),
        pytest.param({"message": "timeout"}, {"message": "refused"}, False, id="words"),
        pytest.param(stack(7, "'a'"), stack(9, "'b'"), True, id="the same frames"),
        pytest.param(
            stack(7, "'a'"), {"error": {"stack_trace": STACK.replace("pay", "ship")}}, False, id="other frames"
        ),
        pytest.param(
            {"message": "x", "error": {"type": "A"}}, {"message": "x", "error": {"type": "B"}}, False, id="types"
        ),
    ],
)
def test_shape(one: dict[str, Any], other: dict[str, Any], same: bool) -> None:
    assert (shape(one) == shape(other)) is same


def test_a_shape_is_new_once_also_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "signatures"
    signatures = Signatures(path)

    assert signatures.is_new("shop", {"message": "order 1 failed"})
    assert not signatures.is_new("shop", {"message": "order 2 failed"})
    assert signatures.is_new("cart", {"message": "order 2 failed"})
    assert not Signatures(path).is_new("shop", {"message": "order 3 failed"})
