"""context.py: what is bound is in every record from there on, and nowhere else."""

import asyncio
import json
import logging
from typing import Any

from topmast_shipper import context
from topmast_shipper.formatter import EcsFormatter

FORMATTER = EcsFormatter("shop")


def written(**extra: Any) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(
        FORMATTER.format(logging.makeLogRecord({"msg": "m", "levelno": 20, **extra}))
    )
    return document


def test_bound_fields_are_in_the_record_and_gone_afterwards() -> None:
    with context.bound({"http.request.id": "r1"}), context.bound({"labels.tenant": "acme"}):
        inside = written()

    assert (inside["http.request.id"], inside["labels.tenant"]) == ("r1", "acme")
    assert "http.request.id" not in written()


def test_an_extra_is_nearer_than_the_context() -> None:
    with context.bound({"user.id": "1"}):
        assert written(**{"user.id": "2"})["user.id"] == "2"


def test_a_taken_name_becomes_a_label_and_none_is_left_out() -> None:
    with context.bound({"message": "x", "trace.id": None}):
        inside = written()

    assert (inside["message"], inside["labels.message"]) == ("m", "x")
    assert "trace.id" not in inside


def test_secrets_in_the_context_are_masked() -> None:
    with context.bound({"api_key": "abc"}):
        assert written()["api_key"] == "[redacted]"


def test_each_task_has_its_own() -> None:
    async def one(number: int) -> object:
        with context.bound({"n": number}):
            await asyncio.sleep(0)
            return written()["n"]

    async def all_of_them() -> list[object]:
        return await asyncio.gather(*(one(number) for number in range(3)))

    assert asyncio.run(all_of_them()) == [0, 1, 2]


def test_no_more_fields_than_a_record_should_have() -> None:
    with context.bound({f"f{number}": number for number in range(1000)}):
        assert len(context.current().fields) == context.MAX_FIELDS
