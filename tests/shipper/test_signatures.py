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

    assert signatures.is_new("shop", b'{"message":"order 1 failed"}')
    assert not signatures.is_new("shop", b'{"message":"order 2 failed"}')
    assert signatures.is_new("cart", b'{"message":"order 2 failed"}')
    assert not Signatures(path).is_new("shop", b'{"message":"order 3 failed"}')


@pytest.mark.parametrize(
    ("one", "other", "new"),
    [
        pytest.param("order 12 failed", "order 57 failed", False, id="digits"),
        pytest.param("order 7 failed", "order 12345 failed", False, id="more digits"),
        pytest.param("at 0x7f", "at 1x7f", True, id="an address and none"),
        pytest.param("a1", "a", True, id="a digit and none"),
        pytest.param("\\u0041", "\\u0061", True, id="escapes"),
    ],
)
def test_errors_that_are_nothing_but_a_message_are_told_apart_as_others(
    tmp_path: Path, one: str, other: str, new: bool
) -> None:
    signatures = Signatures(tmp_path / "signatures")
    before, after = (f'{{"message":"{each}"}}'.encode() for each in (one, other))

    assert signatures.is_new("shop", before, bare=True)
    assert not signatures.is_new("shop", before, bare=True)
    assert signatures.is_new("shop", after, bare=True) is new


@pytest.mark.parametrize("service", ["cart", "shop"])
@pytest.mark.parametrize("message", [b"order 9 failed", b"order 9 was lost", b"order \\u0039 failed", b""])
@pytest.mark.parametrize("bare", [True, False])
def test_errors_of_a_window_are_told_apart_as_one_by_one(
    tmp_path: Path, service: str, message: bytes, bare: bool
) -> None:
    together, apart = Signatures(tmp_path / "together"), Signatures(tmp_path / "apart")
    usual = [("shop", b'{"message":"order %d failed"}' % number, True) for number in range(3)]
    odd = (service, b'{"message":"%b"}' % message, bare)

    for window in (usual, [*usual, odd], [odd, *usual], usual):
        services, documents, plain = map(list, zip(*window, strict=True))
        found = list(together.news(services, documents, plain))
        assert found == [at for at, each in enumerate(window) if apart.is_new(each[0], each[1], bare=each[2])]
