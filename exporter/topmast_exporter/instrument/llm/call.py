"""One model call of a provider's SDK under way, and how the hooks of all SDKs listen to it.

Listened to is `client.request`, the public method that all resources end in, parsed or raw, streamed or not. The SDKs
of OpenAI and Anthropic are made by the same generator: what is said here holds for both.
"""

import copy
import sys
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextvars import ContextVar
from inspect import isawaitable, iscoroutinefunction
from time import perf_counter
from typing import Any, TypeVar

from topmast_exporter.admission import UNKNOWN
from topmast_exporter.instrument.llm import layers
from topmast_exporter.instrument.llm.record import Outcome, Usage, current_labels, new_id, record_llm_call
from topmast_exporter.instrument.request import mark_model_call
from topmast_exporter.registry import default_registry

C = TypeVar("C")

RETRY_HEADER = "x-stainless-retry-count"
RAW_HEADER = "X-Stainless-Raw-Response"

_INSTRUMENTED = "_topmast_instrumented"

# Who waits before the SDK tries again; called where the error of the time before is handled, or with its response.
# The first since 2025, the second before. Without either, a retry is counted and its reason is `other`.
_RETRIES = ("_sleep_for_retry", "_retry_request")
_CONNECTION = frozenset({"APIConnectionError", "RequestError", "OSError", "EndOfStream"})
_TIMEOUT_STATUS = frozenset({408, 504})

_under_way: ContextVar["Call | None"] = ContextVar("topmast_llm_call", default=None)

Begin = Callable[[tuple[Any, ...], bool], tuple["Call | None", tuple[Any, ...]]]
"""(arguments of `request`, whether it streams) -> (the call, the arguments to make it with); no call when it is not a
model's."""


def listen(client: C, begin: Begin, site: str, again: Callable[[Any], Any]) -> C:
    """Return the same client, listened to; `again` instruments the clients that are made of it."""
    target: Any = client
    if getattr(target, _INSTRUMENTED, False):
        return client
    request = target.request

    def begun(args: tuple[Any, ...], options: dict[str, Any]) -> tuple["Call | None", tuple[Any, ...]]:
        try:
            return begin(args, bool(options.get("stream")))
        except Exception:  # noqa: BLE001 a guard: an instrument never raises into the application
            default_registry().count_internal_error(site)
            return None, args

    async def request_async(*args: Any, **options: Any) -> Any:
        call, args = begun(args, options)
        if call is None:
            return await request(*args, **options)
        token = _under_way.set(call)
        try:
            result = await request(*args, **options)
            answer = call.opened(result)
            if isawaitable(answer):
                answer = await answer
        except BaseException as error:
            call.failed(error)
            raise
        finally:
            _under_way.reset(token)
        return call.given(result, answer)

    def request_sync(*args: Any, **options: Any) -> Any:
        call, args = begun(args, options)
        if call is None:
            return request(*args, **options)
        token = _under_way.set(call)
        try:
            result = request(*args, **options)
            answer = call.opened(result)
        except BaseException as error:
            call.failed(error)
            raise
        finally:
            _under_way.reset(token)
        return call.given(result, answer)

    target.request = request_async if iscoroutinefunction(request) else request_sync
    for name in _RETRIES:
        if hasattr(target, name):
            setattr(target, name, _heard(getattr(target, name)))
    setattr(target, _INSTRUMENTED, True)
    for name in ("copy", "with_options"):
        make = getattr(target, name)

        def made(*args: Any, _make: Any = make, **options: Any) -> Any:
            return again(_make(*args, **options))

        setattr(target, name, made)
    return client


def _heard(retry: Callable[..., Any]) -> Callable[..., Any]:
    """Return the SDK's method that tries again; the call under way learns why."""

    def heard(*args: Any, **options: Any) -> Any:
        call = _under_way.get()
        if call is not None:
            call.retried(sys.exc_info()[1], options.get("response"))
        return retry(*args, **options)

    return heard


