"""What counting model spend costs, whether its prices are genai-prices' own, and what the ingest takes.

The peer is what a team would write by hand: genai-prices for the price, and prometheus-client's `labels()` for the
counters and histograms, in the same process and run. Times are CPU time: this machine may have other work.
"""

import csv
import json
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from fractions import Fraction
from importlib.metadata import version
from pathlib import Path
from typing import Any

import prometheus_client
from topmast.benchmark import Benchmark, Run
from topmast.errors import TopmastError
from topmast.measure import Measure, measure
from topmast_exporter.instrument.llm.record import Usage, record_llm_call
from topmast_exporter.ledger import Ledger
from topmast_exporter.ledger_report import report
from topmast_exporter.pricing import refresh
from topmast_exporter.pricing.compile import table as compiled
from topmast_exporter.pricing.price import PICO, Pricer
from topmast_exporter.pricing.table import PriceTable
from topmast_exporter.pricing.tokens import Tokens
from topmast_exporter.registry import Registry
from topmast_exporter.render import render
from topmast_exporter.standalone import UNLIMITED
from topmast_exporter.usage import Answer, UsageSender
from topmast_exporter.usage_body import parse_body
from topmast_exporter.usage_event import UsageEvent

PEER = f"genai-prices {version('genai-prices')} + prometheus-client {version('prometheus-client')}"

MODELS = ("gpt-4o", "gpt-4o-mini", "gpt-4.1", "o3-mini")
FEATURES = ("search", "chat", "summary", "")
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC).timestamp()

# Of the requests of a code-completion service (means of the Azure LLM inference trace 2023, CC-BY 4.0).
TRACE_REQUESTS, TRACE_INPUT, TRACE_OUTPUT = 8_819, 2_048, 28


def run(bench: Run) -> Sequence[Measure]:
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="topmast-benchmark-cost-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        bench.say("compiles the prices")
        table = refresh.load(folder)
        return [
            *_event(bench, folder / "event", Pricer(table)),
            *_prices(bench, table),
            *_ingest(bench, folder / "ingest"),
            *_replay(bench, folder / "replay", Pricer(table)),
            _forecast(bench),
            _report(bench, folder / "report"),
        ]


