"""POST /v1/usage: durable before it is answered, idempotent, bounded in everything."""

import asyncio
import gzip
import json
from concurrent.futures import Future

import pytest
from topmast_exporter.ingest import Ingest
from topmast_exporter.ledger import Ledger, LedgerFullError, Result
from topmast_exporter.ledger_schema import LedgerError
from topmast_exporter.pricing.price import Pricer
from topmast_exporter.registry import Registry
from topmast_exporter.turns import BURST, MAX_SOURCES, PER_SECOND, Turns
from topmast_exporter.usage_body import MAX_BODY_BYTES, MAX_EVENTS, parse_body
from topmast_exporter.usage_event import EventError, parse
from topmast_exporter.web import HttpError

NOW = 1_800_000_000.0


class Sink:
    """A ledger that knows ids; `fault` is what it does instead."""

    def __init__(self, fault=None):
        self.events = {}
        self.fault = fault

    def submit(self, events, source):
        future = Future()
        if isinstance(self.fault, LedgerFullError):
            raise self.fault
        if self.fault is not None:
            future.set_exception(self.fault)
            return future
        fresh = {event.id: event for event in events if event.id not in self.events}
        self.events |= fresh
        future.set_result(Result(len(fresh), len(events) - len(fresh), 0))
        return future


@pytest.fixture
def sink():
    return Sink()


def event(**changes):
    return {
        "id": "e1",
        "provider": "openai",
        "model": "gpt-4o",
        "usage": {"input": 10, "output": 2},
        "timestamp": NOW,
        **changes,
    }


def ask(ingest, body=b"", path="/v1/usage", method="POST", headers=(), client="10.0.0.1"):
    """Return (status, headers, body) of one request, without a socket."""
    sent = []

    async def receive():
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message):
        sent.append(message)

    given = {"host": "localhost:4318", **dict(headers)}
    listed = [(key.encode(), value.encode()) for key, value in given.items()]
    scope = {"type": "http", "method": method, "path": path, "query_string": b"", "headers": listed}
    scope["client"] = (client, 5_000)
    asyncio.run(ingest(scope, receive, send))
    return sent[0]["status"], dict(sent[0]["headers"]), b"".join(one.get("body", b"") for one in sent[1:])


def build(sink, **options):
    return Ingest(sink, Registry(), clock=lambda: NOW, **options)


@pytest.mark.parametrize(
    ("body", "headers", "accepted"),
    [
        pytest.param(json.dumps(event()), {}, 1, id="one object"),
        pytest.param(json.dumps([event(), event(id="e2")]), {}, 2, id="an array"),
        pytest.param(
            f"{json.dumps(event())}\n{json.dumps(event(id='e2'))}\n",
            {"content-type": "application/x-ndjson"},
            2,
            id="NDJSON",
        ),
        pytest.param(f"{json.dumps(event())}\n{json.dumps(event(id='e2'))}", {}, 2, id="NDJSON under another name"),
        pytest.param("[]", {}, 0, id="nothing"),
    ],
)
def test_events_are_taken_in_every_shape(sink, body, headers, accepted):
    status, _, answer = ask(build(sink), body.encode(), headers=headers)

    assert status == 202
    assert json.loads(answer) == {"accepted": accepted, "duplicates": 0, "rejected": []}


def test_the_same_body_twice_changes_nothing(sink):
    ingest, body = build(sink), json.dumps(event()).encode()

    ask(ingest, body)
    _, _, second = ask(ingest, body)

    assert json.loads(second) == {"accepted": 0, "duplicates": 1, "rejected": []}
    assert len(sink.events) == 1


def test_half_a_character_in_a_name_does_not_keep_its_batch_out_of_the_ledger(tmp_path):
    ledger = Ledger(tmp_path, Pricer(None), Registry(), clock=lambda: NOW)
    ledger.start()
    lines = [json.dumps(event(feature="a\ud800")), json.dumps(event(id="e2"))]

    status, _, answer = ask(build(ledger), "\n".join(lines).encode())
    ledger.stop()

    assert (status, json.loads(answer)["accepted"]) == (202, 2)


def test_a_gzip_body_is_unpacked(sink):
    status, _, _ = ask(build(sink), gzip.compress(json.dumps(event()).encode()), headers={"content-encoding": "gzip"})

    assert (status, list(sink.events)) == (202, ["e1"])


