"""search.py and sql.py: what is found, in which order, while the store is written to."""

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from topmast_shipper import query as language
from topmast_shipper import search, sql, store
from topmast_shipper.errors import QueryError
from topmast_shipper.event import Event
from topmast_shipper.sinks.sqlite import Config, SqliteSink
from topmast_shipper.testing import event

# Name: fields. The newest has the greatest number; the last three are of the day before.
EVENTS: dict[str, dict[str, Any]] = {
    "paid": {"message": "checkout of order 77 paid", "level": "info", "service": "shop", "status": 200},
    "refused": {"message": "payment failed: card refused", "level": "warning", "service": "shop", "status": 402},
    "crash": {
        "message": "checkout failed",
        "level": "error",
        "service": "shop",
        "status": 500,
        "trace_id": "0af7651916cd43dd8448eb211c80319c",
        "error.type": "KeyError",
        "error.stack_trace": 'Traceback\n  File "app/views.py", line 7, in pay\nKeyError: \'total\'',
    },
    "health": {"message": "GET /health 200", "service": "nginx", "path": "/health", "status": 200, "method": "GET"},
    "list": {"message": "GET /api/cart 200", "service": "nginx", "path": "/api/cart", "status": 200, "took_ms": 7.5},
    "slow": {"message": "GET /api/search", "service": "nginx", "path": "/api/search", "status": 200, "took_ms": 900},
    "tagged": {"message": "nightly job", "service": "cron", "tags": ["batch", "night"], "ok": True, "user.id": 42},
    "old": {"message": "checkout started", "level": "info", "service": "shop"},
    "older": {"message": "Grüße aus Köln", "level": "debug", "service": "shop"},
    "oldest": {"message": "worker 0 is up ---", "level": "critical", "service": "shop", "user": {"id": "u-42"}},
}  # fmt: skip
NEWEST = datetime(2026, 11, 21, 20, 0, tzinfo=UTC)


def when(number: int) -> datetime:
    return NEWEST - timedelta(hours=number, days=int(number > 6))


def named(name: str, number: int) -> Event:
    moment = when(number).isoformat()
    return event(len(EVENTS) - number, **{"labels.name": name, "@timestamp": moment}, **EVENTS[name])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("logs")
    sink = SqliteSink(Config(folder, retention_days=10_000))
    sink.send([named(name, number) for number, name in enumerate(EVENTS)])
    yield folder  # still open for writing
    sink.close()


def found(folder: Path, query: str, **options: Any) -> list[str]:
    return [document["labels"]["name"] for document in search.search(folder, query, **options)]


QUERIES = [
    pytest.param("", list(EVENTS), id="everything, the newest first"),
    pytest.param("checkout", ["paid", "crash", "old"], id="a word"),
    pytest.param("CHECKOUT", ["paid", "crash", "old"], id="in any case"),
    pytest.param("checkout failed", ["crash"], id="two words"),
    pytest.param('"payment failed"', ["refused"], id="a phrase"),
    pytest.param('"failed payment"', [], id="not in another order"),
    pytest.param("check*", ["paid", "crash", "old"], id="a beginning"),
    pytest.param("keyerror", ["crash"], id="a word of another field"),
    pytest.param("0af7651916cd43dd8448eb211c80319c", ["crash"], id="a trace id"),
    pytest.param("views.py", ["crash"], id="a word with punctuation"),
    pytest.param("köln", ["older"], id="not only ASCII"),
    pytest.param("---", ["oldest"], id="no word at all"),
    pytest.param("level:error checkout", ["crash"], id="a field and a word"),
    pytest.param("level:err", ["crash"], id="another name of a level"),
    pytest.param("level:>=warning", ["refused", "crash", "oldest"], id="levels upward"),
    pytest.param("level:<info", ["older"], id="levels downward"),
    pytest.param("level:err*", ["crash"], id="the beginning of a level"),
    pytest.param("level:(error OR critical)", ["crash", "oldest"], id="two levels"),
    pytest.param("service:NGINX", ["health", "list", "slow"], id="a service"),
    pytest.param("service:c*", ["tagged"], id="the beginning of a service"),
    pytest.param("status:500", ["crash"], id="a status"),
    pytest.param("status:>=400", ["refused", "crash"], id="statuses upward"),
    pytest.param("status:[400 TO 499]", ["refused"], id="a range of statuses"),
    pytest.param("status:4*", ["refused"], id="the beginning of a status"),
    pytest.param("trace:0af7651916cd43dd8448eb211c80319c", ["crash"], id="the trace"),
    pytest.param("path:/api/*", ["list", "slow"], id="the beginning of a path"),
    pytest.param("path:*/cart", ["list"], id="the end of a path"),
    pytest.param("url.path:/health", ["health"], id="a path"),
    pytest.param("path:/api", [], id="a field is compared as a whole"),
    pytest.param("took_ms:>100", ["slow"], id="a number"),
    pytest.param("took_ms:7.5", ["list"], id="a fraction"),
    pytest.param("took_ms:*", ["list", "slow"], id="is there"),
    pytest.param("tags:night", ["tagged"], id="one of a list"),
    pytest.param("ok:true", ["tagged"], id="true"),
    pytest.param("user.id:42", ["tagged"], id="a number as text"),
    pytest.param("user.id:u-42", ["oldest"], id="an id"),
    pytest.param("message:failed", ["refused", "crash"], id="a word of the message"),
    pytest.param("error.stack_trace:total", ["crash"], id="a word of the stack"),
    pytest.param("-service:shop", ["health", "list", "slow", "tagged"], id="not"),
    pytest.param("checkout -failed", ["paid", "old"], id="a word and not another"),
    pytest.param("paid OR nightly", ["paid", "tagged"], id="or"),
    pytest.param("paid OR level:error", ["paid", "crash"], id="a word or a field"),
    pytest.param("service:shop (paid OR refused)", ["paid", "refused"], id="parentheses"),
    pytest.param("NOT (checkout OR service:nginx OR tags:batch)", ["refused", "older", "oldest"], id="not any"),
    pytest.param("time:>=2026-11-21T18:00:00Z", ["paid", "refused", "crash"], id="a time"),
    pytest.param('message:"50% off"', [], id="a percent sign is no wildcard"),
    pytest.param('o\'brien "x" OR paid', ["paid"], id="quotes do no harm"),
]


