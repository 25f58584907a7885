"""Answers go from the ledger's thread to those who wait in the loop: each its own, and none is waited for forever."""

import asyncio
import threading
from concurrent.futures import Future

import pytest
from topmast_exporter.answers import Answers
from topmast_exporter.ledger import Result
from topmast_exporter.ledger_schema import LedgerError


def settled_elsewhere(settle):
    thread = threading.Thread(target=settle)
    thread.start()
    thread.join()


def test_each_one_gets_its_own_answer():
    async def run():
        answers = Answers(asyncio.get_running_loop(), 10)
        submitted = [Future() for _ in range(50)]
        waiting = [answers.of(one) for one in submitted]

        def settle():
            for number, one in enumerate(submitted):
                one.set_result(Result(number, 0, 0))

        settled_elsewhere(settle)
        return await asyncio.gather(*waiting)

    assert [one.accepted for one in asyncio.run(run())] == list(range(50))


def test_an_error_is_told_and_one_that_is_settled_already_is_answered():
    async def run():
        answers = Answers(asyncio.get_running_loop(), 10)
        broken, done = Future(), Future()
        broken.set_exception(LedgerError("no"))
        done.set_result(Result(1, 0, 0))
        return await asyncio.gather(answers.of(broken), answers.of(done), return_exceptions=True)

    error, result = asyncio.run(run())
    assert str(error) == "no"
    assert result == Result(1, 0, 0)


def test_who_waits_too_long_is_told_so_and_the_others_are_not():
    async def run():
        answers = Answers(asyncio.get_running_loop(), 0.05)
        never, late = Future(), Future()
        with pytest.raises(TimeoutError):
            await answers.of(never)
        waiting = answers.of(late)
        settled_elsewhere(lambda: late.set_result(Result(1, 0, 0)))
        found = await waiting
        never.set_result(Result(9, 0, 0))  # nobody waits any more
        await asyncio.sleep(0)
        return found, answers._until

    assert asyncio.run(run()) == (Result(1, 0, 0), {})


def test_one_who_hangs_up_holds_nobody_up():
    async def run():
        answers = Answers(asyncio.get_running_loop(), 10)
        left, stays = Future(), Future()
        gone, waiting = answers.of(left), answers.of(stays)
        gone.cancel()
        settled_elsewhere(lambda: (left.set_result(Result(1, 0, 0)), stays.set_result(Result(2, 0, 0))))
        return await waiting

    assert asyncio.run(run()) == Result(2, 0, 0)


def test_an_answer_that_cannot_be_given_holds_up_no_other():
    told, faults = [], []

    def fail(outcome):
        raise OSError(outcome)

    async def run():
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: faults.append(context["exception"]))
        answers = Answers(loop, 10)
        for tell in (fail, told.append):
            answers.expect(tell)
            answers.settle(tell, Result(1, 0, 0))
        await asyncio.sleep(0)

    asyncio.run(run())
    assert told == [Result(1, 0, 0)]
    assert [type(fault) for fault in faults] == [OSError]


def test_what_is_settled_after_the_loop_has_ended_is_nobodys():
    async def run():
        return Answers(asyncio.get_running_loop(), 10)

    asyncio.run(run()).settle(print, Result(1, 0, 0))