def test_what_is_wrong_is_named_by_its_place_and_the_rest_is_taken(sink):
    lines = [
        json.dumps(event()),
        "{broken",
        json.dumps(event(id="e2", usage={"input": -1})),
        json.dumps(event(id="e3", usage={"input": 10**15})),
        '{"id": "e4", "usage": {"input": NaN}}',
        json.dumps({"provider": "openai"}),
        json.dumps(event(id="e5", model="m" * 10_000)),
        json.dumps(event(id="e6", padding="x" * 20_000)),
        json.dumps(event(id="\ud800")),
        json.dumps(event(id="e7")),
    ]

    _, _, answer = ask(build(sink), "\n".join(lines).encode(), headers={"content-type": "application/x-ndjson"})

    told = json.loads(answer)
    assert told["accepted"] == 2
    assert [(one["index"], one["reason"]) for one in told["rejected"]] == [
        (1, "not_json"),
        (2, "negative_tokens"),
        (3, "too_many_tokens"),
        (4, "not_a_number"),
        (5, "id_missing"),
        (6, "name_too_long"),
        (7, "line_too_long"),
        (8, "not_text"),
    ]


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        pytest.param(b"not json", {}, 400, id="not JSON"),
        pytest.param(b"[" * 100_000, {}, 400, id="nested too deeply"),
        pytest.param(b"x" * (MAX_BODY_BYTES + 1), {}, 413, id="too large"),
        pytest.param(gzip.compress(b" " * 2**24), {"content-encoding": "gzip"}, 413, id="a bomb"),
        pytest.param(gzip.compress(b"{}")[:-4], {"content-encoding": "gzip"}, 400, id="gzip cut off"),
        pytest.param(b"plain", {"content-encoding": "gzip"}, 400, id="not gzip"),
        pytest.param(b"{}", {"content-encoding": "br"}, 415, id="another encoding"),
        pytest.param(b"{}", {"content-length": "99999999"}, 413, id="announced too large"),
        pytest.param(b"{}", {"host": "evil.example"}, 421, id="a rebound name"),
        pytest.param(json.dumps([{}] * (MAX_EVENTS + 1)).encode(), {}, 413, id="too many events"),
    ],
)
def test_a_bad_body_is_refused_whole(sink, body, headers, status):
    assert ask(build(sink), body, headers=headers)[0] == status
    assert sink.events == {}


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [
        pytest.param("/v1/usage", "GET", 405, id="GET"),
        pytest.param("/v1/traces", "GET", 405, id="OTLP"),
        pytest.param("/", "POST", 404, id="elsewhere"),
        pytest.param("/healthz", "GET", 200, id="health"),
    ],
)
def test_there_is_one_door(sink, path, method, status):
    assert ask(build(sink), b"{}", path, method)[0] == status


@pytest.mark.parametrize(
    ("authorization", "status"),
    [
        pytest.param({}, 401, id="none"),
        pytest.param({"authorization": "Bearer wrong"}, 401, id="wrong"),
        pytest.param({"authorization": "Basic secret"}, 401, id="another kind"),
        pytest.param({"authorization": "bearer secret"}, 202, id="right"),
    ],
)
def test_a_token_is_asked_for_when_one_is_configured(sink, authorization, status):
    ingest = build(sink, token="secret")

    assert ask(ingest, json.dumps(event()).encode(), headers=authorization)[0] == status


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        pytest.param(LedgerFullError("20000 events wait"), 429, id="full"),
        pytest.param(LedgerError("disk full"), 503, id="a full disk"),
    ],
)
def test_what_cannot_be_stored_is_not_acknowledged(fault, status):
    given, headers, _ = ask(build(Sink(fault)), json.dumps(event()).encode())

    assert given == status
    assert int(headers[b"retry-after"]) >= 1


def test_spans_that_cannot_be_stored_are_to_be_sent_again():
    told = [{"key": "gen_ai.request.model", "value": {"stringValue": "gpt-4o"}}]
    span = {"traceId": "a" * 32, "spanId": "b" * 16, "startTimeUnixNano": str(int(NOW) * 10**9), "attributes": told}
    sent = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}).encode()
    ingest = build(Sink(LedgerFullError("20000 events wait")))

    status, headers, answer = ask(ingest, sent, "/v1/traces", headers={"content-type": "application/json"})

    assert (status, headers[b"retry-after"]) == (429, b"1")
    assert json.loads(answer) == {"message": "the ledger is full: 20000 events wait"}


