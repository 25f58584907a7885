"""`app.py ROUNDS SIZE`: microseconds that a model call's own thread pays for being told of, and for the guard."""

import json
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

from topmast_exporter.instrument.llm.guard import BudgetGuard
from topmast_exporter.instrument.llm.record import Usage, record_llm_call
from topmast_exporter.registry import Registry
from topmast_exporter.usage import UsageSender


def main(rounds: int, size: int) -> None:
    """Print {"told", "guard", "guard_met"}: the last one when the budget is spent and a cheaper model is called."""
    sender = UsageSender(lambda body: _never(body), Registry(), max_queued=10**9, interval_seconds=3600.0)
    usage = Usage(input=812, output=96, cache_read=512)

    def tell() -> None:
        for _ in range(size):
            record_llm_call("openai", "gpt-4o", usage, duration_seconds=1.4, sender=sender)

    found = {"told": _each(tell, rounds, size)}
    for name, spent in (("guard", 1.0), ("guard_met", 10.0)):
        answer = json.dumps({"budgets": [{"window": "day", "feature": "", "limit_usd": 10.0, "spent_usd": spent}]})
        guard = BudgetGuard(
            "downgrade",
            cheaper={"gpt-4.1": "gpt-4.1-mini"},
            ask=lambda answer=answer: answer.encode(),  # type: ignore[misc]  # mypy sees no type in a default
            registry=Registry(),
            interval_seconds=3600.0,
        )
        guard.look()
        call, guarded = _model, guard.wrap(_model)

        def run(call: Callable[..., str]) -> Callable[[], None]:
            def many() -> None:
                for _ in range(size):
                    call(model="gpt-4.1")

            return many

        # by turns: a shared machine is not equally fast all the time
        both = [(_each(run(guarded), 1, size), _each(run(call), 1, size)) for _ in range(rounds)]
        found[name] = statistics.median(more - less for more, less in both)
        wanted = "gpt-4.1-mini" if spent >= 10 else "gpt-4.1"
        if guarded(model="gpt-4.1") != wanted:
            raise SystemExit("the guard does not do what is measured")
        guard.close()
    print(json.dumps(found))


def _model(*, model: str) -> str:
    return model


def _never(body: bytes) -> Any:
    raise OSError(f"{len(body)} bytes: nobody listens in this benchmark")


def _each(do: Callable[[], None], rounds: int, size: int) -> float:
    taken = []
    for _ in range(rounds):
        began = time.process_time()
        do()
        taken.append((time.process_time() - began) / size * 1e6)
    return statistics.median(taken)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
