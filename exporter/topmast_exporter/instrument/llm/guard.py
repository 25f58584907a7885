"""Stops the spending before the money is gone: model calls are warned of, made cheaper or refused at a spent budget.

    guard = BudgetGuard("downgrade", cheaper={"gpt-4.1": "gpt-4.1-mini"})
    client = guard.install(openai.OpenAI())

The exporter knows what is spent (budgets of topmast.yml); a thread asks it every few seconds (GET /v1/budgets of its
ingest), and a call only looks at what that thread left. The guard fails open: while the exporter does not answer,
nothing is refused.
"""

import functools
import http.client
import itertools
import json
import logging
import os
import ssl
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal
from urllib.parse import urlsplit

from topmast_exporter.instrument.llm.record import current_feature
from topmast_exporter.registry import Registry, default_registry
from topmast_exporter.usage import DEFAULT_URL, TIMEOUT_SECONDS, URL_VARIABLE, token_from_environment

log = logging.getLogger("topmast_exporter.guard")

Action = Literal["warn", "downgrade", "block"]
ACTIONS: tuple[Action, ...] = ("warn", "downgrade", "block")
PATH = "/v1/budgets"
INTERVAL_SECONDS = 5.0
# What was heard holds for so long: an exporter that is gone refuses nobody.
VALID_SECONDS = 30.0
# One warning for a feature in this time: a spent budget is met by every call.
WARN_SECONDS = 300.0
MAX_ANSWER_BYTES = 2**20

# Where the SDKs keep the functions that cost something.
_CALLS = (
    ("chat", "completions", "create"),
    ("completions", "create"),
    ("responses", "create"),
    ("embeddings", "create"),
    ("messages", "create"),
    ("messages", "stream"),
)

Ask = Callable[[], bytes]
"""Return the exporter's answer; raise OSError or http.client.HTTPException when there is none."""


class BudgetSpentError(RuntimeError):
    """A budget is spent and the guard blocks: the call was not made."""

    def __init__(self, feature: str) -> None:
        super().__init__(f"the budget{f' of {feature}' if feature else ''} for model calls is spent")
        self.feature = feature


def budgets_from_environment(environment: Mapping[str, str] = os.environ) -> Ask:
    """Return what asks the exporter whose ingest the environment names, the local one by default."""
    url = environment.get(URL_VARIABLE) or DEFAULT_URL
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{URL_VARIABLE}: an http or https URL is wanted, not {url[:80]!r}")
    token = token_from_environment(environment)
    headers = {"authorization": f"Bearer {token}"} if token else {}
    path = parts.path.rstrip("/").removesuffix("/v1/usage") + PATH
    host, port = parts.hostname, parts.port

    def ask() -> bytes:
        if parts.scheme == "https":
            connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                host, port, timeout=TIMEOUT_SECONDS, context=ssl.create_default_context()
            )
        else:
            connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT_SECONDS)
        try:
            connection.request("GET", path, headers=headers)
            response = connection.getresponse()
            body = response.read(MAX_ANSWER_BYTES)
        finally:
            connection.close()
        if response.status != 200:
            raise OSError(f"{response.status} {response.reason}")
        return body

    return ask