def test_every_event_is_counted_by_what_became_of_it(sink):
    registry = Registry()
    ingest = Ingest(sink, registry, clock=lambda: NOW)

    ask(ingest, json.dumps([event(), event(), {}]).encode())

    family = next(one for one in registry.families() if one.name == "exporter_ingest_events_total")
    assert {one.values[1]: one.value for one in family.series() if one.values[0] == "usage"} == {
        "accepted": 1,
        "late": 0,
        "duplicate": 1,
        "rejected": 1,
        "refused": 0,
    }


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        pytest.param({"timestamp": NOW - 46 * 86_400}, "too_old", id="older than ids are kept"),
        pytest.param({"timestamp": "yesterday"}, "bad_timestamp", id="not a time"),
        pytest.param({"timestamp": 1e400}, "bad_timestamp", id="the end of time"),
        pytest.param({"usage": {"input": -1}}, "negative_tokens", id="negative tokens"),
        pytest.param({"usage": {"input": 10**15}}, "too_many_tokens", id="10^15 tokens"),
        pytest.param({"usage": {"output": float("nan")}}, "not_a_number", id="NaN tokens"),
        pytest.param({"usage": {"output": float("inf")}}, "too_many_tokens", id="infinitely many tokens"),
        pytest.param({"model": "m" * 10_240}, "name_too_long", id="a model name of 10 KB"),
        pytest.param({"id": "i" * 201}, "name_too_long", id="an id that is too long"),
        pytest.param({"key_alias": "k" * 10_240}, "name_too_long", id="a key alias of 10 KB"),
        pytest.param({"outcome": "fine"}, "unknown_outcome", id="an outcome of its own"),
        pytest.param({"duration_seconds": -1}, "bad_duration", id="before it began"),
        pytest.param({"duration_seconds": float("nan")}, "bad_duration", id="NaN seconds"),
        pytest.param({"attempt": 0}, "bad_attempt", id="attempt 0"),
        pytest.param({"cost_usd": float("inf")}, "bad_cost", id="infinite cost"),
        pytest.param({"model": 7}, "not_text", id="a model that is no text"),
        pytest.param({"stream": "yes"}, "bad_flag", id="a flag that is text"),
        pytest.param({"usage": [1]}, "not_an_object", id="usage that is a list"),
    ],
)
def test_an_event_is_refused_with_its_reason(changes, reason):
    with pytest.raises(EventError) as refused:
        parse(event(**changes), NOW)

    assert refused.value.reason == reason
    assert reason in EventError.REASONS


def test_a_clock_ahead_of_ours_loses_no_money():
    assert parse(event(timestamp=NOW + 7_200), NOW).at == NOW


def test_a_caller_without_a_model_is_unknown_and_not_empty():
    one = parse({"id": "x"}, NOW)

    assert (one.provider, one.model, one.tokens, one.at) == ("_unknown", "_unknown", None, NOW)


def test_a_body_of_another_shape_is_one_rejection():
    assert parse_body(b'"text"', "", NOW).rejected == ((0, "not_an_object"),)
    with pytest.raises(HttpError):
        parse_body(b"", "", NOW)


def test_one_address_that_floods_is_told_to_wait_and_the_others_are_not(sink):
    ingest = build(sink, listens_on_loopback=False)
    answers = [ask(ingest, json.dumps(event()).encode()) for _ in range(int(BURST) * 2)]

    refused = [headers for status, headers, _ in answers if status == 429]
    assert len(refused) == BURST
    assert refused[0][b"retry-after"] == b"1"
    assert ask(ingest, json.dumps(event()).encode(), client="10.0.0.2")[0] == 202


def test_programs_of_this_machine_are_one_address_and_not_held_back(sink):
    ingest = build(sink)

    assert {ask(ingest, client="127.0.0.1")[0] for _ in range(int(BURST) * 2)} == {400}


def test_an_allowance_refills_and_addresses_are_bounded():
    now = [0.0]
    turns = Turns(lambda: now[0])

    def taken(times):
        count = 0
        for _ in range(times):
            try:
                turns.take({"type": "http", "client": ("10.0.0.1", 1)})
            except HttpError as error:
                assert error.status == 429
            else:
                count += 1
        return count

    assert taken(int(BURST) + 50) == BURST
    now[0] = 0.5
    assert taken(int(BURST)) == PER_SECOND / 2
    for number in range(MAX_SOURCES + 10):
        turns.take({"type": "http", "client": (f"10.1.{number // 256}.{number % 256}", 1)})
    assert len(turns) == MAX_SOURCES