def ask_for_raw(options: Any, raw_header: str) -> tuple[Any, bool]:
    """Return (options of a request that asks for the raw response, whether the application asked for it).

    The raw response says how often the SDK tried; it is parsed before the application sees it.
    """
    mark_model_call()
    options = copy.copy(options)
    headers = dict(options.headers) if isinstance(options.headers, Mapping) else {}
    raw = any(name.lower() == RAW_HEADER.lower() for name in headers)
    if not raw:
        options.headers = {**headers, RAW_HEADER: raw_header}
    return options, raw


def model_of(body: Mapping[str, Any]) -> str:
    """Return the model that a request asks for."""
    model = body.get("model")
    return model if isinstance(model, str) else UNKNOWN


def outcome_of(error: BaseException) -> Outcome:
    """Return the outcome that an exception of the SDK stands for."""
    if not isinstance(error, Exception):
        return "cancelled"
    if getattr(error, "status_code", None) == 429:
        return "rate_limited"
    names = {kind.__name__ for kind in type(error).__mro__}
    return "timeout" if names & {"APITimeoutError", "TimeoutError", "TimeoutException"} else "error"


def retry_reason(error: BaseException | None, response: Any = None) -> str:
    """Return why an SDK tries again, by the error that it handles or the response that it got."""
    status = getattr(getattr(error, "response", None) if response is None else response, "status_code", None)
    if status is not None:
        return "rate_limited" if status == 429 else "timeout" if status in _TIMEOUT_STATUS else "error"
    if error is None:
        return "other"
    found = outcome_of(error)
    names = {kind.__name__ for kind in type(error).__mro__}
    return "connection" if found == "error" and names & _CONNECTION else found


class Call(ABC):
    """One model call under way."""

    site = ""
    """The word under which errors of the hook itself are counted."""

    def __init__(
        self, provider: str, model: str, operation: str, stream: bool, hide_usage: bool, raw: bool, sender: Any
    ) -> None:
        self._provider = provider
        self._model = model
        self._operation = operation
        self._stream = stream
        self._hide_usage = hide_usage  # the application did not ask for the chunk that says it
        self._raw = raw  # the application wants the raw response
        self._sender = sender
        self._labels = current_labels()
        self._started = perf_counter()
        self._first_token: float | None = None
        self._usage: Usage | None = None
        # Ours, not the provider's id of the answer: caching proxies repeat those, and Ollama draws one of a thousand.
        self._id = new_id()
        self._tier: str | None = None
        self._attempt = 1
        self._retry_reason: str | None = None
        self._cost: float | None = None
        self._done = False
        self._watched = False
        layers.cover()

    def failed(self, error: BaseException) -> None:
        """There is no answer."""
        self._attempt = max(self._attempt, _attempt_of(error))
        self.end(outcome_of(error))

    def retried(self, error: BaseException | None, response: Any) -> None:
        """The SDK tries again, because of an error or a response."""
        self._attempt += 1
        try:
            self._retry_reason = retry_reason(error, response)
        except Exception:  # noqa: BLE001 a guard: an instrument never raises into the application
            default_registry().count_internal_error(self.site)

    def opened(self, result: Any) -> Any:
        """Return the answer in a raw response that we asked for, perhaps one to be awaited; else the result."""
        self._attempt = max(self._attempt, 1 + int(getattr(result, "retries_taken", 0) or 0))
        parse = getattr(result, "parse", None)
        # a raw stream is the application's to read
        return result if parse is None or (self._raw and self._stream) else parse()

    def given(self, result: Any, answer: Any) -> Any:
        """Return what the application gets in place of the raw response that we asked for."""
        try:
            if self._raw and self._stream:
                return self._watch_raw(result)
            if self._stream:
                return self._watch(answer)
            self.learn(answer)
            self.end("ok")
        except Exception:  # noqa: BLE001 a guard: an instrument never raises into the application
            default_registry().count_internal_error(self.site)
        return result if self._raw else answer

    def end(self, outcome: Outcome) -> None:
        """Record the call, once."""
        if self._done:
            return
        self._done = True
        record_llm_call(
            self._provider,
            self._model,
            self._usage,
            outcome=outcome,
            operation=self._operation,
            id=self._id,
            stream=self._stream,
            duration_seconds=perf_counter() - self._started,
            time_to_first_token_seconds=self._first_token,
            attempt=self._attempt,
            retry_reason=self._retry_reason,
            service_tier=self._tier,
            cost_usd=self._cost,
            sender=self._sender,
            feature=self._labels.get("feature", ""),
            key_alias=self._labels.get("key_alias"),
            user_group=self._labels.get("user_group"),
            environment=self._labels.get("environment"),
        )

    def sees(self, chunk: Any) -> bool:
        """Learn from a chunk of the stream; return whether the application gets it."""
        try:
            if self._first_token is None and self.first(chunk):
                self._first_token = perf_counter() - self._started
            self.learn(chunk)
            return not (self._hide_usage and getattr(chunk, "choices", None) == [] and self.says_usage(chunk))
        except Exception:  # noqa: BLE001 a guard: an instrument never raises into the application
            default_registry().count_internal_error(self.site)
            return True

    def says_usage(self, chunk: Any) -> bool:
        """Return whether a chunk holds the usage."""
        return getattr(chunk, "usage", None) is not None

    @abstractmethod
    def first(self, chunk: Any) -> bool:
        """Return whether a chunk holds a token."""

    @abstractmethod
    def learn(self, answer: Any) -> None:
        """Take from an answer or a chunk what it says of usage, model and tier."""

    def _watch_raw(self, result: Any) -> Any:
        """Return the same raw response; the stream that it is parsed to is seen on its way."""
        parse = getattr(result, "parse", None)
        if parse is None or iscoroutinefunction(parse):
            self.end("ok")
            return result

        def parsed(*args: Any, **options: Any) -> Any:
            stream = parse(*args, **options)
            if self._watched or not hasattr(stream, "_iterator"):
                return stream
            return self._watch(stream)

        result.parse = parsed
        return result

    def __del__(self) -> None:
        if self._raw and not self._watched:
            self.end("ok")  # a raw stream that was read as bytes, or not at all

    def _watch(self, stream: Any) -> Any:
        """Return the same stream object, with its chunks seen on their way."""
        self._watched = True
        inner = stream._iterator  # since 1.0 the one place that chunks come from, however the stream is read
        close = stream.close
        if hasattr(inner, "__anext__"):
            stream._iterator = _AsyncChunks(inner, self)

            async def close_async() -> None:
                self.end("cancelled")
                await close()

            stream.close = close_async
        else:
            stream._iterator = _Chunks(inner, self)

            def close_sync() -> None:
                self.end("cancelled")
                close()

            stream.close = close_sync
        return stream