def _event(bench: Run, folder: Path, pricer: Pricer) -> Iterator[Measure]:
    """Measure an event from its hand-over to its commit, and what telling of it costs the application."""
    rounds, size = (20, 5_000) if bench.full else (7, 2_000)
    bench.say(f"events: {rounds} rounds of {size}")
    peer = _Peer()
    registry = Registry(UNLIMITED)
    ledger = Ledger(folder, pricer, registry, clock=lambda: NOW)
    ours, theirs = [], []
    ledger.start()
    try:
        for number in range(rounds):
            events = list(_events(size, f"r{number}", bench.seed))
            ours.append(_cpu(lambda events=events: ledger.submit(events).result(60)) / size)
            theirs.append(
                _cpu(lambda events=events[: size // 10]: [peer.count(one) for one in events]) / (size // 10)
            )
    finally:
        ledger.stop()
    one, other = statistics.median(ours) * 1e6, statistics.median(theirs) * 1e6
    yield measure(
        "cost.event",
        one,
        "us",
        "ratio >= 20",
        peer=PEER,
        peer_value=other,
        ratio=other / one,
        note=f"{rounds} x {size} events; ours is also on the disk and known by its id afterwards, the peer's is not",
    )
    yield from _app(bench, rounds, size)


def _app(bench: Run, rounds: int, size: int) -> Iterator[Measure]:
    """Measure what a call's own thread pays: to tell of it, and to ask whether the budget allows it."""
    found = _script(bench, "app.py", rounds, size)
    note = "record_llm_call: what a call's own thread pays"
    yield measure("cost.event.app", found["told"], "us", "<= 20", note=note)
    note = f"an SDK's create() with the guard, less the same without; {found['guard']:.3f} us while nothing is spent"
    yield measure("cost.guard", max(found["guard_met"], found["guard"]), "us", "<= 2", note=note)


class _Peer:
    """The same event by genai-prices and prometheus-client: price, six counters, three histograms."""

    def __init__(self) -> None:
        registry = prometheus_client.CollectorRegistry()
        by_feature = ("provider", "model", "feature")

        def counter(name: str, labels: Sequence[str]) -> prometheus_client.Counter:
            return prometheus_client.Counter(name, name, labels, registry=registry)

        self._requests = counter("llm_requests", (*by_feature, "outcome"))
        self._tokens = counter("llm_tokens", (*by_feature, "direction"))
        self._cost = counter("llm_cost_usd", (*by_feature, "component"))
        self._detail = counter("llm_token_detail", ("provider", "model", "kind"))
        self._histograms = [
            prometheus_client.Histogram(name, name, ("provider", "model"), registry=registry)
            for name in ("llm_request_duration_seconds", "llm_time_to_first_token_seconds", "llm_request_cost_usd")
        ]
        self._seen: set[str] = set()

    def count(self, event: UsageEvent) -> None:
        from genai_prices import Usage as TheirUsage
        from genai_prices import calc_price

        if event.id in self._seen or event.tokens is None:
            return
        self._seen.add(event.id)
        used = TheirUsage(
            input_tokens=event.tokens.input,
            output_tokens=event.tokens.output,
            cache_read_tokens=event.tokens.cache_read,
        )
        moment = datetime.fromtimestamp(event.at, UTC)
        price = calc_price(used, event.model, provider_id=event.provider, genai_request_timestamp=moment)
        labels = (event.provider, event.model, event.feature)
        self._requests.labels(*labels, event.outcome).inc()
        self._tokens.labels(*labels, "input").inc(event.tokens.input)
        self._tokens.labels(*labels, "output").inc(event.tokens.output)
        self._cost.labels(*labels, "input").inc(float(price.input_price))
        self._cost.labels(*labels, "output").inc(float(price.output_price))
        self._detail.labels(event.provider, event.model, "cache_read").inc(event.tokens.cache_read)
        seen = (event.duration_seconds or 0.0, event.time_to_first_token_seconds or 0.0, float(price.total_price))
        for histogram, value in zip(self._histograms, seen, strict=True):
            histogram.labels(event.provider, event.model).observe(value)


def _events(count: int, prefix: str, seed: int) -> Iterator[UsageEvent]:
    chance = random.Random(f"{seed}/{prefix}")
    for number in range(count):
        whole = chance.randrange(100, 20_000)
        yield UsageEvent(
            id=f"{prefix}-{number}",
            at=NOW - chance.random() * 600,
            provider="openai",
            model=chance.choice(MODELS),
            feature=chance.choice(FEATURES),
            tokens=Tokens(input=whole, output=chance.randrange(2, 900), cache_read=whole // 3),
            duration_seconds=1.4,
            time_to_first_token_seconds=0.3,
        )


_INPUTS = (0, 1, 1_000, 100_000, 128_001, 199_999, 200_000, 200_001, 272_001, 1_000_000)


def shapes() -> list[Tokens]:
    """Return the 50 usages at which every model is compared: ten inputs, five ways to use them."""
    found = []
    for whole in _INPUTS:
        found += [
            Tokens(input=whole, output=777),
            Tokens(input=whole, output=1, cache_read=whole // 2),
            Tokens(input=whole, output=500, cache_write_5m=whole // 3, cache_read=whole // 4),
            Tokens(input=whole, output=900, reasoning=400, image_in=whole // 10),
            Tokens(input=whole, output=300, audio_in=whole // 5, audio_out=100),
        ]
    return found


def _prices(bench: Run, table: PriceTable) -> Iterator[Measure]:
    from genai_prices.data import providers
    from genai_prices.types import Usage as TheirUsage

    pricer, at = Pricer(table), NOW
    moment = datetime.fromtimestamp(at, UTC)
    every = 1 if bench.full else 10
    models = [(provider, model) for provider in providers for model in provider.models][::every]
    bench.say(f"prices: {len(models)} models x {len(shapes())} usages")
    equal = compared = refused = skipped = 0
    wrong = ""
    ours: list[tuple[str, str, Tokens]] = []
    for provider, model in models:
        found = table.find(provider.id, model.id)
        if isinstance(found, str) or found.id != model.id:
            skipped += 1  # an earlier model of the provider answers to this name, there and here
            continue
        for tokens in shapes():
            price = pricer.price(provider.id, model.id, tokens, at)
            if price.status == "unpriced":
                refused += 1
                continue
            written = tokens.cache_write_5m + tokens.cache_write_1h
            counts = {
                "input_tokens": tokens.input,
                "output_tokens": tokens.output,
                "cache_read_tokens": tokens.cache_read,
                "cache_write_tokens": written,
                "output_reasoning_tokens": tokens.reasoning,
                "input_audio_tokens": tokens.audio_in,
                "output_audio_tokens": tokens.audio_out,
                "input_image_tokens": tokens.image_in,
            }
            usage = TheirUsage(**{key: count for key, count in counts.items() if count})
            exact = Fraction(
                model.calc_price(usage, provider, genai_request_timestamp=moment, price_context=None).total_price
            )
            compared += 1
            if abs(price.total - exact * PICO) <= sum(1 for part in price.parts if part):
                equal += 1
                ours.append((provider.id, model.id, tokens))
            elif not wrong:
                wrong = f"; first: {provider.id}/{model.id} {tokens}"
    fractions = next(iter(compiled()))["fractions"]
    yield measure(
        "cost.price.equal",
        equal / compared if compared else None,
        "share",
        "== 1",
        peer=f"genai-prices {version('genai-prices')}",
        note=f"{compared} prices of {len(models) - skipped} models; {refused} usages unpriced with a reason, "
        f"{skipped} names belong to an earlier model; {len(fractions)} prices are not whole, such as "
        f"{', '.join(fractions[:3])}{wrong}",
    )
    yield _price_speed(pricer, random.Random(bench.seed).sample(ours, min(len(ours), 2_000)))


def _price_speed(pricer: Pricer, asked: Sequence[tuple[str, str, Tokens]]) -> Measure:
    from genai_prices import Usage as TheirUsage
    from genai_prices import calc_price

    moment = datetime.fromtimestamp(NOW, UTC)

    def ours() -> None:
        for provider, model, tokens in asked:
            pricer.price(provider, model, tokens, NOW)

    def theirs() -> None:
        for provider, model, tokens in asked[::10]:
            usage = TheirUsage(input_tokens=tokens.input, output_tokens=tokens.output)
            calc_price(usage, model, provider_id=provider, genai_request_timestamp=moment)

    ours()
    # by turns: a shared machine is not equally fast all the time
    both = [(_cpu(ours) / len(asked), _cpu(theirs) / len(asked[::10])) for _ in range(7)]
    one, other = (statistics.median(each) * 1e6 for each in zip(*both, strict=True))
    return measure(
        "cost.price.speed",
        one,
        "us",
        "ratio >= 20",
        peer=f"genai-prices {version('genai-prices')}",
        peer_value=other,
        ratio=other / one,
        note=f"{len(asked)} usages of all models, names looked up",
    )


def _ingest(bench: Run, folder: Path) -> Iterator[Measure]:
    """Measure the exporter's CPU time for events over HTTP, each answered when it is on the disk."""
    batch, singles = (200_000, 10_000) if bench.full else (40_000, 2_000)
    bench.say(f"ingest: {batch} events in bodies of 1000, {singles} one by one from 32 senders, as many from 8")
    found = _script(bench, "ingest.py", folder, batch, singles)
    few = f"; from 8 senders instead of 32: {found['few'][0]:.0f}"
    for name, goal, more in (("batch", ">= 30000", ""), ("single", ">= 5000", few)):
        per_cpu, by_clock = found[name]
        note = (
            f"events a second of the exporter's CPU time; {by_clock:.0f}/s by the clock, the senders beside it{more}"
        )
        yield measure(f"cost.ingest.{name}", per_cpu, "events/s", goal, note=note)


def _replay(bench: Run, folder: Path, pricer: Pricer) -> Iterator[Measure]:
    """Replay requests through record_llm_call and the ingest's parser into a ledger; compare the counters' sums."""
    if bench.trace is None:
        requests = list(_synthetic(bench.seed))
        source = (
            "synthetic, of the shape of the Azure LLM inference trace 2023 (code); --trace FILE replays the real one"
        )
    else:
        requests, source = _recorded(bench.trace), bench.trace.name
    bench.say(f"replay: {len(requests)} requests ({source})")
    bodies: list[bytes] = []

    def post(body: bytes) -> Answer:
        bodies.append(body)
        return Answer(202)

    sender = UsageSender(post, Registry(), max_queued=len(requests))
    for inputs, outputs in requests:
        record_llm_call("openai", "gpt-4o", Usage(input=inputs, output=outputs), duration_seconds=1.0, sender=sender)
    if not sender.flush(60):
        raise TopmastError("replay: the sender did not hand over its events in a minute")
    sender.close()
    registry = Registry(UNLIMITED)
    ledger = Ledger(folder, pricer, registry)
    ledger.start()
    try:
        for body in bodies:
            batch = parse_body(body, "application/x-ndjson", time.time())
            ledger.submit(batch.events).result(60)
        shown = dict(line.rsplit(" ", 1) for line in render(registry)[0].decode().splitlines() if line[:1] != "#")
    finally:
        ledger.stop()
    label = 'provider="openai",model="gpt-4o",feature=""'
    wanted = {"input": sum(one for one, _ in requests), "output": sum(one for _, one in requests)}
    off = sum(
        abs(float(shown[f'llm_tokens_total{{{label},direction="{way}"}}']) - count) for way, count in wanted.items()
    )
    yield measure(
        "cost.replay.tokens", off, "tokens", "== 0", note=f"{len(requests)} requests, {wanted} tokens; {source}"
    )
    (row,) = report(folder)
    exact = sum(pricer.price("openai", "gpt-4o", Tokens(*one), time.time()).total for one in requests)
    yield measure(
        "cost.replay.components",
        abs(sum(row.cost.values()) - exact),
        "pico-USD",
        "== 0",
        note=f"the components' sum in the ledger against each request's price: ${exact / PICO:.6f}",
    )


def _synthetic(seed: int) -> Iterator[tuple[int, int]]:
    chance = random.Random(seed)
    for _ in range(TRACE_REQUESTS):
        yield 1 + int(chance.expovariate(1 / TRACE_INPUT)), 1 + int(chance.expovariate(1 / TRACE_OUTPUT))


def _recorded(path: Path) -> list[tuple[int, int]]:
    """Return (input, output) tokens of a CSV with the columns ContextTokens and GeneratedTokens."""
    with path.open(encoding="utf-8", newline="") as file:
        return [(int(row["ContextTokens"]), int(row["GeneratedTokens"])) for row in csv.DictReader(file)]


def _forecast(bench: Run) -> Measure:
    """Forecast a month's end from its tenth day; the months have a weekly rhythm and noise, and start on any day."""
    errors = _script(bench, "forecast.py", bench.seed)
    middle = statistics.median(errors)
    note = f"synthetic: weekly and daily rhythm with noise, 12 months, forecast on day 10; median {middle:.2g} %"
    return measure("cost.forecast", max(errors), "% off", "<= 10", note=note)


def _report(bench: Run, folder: Path) -> Measure:
    """Time a month's report by feature over a ledger with this many rows of spend."""
    rows = 10_000_000 if bench.full else 1_000_000
    bench.say(f"report: {rows} rows of spend")
    found = _script(bench, "report.py", folder, rows)
    note = f"{found['requests']} requests in {found['rows']} rows of spend, 30 days; {found['mib']:.0f} MiB"
    return measure("cost.report", statistics.median(found["seconds"]), "s", "<= 1", note=note)


def _script(bench: Run, name: str, *arguments: object) -> Any:
    """Return the JSON that a script of in_process/ prints."""
    argv = [sys.executable, str(bench.home / "benchmarks" / "in_process" / name), *map(str, arguments)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=1_800)
    if done.returncode != 0:
        raise TopmastError(f"in_process/{name}: {done.stderr.strip()[-400:]}")
    return json.loads(done.stdout)


def _cpu(do: Callable[[], object]) -> float:
    """Return the CPU seconds of the process that a call takes, all its threads."""
    began = time.process_time()
    do()
    return time.process_time() - began


BENCHMARK = Benchmark(
    name="cost",
    summary="Model spend: an event's cost, prices against genai-prices, the ingest, a replay, a forecast, a report.",
    run=run,
)
