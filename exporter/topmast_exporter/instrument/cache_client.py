"""Where redis-py is listened to: `execute_command` of a client, `execute` of its pipelines, `acquire` of its locks.

All three are public, and are replaced on the one object, so that the client keeps its type and every other client of
the process is left alone. Works for redis.Redis, redis.asyncio.Redis and their cluster clients (redis-py 5 to 8).
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from inspect import iscoroutinefunction
from time import perf_counter
from typing import Any, Protocol


class Observer(Protocol):
    """Who is told. None of its methods raises."""

    def answered(self, args: Sequence[Any], answer: Any, took: float) -> None: ...
    def failed(self, args: Sequence[Any], error: Exception) -> None: ...
    def pipeline_answered(self, commands: list[Sequence[Any]], answers: Any, took: float) -> None: ...
    def pipeline_failed(self, commands: list[Sequence[Any]], error: Exception) -> None: ...
    def lock_wait(self, namespace: str) -> AbstractContextManager[None]: ...
    def namespace_of(self, key: object) -> str: ...
    def guard(self) -> AbstractContextManager[None]: ...


def watch_client(client: Any, observer: Observer) -> None:
    """Tell `observer` of every command, pipeline and lock of this client from now on."""
    client.execute_command = _watched_execute(client.execute_command, observer)
    make_pipeline, make_lock = client.pipeline, client.lock

    def pipeline(*args: Any, **options: Any) -> Any:
        made = make_pipeline(*args, **options)
        made.execute = _watched_pipeline(made, made.execute, observer)
        return made

    def lock(name: Any, *args: Any, **options: Any) -> Any:
        made = make_lock(name, *args, **options)
        made.acquire = _watched_acquire(made.acquire, observer.namespace_of(name), observer)
        return made

    client.pipeline = pipeline
    client.lock = lock


def _watched_execute(execute: Callable[..., Any], observer: Observer) -> Callable[..., Any]:
    async def execute_async(*args: Any, **options: Any) -> Any:
        started = perf_counter()
        try:
            answer = await execute(*args, **options)
        except Exception as error:
            observer.failed(args, error)
            raise
        observer.answered(args, answer, perf_counter() - started)
        return answer

    def execute_sync(*args: Any, **options: Any) -> Any:
        started = perf_counter()
        try:
            answer = execute(*args, **options)
        except Exception as error:
            observer.failed(args, error)
            raise
        observer.answered(args, answer, perf_counter() - started)
        return answer

    return execute_async if iscoroutinefunction(execute) else execute_sync


def _watched_pipeline(pipeline: Any, execute: Callable[..., Any], observer: Observer) -> Callable[..., Any]:
    async def execute_async(*args: Any, **options: Any) -> Any:
        commands, started = _stacked(pipeline, observer), perf_counter()
        try:
            answers = await execute(*args, **options)
        except Exception as error:
            observer.pipeline_failed(commands, error)
            raise
        observer.pipeline_answered(commands, answers, perf_counter() - started)
        return answers

    def execute_sync(*args: Any, **options: Any) -> Any:
        commands, started = _stacked(pipeline, observer), perf_counter()
        try:
            answers = execute(*args, **options)
        except Exception as error:
            observer.pipeline_failed(commands, error)
            raise
        observer.pipeline_answered(commands, answers, perf_counter() - started)
        return answers

    return execute_async if iscoroutinefunction(execute) else execute_sync


def _watched_acquire(acquire: Callable[..., Any], namespace: str, observer: Observer) -> Callable[..., Any]:
    async def acquire_async(*args: Any, **options: Any) -> Any:
        with observer.lock_wait(namespace):
            return await acquire(*args, **options)

    def acquire_sync(*args: Any, **options: Any) -> Any:
        with observer.lock_wait(namespace):
            return acquire(*args, **options)

    return acquire_async if iscoroutinefunction(acquire) else acquire_sync


def _stacked(pipeline: Any, observer: Observer) -> list[Sequence[Any]]:
    """Return the commands that wait in a pipeline: (args, options) pairs, or objects with `args` in a cluster."""
    with observer.guard():
        return [getattr(one, "args", None) or one[0] for one in pipeline.command_stack]
    return []