class BudgetGuard:
    """Looks at each call. `cheaper` names the model that is called instead of another once a budget is spent."""

    def __init__(
        self,
        action: Action = "warn",
        *,
        cheaper: Mapping[str, str] | None = None,
        ask: Ask | None = None,
        registry: Registry | None = None,
        clock: Callable[[], float] = time.monotonic,
        interval_seconds: float = INTERVAL_SECONDS,
    ) -> None:
        if action not in ACTIONS:
            raise ValueError(f"{action!r}: one of {', '.join(ACTIONS)}")
        self._action = action
        self._cheaper = dict(cheaper or {}) if action == "downgrade" else {}
        self._ask = ask or budgets_from_environment()
        self._clock = clock
        self._interval = interval_seconds
        self._spent: frozenset[str] = frozenset()
        self._until = 0.0
        self._warn_again: dict[str, float] = {}
        self._count = _Decisions(registry or default_registry()).count
        self._ending = threading.Event()
        self._start()
        itself = weakref.ref(self)

        def in_a_child() -> None:
            # the thread stayed in the parent
            guard = itself()
            if guard is not None and not guard._ending.is_set():
                guard._start()

        os.register_at_fork(after_in_child=in_a_child)

    def check(self, model: str, feature: str | None = None) -> str:
        """Return the model to call: this one, or a cheaper one. Raises BudgetSpentError when the guard blocks."""
        if not self._spent:
            return model
        return self._decide(model, feature)

    def wrap(self, call: Callable[..., Any]) -> Callable[..., Any]:
        """Return `call` (an SDK's `create`, plain or async) with its argument `model` looked at."""

        decide = self._decide

        @functools.wraps(call)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            if self._spent:
                model = kwargs.get("model")
                if isinstance(model, str):
                    kwargs["model"] = decide(model)
            return call(*args, **kwargs)

        return guarded

    def install(self, client: Any) -> Any:
        """Guard an OpenAI or Anthropic client's calls; return the client."""
        for path in _CALLS:
            owner: Any = client
            for name in path[:-1]:
                owner = getattr(owner, name, None)
            call = getattr(owner, path[-1], None)
            if callable(call):
                setattr(owner, path[-1], self.wrap(call))
        return client

    def look(self) -> None:
        """Ask the exporter now. Whatever it answers, this does not raise."""
        try:
            spent = _spent(json.loads(self._ask()))
        except (OSError, http.client.HTTPException, ValueError, TypeError, KeyError, AttributeError) as error:
            if self._until and self._clock() > self._until:
                log.warning("budgets are unknown, no call is refused", extra={"error": str(error)[:200]})
                self._spent, self._until = frozenset(), 0.0
            return
        self._until = self._clock() + VALID_SECONDS
        self._spent = spent

    def close(self) -> None:
        """Stop asking; nothing is refused any more."""
        self._ending.set()
        self._spent = frozenset()

    def _start(self) -> None:
        threading.Thread(
            target=_run, args=(weakref.ref(self), self._ending), name="topmast-guard", daemon=True
        ).start()

    def _decide(self, model: str, feature: str | None = None) -> str:
        spent, met = self._spent, ""
        if met not in spent:
            met = current_feature() if feature is None else feature
            if met not in spent:
                return model
        now = self._clock()
        if now > self._until:
            return model  # nobody has said so lately
        if self._action == "block":
            self._count["block"]()
            raise BudgetSpentError(met)
        other = self._cheaper.get(model)
        self._count["warn" if other is None else "downgrade"]()
        if now >= self._warn_again.get(met, now):
            self._warn_again[met] = now + WARN_SECONDS
            log.warning("a budget for model calls is spent", extra={"feature": met, "model": model, "instead": other})
        return model if other is None else other


class _Decisions:
    """Counts what became of calls that met a spent budget: a counter's lock would cost a third of them."""

    def __init__(self, registry: Registry) -> None:
        self._lock = registry.lock
        family = registry.counter(
            "exporter_guard_decisions_total", "Model calls that met a spent budget.", ("action",)
        )
        self._counters = {one: family.labels(one) for one in ACTIONS}
        self._noted = {one: itertools.count() for one in ACTIONS}
        self._begins = dict.fromkeys(ACTIONS, 0)
        """The number that the next decision takes; to look which one that is takes one as well."""
        self.count = {one: noted.__next__ for one, noted in self._noted.items()}
        """By action: counts a decision. A step of the interpreter, which no other thread gets between."""
        registry.add_pending(self)

    def fold(self) -> None:
        """Count what was noted; a registry asks for it before it is read."""
        with self._lock:
            for action, counter in self._counters.items():
                counter.value += self._new(action)

    def forget(self) -> None:
        """Drop what was noted: in a forked child, it is the parent's."""
        for action in ACTIONS:
            self._new(action)

    def _new(self, action: Action) -> int:
        now = next(self._noted[action])
        new = now - self._begins[action]
        self._begins[action] = now + 1
        return new


def _run(guard: "weakref.ref[BudgetGuard]", ending: threading.Event) -> None:
    while True:
        one = guard()
        if one is None or ending.is_set():
            return
        one.look()
        interval = one._interval
        del one
        if ending.wait(interval):
            return


def _spent(answer: Any) -> frozenset[str]:
    """Return the features whose budget is spent, "" for the budget of everything."""
    budgets: Iterable[Mapping[str, Any]] = answer["budgets"]
    return frozenset(str(one["feature"]) for one in budgets if float(one["spent_usd"]) >= float(one["limit_usd"]) > 0)
