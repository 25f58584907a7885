import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime

from topmast_exporter.instrument.llm import Usage, current_feature, feature, record_llm_call
from topmast_exporter.registry import Registry
from topmast_exporter.testing import caught_usage
from topmast_exporter.usage_event import parse


def test_a_call_becomes_one_event() -> None:
    sender, caught = caught_usage(Registry())

    with feature("search"):
        record_llm_call(
            "openai",
            "gpt-4o-mini",
            Usage(input=812, output=96, cache_read=512),
            id="chatcmpl-1",
            stream=True,
            duration_seconds=1.5,
            time_to_first_token_seconds=0.25,
            service_tier="flex",
            cost_usd=0.001,
            timestamp=datetime(2026, 5, 1, 12, tzinfo=UTC),
            sender=sender,
        )
    assert sender.flush(10)

    assert caught.events == [
        {
            "id": "chatcmpl-1",
            "timestamp": "2026-05-01T12:00:00+00:00",
            "provider": "openai",
            "model": "gpt-4o-mini",
            "feature": "search",
            "operation": "chat",
            "convention": "total",
            "stream": True,
            "batch": False,
            "outcome": "ok",
            "attempt": 1,
            "usage": {"input": 812, "output": 96, "cache_read": 512},
            "service_tier": "flex",
            "duration_seconds": 1.5,
            "time_to_first_token_seconds": 0.25,
            "cost_usd": 0.001,
        }
    ]


def test_the_receiver_understands_every_member() -> None:
    sender, caught = caught_usage(Registry())

    record_llm_call(
        "anthropic",
        "claude-sonnet-4-5",
        Usage(input=16, output=2_621, cache_read=226_784, cache_write_5m=48_454),
        outcome="timeout",
        convention="additive",
        feature="writer",
        duration_seconds=2,
        attempt=3,
        sender=sender,
    )
    assert sender.flush(10)
    event = parse(caught.events[0], now=datetime.now(UTC).timestamp())

    assert (event.provider, event.feature, event.outcome, event.attempt) == ("anthropic", "writer", "timeout", 3)
    assert event.tokens is not None
    assert event.tokens.input == 16 + 226_784 + 48_454


def test_unknown_usage_is_absent_and_known_zero_is_not() -> None:
    sender, caught = caught_usage(Registry())

    record_llm_call("openai", "a", sender=sender)
    record_llm_call("openai", "b", Usage(), sender=sender)
    assert sender.flush(10)

    assert [event.get("usage") for event in caught.events] == [None, {"input": 0, "output": 0}]
    assert len({event["id"] for event in caught.events}) == 2


def test_the_innermost_feature_counts_and_goes_with_its_block() -> None:
    with feature("outer"):
        with feature("inner"):
            inner = current_feature()
        outer = current_feature()

    assert (inner, outer, current_feature()) == ("inner", "outer", "")


def test_a_generator_closed_elsewhere_is_no_error() -> None:
    async def pieces() -> AsyncIterator[int]:
        with feature("stream"):
            yield 1
            yield 2

    async def run() -> str:
        generator = pieces()
        await anext(generator)
        await asyncio.create_task(generator.aclose())  # type: ignore[attr-defined]  # generators have it
        return current_feature()

    assert asyncio.run(run()) in ("", "stream")


def test_tasks_have_features_of_their_own() -> None:
    async def call(name: str) -> str:
        with feature(name):
            await asyncio.sleep(0)
            return current_feature()

    async def both() -> list[str]:
        return await asyncio.gather(call("a"), call("b"))

    assert asyncio.run(both()) == ["a", "b"]
