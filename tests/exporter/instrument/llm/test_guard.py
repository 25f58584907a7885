"""The guard warns, makes cheaper or refuses once a budget is spent, lets all through while it knows none."""

import asyncio
import json
import os
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import openai
import pytest
from topmast_exporter.instrument.llm import feature
from topmast_exporter.instrument.llm.guard import (
    VALID_SECONDS,
    BudgetGuard,
    BudgetSpentError,
    budgets_from_environment,
)
from topmast_exporter.registry import Registry


class Exporter:
    """Stands in for the exporter: answers with these budgets, or does not answer."""

    def __init__(self, *spent, answers=True):
        self.budgets = [
            {"window": "day", "feature": name, "limit_usd": 10.0, "spent_usd": 10.0 if name in spent else 1.0}
            for name in ("", "search", "chat")
        ]
        self.answers = answers

    def __call__(self):
        if not self.answers:
            raise ConnectionRefusedError("nobody listens")
        return json.dumps({"budgets": self.budgets}).encode()


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def registry():
    return Registry()


@pytest.fixture
def make(registry):
    made = []

    def make(action, exporter, **options):
        clock = options.pop("clock", Clock())
        one = BudgetGuard(action, ask=exporter, registry=registry, clock=clock, interval_seconds=3600, **options)
        one.look()
        made.append(one)
        return one

    yield make
    for one in made:
        one.close()


def decisions(registry):
    family = registry.family("exporter_guard_decisions_total")
    return {one.values[0]: one.value for one in family.series() if one.value}


@pytest.mark.parametrize(
    ("action", "spent", "called", "counted"),
    [
        pytest.param("warn", [""], "gpt-4.1", {"warn": 1}, id="warn"),
        pytest.param("downgrade", [""], "gpt-4.1-mini", {"downgrade": 1}, id="downgrade"),
        pytest.param("downgrade", ["chat"], "gpt-4.1-mini", {"downgrade": 1}, id="of this feature"),
        pytest.param("downgrade", ["search"], "gpt-4.1", {}, id="of another feature"),
        pytest.param("block", [], "gpt-4.1", {}, id="nothing is spent"),
    ],
)
def test_a_call_is_made_as_the_budget_allows(make, registry, action, spent, called, counted):
    guard = make(action, Exporter(*spent), cheaper={"gpt-4.1": "gpt-4.1-mini"})

    with feature("chat"):
        assert guard.check("gpt-4.1") == called

    assert decisions(registry) == counted


def test_a_model_without_a_cheaper_one_is_warned_of_once(make, registry, caplog):
    guard = make("downgrade", Exporter(""), cheaper={"a": "b"})

    assert [guard.check("other"), guard.check("other")] == ["other", "other"]

    assert decisions(registry) == {"warn": 2}
    assert caplog.messages == ["a budget for model calls is spent"]


def test_blocked_is_an_error_of_its_own_that_names_the_feature(make):
    guard = make("block", Exporter("search"))

    with pytest.raises(BudgetSpentError, match="the budget of search for model calls is spent") as caught:
        guard.check("gpt-4.1", feature="search")

    assert caught.value.feature == "search"
    assert guard.check("gpt-4.1", feature="chat") == "gpt-4.1"


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(ConnectionRefusedError("gone"), id="nobody listens"),
        pytest.param(b"<html>", id="no JSON"),
        pytest.param(b"[]", id="another shape"),
        pytest.param(b'{"budgets": [{"feature": ""}]}', id="half a budget"),
        pytest.param(b'{"budgets": [{"feature": "", "limit_usd": 0, "spent_usd": 5}]}', id="a budget of 0 is none"),
        pytest.param(b'{"budgets": [{"feature": "", "limit_usd": 1, "spent_usd": NaN}]}', id="not a number"),
    ],
)
def test_an_exporter_that_says_nothing_of_use_refuses_nobody(make, answer):
    def ask():
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert make("block", ask).check("gpt-4.1") == "gpt-4.1"


def test_what_was_heard_too_long_ago_refuses_nobody(make):
    clock, exporter = Clock(), Exporter("")
    guard = make("block", exporter, clock=clock)
    exporter.answers = False
    clock.now += VALID_SECONDS / 2
    guard.look()
    with pytest.raises(BudgetSpentError):
        guard.check("gpt-4.1")  # one answer missed changes nothing

    clock.now += VALID_SECONDS

    assert guard.check("gpt-4.1") == "gpt-4.1"  # also when the thread is dead
    guard.look()
    exporter.answers = True
    guard.look()
    with pytest.raises(BudgetSpentError):
        guard.check("gpt-4.1")


def answered(request):
    """Stand in for the provider: says which model was asked for."""
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "."}}
    told = {"id": "1", "object": "chat.completion", "created": 1, "choices": [choice], "usage": usage}
    return httpx.Response(200, json={**told, "model": json.loads(request.content)["model"]})


MESSAGES = [{"role": "user", "content": "hello"}]


def test_an_openai_client_calls_the_cheaper_model(make):
    guard = make("downgrade", Exporter(""), cheaper={"gpt-4.1": "gpt-4.1-mini"})
    http = httpx.Client(transport=httpx.MockTransport(answered))
    client = guard.install(openai.OpenAI(api_key="none", http_client=http))

    assert client.chat.completions.create(model="gpt-4.1", messages=MESSAGES).model == "gpt-4.1-mini"


def test_an_asynchronous_client_is_refused_before_the_call(make):
    guard = make("block", Exporter(""))
    http = httpx.AsyncClient(transport=httpx.MockTransport(answered))
    client = guard.install(openai.AsyncOpenAI(api_key="none", http_client=http))

    async def call():
        return await client.chat.completions.create(model="gpt-4.1", messages=MESSAGES)

    with pytest.raises(BudgetSpentError):
        asyncio.run(call())
    guard.close()
    assert asyncio.run(call()).model == "gpt-4.1"


def test_every_decision_of_many_threads_is_counted_once(make, registry):
    guard = make("warn", Exporter(""))
    calls = 20_000

    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(lambda: [guard.check("a") for _ in range(calls)]) for _ in range(4)]:
            decisions(registry)  # who reads meanwhile takes none away
            done.result()

    assert decisions(registry) == {"warn": 4 * calls}


def test_a_forked_worker_does_not_count_what_its_parent_decided(make, registry):
    make("warn", Exporter("")).check("a")
    child = os.fork()
    if child == 0:
        os._exit(0 if decisions(registry) == {} else 1)

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert decisions(registry) == {"warn": 1}


def test_a_forked_worker_asks_for_itself(make):
    make("warn", Exporter())
    child = os.fork()
    if child == 0:
        names = [thread.name for thread in threading.enumerate()]
        os._exit(0 if "topmast-guard" in names else 1)

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_an_address_that_is_none_is_refused():
    with pytest.raises(ValueError, match="http or https"):
        budgets_from_environment({"TOPMAST_INGEST_URL": "localhost:4318"})
    with pytest.raises(ValueError, match="one of warn"):
        BudgetGuard("stop")  # type: ignore[arg-type]  # a word that is none of the three