@pytest.mark.parametrize(("query", "names"), QUERIES)
def test_search(folder: Path, query: str, names: list[str]) -> None:
    assert found(folder, query) == names
    assert search.count(folder, query) == len(names)


@pytest.mark.parametrize(("query", "names"), QUERIES)
def test_fewer_look_ups_find_the_same(folder: Path, query: str, names: list[str]) -> None:
    """What is used where a slice of time is spread over the whole part."""
    condition = sql.compile_node(language.parse(query))
    text = f"SELECT json_extract(e.document, '$.labels.name') FROM events e WHERE {condition.plain}"  # noqa: S608 - values are bound
    rows: set[str] = set()
    for part in store.parts(folder):
        with closing(store.open_for_reading(part.path)) as connection:
            rows |= {row[0] for row in connection.execute(text, {**sql.WHOLE, **condition.values})}

    assert rows == set(names)


def test_a_time_that_is_spread_over_the_part(tmp_path: Path) -> None:
    """Lines of one second among those of all others: their numbers tell nothing of their time."""
    sink, seconds = SqliteSink(Config(tmp_path, retention_days=10_000)), 1200
    start = datetime(2026, 11, 21, tzinfo=UTC)
    for first in range(0, 120_000, 2000):
        window = [
            event(
                number,
                **{
                    "@timestamp": (start + timedelta(seconds=number % seconds)).isoformat(),
                    "message": "m",
                    "weight": f"w/{number % 700}",
                },
            )
            for number in range(first, first + 2000)
        ]
        sink.send(window)
    sink.close()

    found = search.search(tmp_path, "weight:w/1*", start, start + timedelta(seconds=20), limit=10_000)

    expected = [n for n in range(120_000) if n % seconds < 20 and f"w/{n % 700}".startswith("w/1")]
    expected.sort(key=lambda n: (n % seconds, n), reverse=True)
    assert [each["event"]["id"] for each in found] == [event(n).id for n in expected]


def test_the_limit_keeps_the_newest(folder: Path) -> None:
    assert found(folder, "", limit=3) == ["paid", "refused", "crash"]
    assert found(folder, "checkout", limit=2) == ["paid", "crash"]


def test_since_is_included_and_until_is_not(folder: Path) -> None:
    assert found(folder, "", since=when(3), until=when(1)) == ["crash", "health"]
    assert found(folder, "checkout", since=when(2)) == ["paid", "crash"]
    assert search.count(folder, "", since=when(3), until=when(1)) == 2


def test_a_time_without_a_zone_is_utc(folder: Path) -> None:
    assert found(folder, "", since=datetime(2026, 11, 21, 19, 0)) == ["paid", "refused"]


@pytest.mark.parametrize(
    ("query", "position"),
    [("level:loud", 6), ("status:many", 7), ("a time:>=soon", 9), ("(a", 0)],
)
def test_a_value_that_fits_no_field_says_where(folder: Path, query: str, position: int) -> None:
    with pytest.raises(QueryError) as caught:
        search.search(folder, query)

    assert caught.value.position == position