class _Chunks:
    """The chunks of a stream, seen."""

    def __init__(self, inner: Iterator[Any], call: Call) -> None:
        self._inner = inner
        self._call = call

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        while True:
            try:
                chunk = next(self._inner)
            except StopIteration:
                self._call.end("ok")
                raise
            except BaseException as error:
                self._call.failed(error)
                raise
            if self._call.sees(chunk):
                return chunk

    def __del__(self) -> None:
        self._call.end("cancelled")  # dropped half-way; nothing happens when it came to its end


class _AsyncChunks:
    """The chunks of an asynchronous stream, seen."""

    def __init__(self, inner: AsyncIterator[Any], call: Call) -> None:
        self._inner = inner
        self._call = call

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        while True:
            try:
                chunk = await anext(self._inner)
            except StopAsyncIteration:
                self._call.end("ok")
                raise
            except BaseException as error:
                self._call.failed(error)
                raise
            if self._call.sees(chunk):
                return chunk

    async def aclose(self) -> None:
        """Close the inner generator too."""
        self._call.end("cancelled")
        close = getattr(self._inner, "aclose", None)
        if close is not None:
            await close()

    def __del__(self) -> None:
        self._call.end("cancelled")  # dropped half-way; nothing happens when it came to its end


def _attempt_of(error: BaseException) -> int:
    """Return which attempt an SDK exception ended."""
    request = getattr(error, "request", None)
    count = str(getattr(request, "headers", {}).get(RETRY_HEADER, ""))
    return 1 + int(count) if count.isdecimal() else 1


def count(counts: Any, name: str) -> int:
    """Return a count that an answer says, 0 when it does not."""
    value = getattr(counts, name, None)
    return value if isinstance(value, int) and value > 0 else 0
