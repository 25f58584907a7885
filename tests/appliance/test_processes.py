"""What the kernel says of a process, and waiting."""

import os

import pytest
from topmast.errors import TopmastError
from topmast.processes import cpu_seconds, wait_for


def test_processor_time_is_the_kernels() -> None:
    before = cpu_seconds(os.getpid())
    while cpu_seconds(os.getpid()) == before:
        sum(range(10_000))


def test_who_is_gone_has_no_processor_time() -> None:
    with pytest.raises(FileNotFoundError):
        cpu_seconds(2**22 + 1)  # no process has a number beyond pid_max


def test_what_comes_true_is_waited_for() -> None:
    asked: list[int] = []

    wait_for(lambda: len(asked) == 2 or bool(asked.append(1)), 60)

    assert len(asked) == 2


def test_waiting_has_an_end() -> None:
    with pytest.raises(TopmastError, match="not within 0 s"):
        wait_for(lambda: False, 0)