def test_histogram(folder: Path) -> None:
    assert search.histogram(folder, "checkout", 86400) == [
        {"time": 1_795_132_800, "count": 1, "levels": {"info": 1}},
        {"time": 1_795_219_200, "count": 2, "levels": {"info": 1, "error": 1}},
    ]


def test_facets(folder: Path) -> None:
    facets = search.facets(folder, "NOT service:cron", ["level", "service", "status", "url.path"], limit=2)

    assert facets == {
        "level": [("info", 5), ("critical", 1)],
        "service": [("shop", 6), ("nginx", 3)],
        "status": [("200", 4), ("402", 1)],
        "url.path": [("/api/cart", 1), ("/api/search", 1)],
    }


def test_an_empty_or_absent_store_has_no_matches(tmp_path: Path) -> None:
    assert search.search(tmp_path, "a") == []
    assert search.search(tmp_path / "nowhere", "a") == []
    assert search.count(tmp_path / "nowhere", "") == 0


def test_what_was_just_stored_is_found(tmp_path: Path) -> None:
    sink = SqliteSink(Config(tmp_path))
    for number in range(3):
        sink.send([event(number, message=f"number {number}")])
        assert [each["message"] for each in search.search(tmp_path, f"{number}")] == [f"number {number}"]
    sink.close()


def test_a_store_that_may_only_be_read(tmp_path: Path) -> None:
    sink = SqliteSink(Config(tmp_path / "logs"))
    sink.send([event(0)])
    sink.close()
    (tmp_path / "logs").chmod(0o500)
    try:
        assert len(search.search(tmp_path / "logs", "")) == 1
    finally:
        (tmp_path / "logs").chmod(0o700)


# More than a slice, so that the walk from the newest end is at work.
COUNT = 12_000


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("many")
    sink = SqliteSink(Config(folder, retention_days=10_000))
    start = datetime(2026, 11, 21, tzinfo=UTC)
    for first in range(0, COUNT, 1000):
        window = []
        for number in range(first, first + 1000):
            moment = (start + timedelta(seconds=number)).isoformat()
            rare = "needle" if number % 5000 == 17 else "hay"
            level = "error" if number % 3000 == 5 else "info"
            fields = {"message": f"common {rare} {number}", "level": level, "weight": number}
            window.append(event(number, **fields, **{"@timestamp": moment}))
        sink.send(window)
    sink.close()
    return folder


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        pytest.param("common", [11_999, 11_998, 11_997], id="a common word"),
        pytest.param("needle", [10_017, 5017, 17], id="a rare word"),
        pytest.param("common needle", [10_017, 5017, 17], id="both"),
        pytest.param("common level:error", [9005, 6005, 3005], id="a common word and a rare field"),
        pytest.param("common -hay", [10_017, 5017, 17], id="a common word without another"),
        pytest.param("weight:<2", [1, 0], id="far from the newest end"),
        pytest.param("common weight:<2", [1, 0], id="a common word far from the newest end"),
    ],
)
def test_the_newest_three_of_many(many: Path, query: str, numbers: list[int]) -> None:
    assert [document["weight"] for document in search.search(many, query, limit=3)] == numbers


def test_all_of_many(many: Path) -> None:
    assert [each["weight"] for each in search.search(many, "common", limit=20_000)] == list(range(COUNT - 1, -1, -1))


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("*eckout", ["paid", "crash", "old"]),
        ("ch*failed", ["crash"]),
        ("status:{200 TO 402}", []),
        ("status:{200 TO 402]", ["refused"]),
        ("path:/api/*", ["list", "slow"]),
    ],
)
def test_stars_and_curly_brackets(folder: Path, query: str, names: list[str]) -> None:
    assert found(folder, query) == names


def test_messages_of_all_matches(folder: Path) -> None:
    told = set(search.messages(folder, "service:nginx"))

    assert told == {("info", "nginx", f"GET {path}") for path in ("/health 200", "/api/cart 200", "/api/search")}


def test_what_stood_around_a_match(folder: Path) -> None:
    def names(lines: list[str]) -> list[str]:
        return [orjson.loads(line)["labels"]["name"] for line in lines]

    # events are an hour apart, and an hour is looked at
    before, after = search.around(folder, search.search(folder, "refused")[0], 3, 3)

    assert (names(before), names(after)) == (["crash"], ["paid"])
    assert search.around(folder, {"event": {"id": "nobody"}}, 1, 1) == ([], [])
