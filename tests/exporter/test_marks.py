"""POST /v1/marks: durable before it is answered, told once, bounded in everything."""

import asyncio
import json

import pytest
from topmast_exporter.ingest import Ingest
from topmast_exporter.marks import FILE, MAX_AN_HOUR, MAX_KEPT, MAX_LABEL, MAX_SHOWN, METRIC, Mark, Marks, parse
from topmast_exporter.registry import Registry
from topmast_exporter.web import HttpError

NOW = 1_800_000_000.0


def body(**changes):
    return json.dumps({"text": "v1.2.3", **changes}).encode()


@pytest.fixture
def clock():
    return [NOW]


@pytest.fixture
def marks(tmp_path, clock):
    return Marks(tmp_path, Registry(), clock=lambda: clock[0])


def ask(ingest, method="POST", data=b"", path="/v1/marks", headers=()):
    sent = []

    async def receive():
        return {"type": "http.request", "body": data, "more_body": False}

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": method, "path": path, "client": ("10.0.0.1", 5),
             "headers": [(b"host", b"localhost"), *headers]}  # fmt: skip
    asyncio.run(ingest(scope, receive, send))
    return sent[0]["status"], sent[1]["body"].decode()


def test_a_mark_says_what_and_the_rest_has_defaults():
    mark = parse(body(id="ci-7"), NOW, "production")

    assert mark == Mark("ci-7", "deploy", "v1.2.3", "", "production", NOW, None)


def test_times_are_seconds_or_rfc_3339():
    mark = parse(body(time="2027-01-15T08:00:00Z", end=NOW + 60), NOW, "")

    assert (mark.time, mark.end) == (NOW, NOW + 60)


def test_a_text_is_one_line_without_what_is_not_to_be_seen():
    mark = parse(body(text="a\r\n\x1b[31mb\u202e  c"), NOW, "")

    assert mark.text == "a [31mb c"


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        pytest.param(b"{", "the body is not JSON", id="not JSON"),
        pytest.param(b"[]", "a mark is one JSON object", id="a list"),
        pytest.param(b"{}", "text says what was done", id="no text"),
        pytest.param(body(text=" \n"), "text says what was done", id="an empty text"),
        pytest.param(body(text="x" * 501), "text has at most 500 characters", id="a long text"),
        pytest.param(body(kind="party"), "kind is one of deploy, rollback", id="another kind"),
        pytest.param(body(kind=["deploy"]), "kind is one of", id="a kind that is a list"),
        pytest.param(body(colour="red"), "'colour' is unknown; a mark has text, title", id="an unknown field"),
        pytest.param(body(service='a"b'), "service is 1 to 64 letters", id="a service with a quote"),
        pytest.param(body(environment=7), "environment is 1 to 64 letters", id="a number as environment"),
        pytest.param(body(time="soon"), "time is unix seconds or RFC 3339", id="a word as time"),
        pytest.param(body(time=True), "time is unix seconds or RFC 3339", id="a truth as time"),
        pytest.param(body(time=NOW - 31 * 86400), "time lies at most 30 days back", id="long ago"),
        pytest.param(body(time=NOW + 2 * 86400), "one day ahead", id="far ahead"),
        pytest.param(body(end=NOW - 1), "end lies after time", id="an end before its beginning"),
        pytest.param(body(end=NOW + 8 * 86400), "by seven days at the most", id="an end far away"),
        pytest.param(body(id="a b"), "id is 1 to 128 visible", id="an id with a space"),
    ],
)
def test_what_is_no_mark_is_refused_in_a_sentence(raw, says):
    with pytest.raises(HttpError, match=says) as refused:
        parse(raw, NOW, "production")

    assert refused.value.status == 400


def test_the_same_id_again_is_the_same_mark_and_may_bring_its_end(marks):
    first = marks.take(body(id="a", text="begun"))
    again = marks.take(body(id="a", text="another text"))
    ended = marks.take(body(id="a", end=NOW + 5))
    after = marks.take(body(id="a"))

    assert [created for _, created in (first, again, ended, after)] == [True, False, False, False]
    assert after[0] == Mark("a", "deploy", "begun", "", "production", NOW, NOW + 5)


def test_a_moment_is_one_sample_and_a_span_has_two(marks):
    marks.take(body(id="a", service="shop"))
    marks.take(body(id="b", kind="maintenance", text="disk", time=NOW - 60, end=NOW))

    assert dict(marks.samples()) == {
        ("deploy", "v1.2.3", "shop", "production", ""): NOW,
        ("maintenance", "disk", "", "production", "begins"): NOW - 60,
        ("maintenance", "disk", "", "production", "ends"): NOW,
    }


def test_they_are_there_after_a_restart(marks, tmp_path):
    marks.take(body(id="a"))

    found = Marks(tmp_path, Registry(), clock=lambda: NOW)

    assert found.listed() == marks.listed() != []
    assert found.take(body(id="a"))[1] is False


def test_a_file_that_is_broken_is_put_aside(tmp_path):
    (tmp_path / FILE).write_text('[{"id"')

    found = Marks(tmp_path, Registry())

    assert found.listed() == []
    assert (tmp_path / "marks.broken").read_text() == '[{"id"'


def test_what_is_kept_and_what_is_shown_is_bounded(marks, clock):
    for number in range(MAX_KEPT + 5):
        clock[0] = NOW + number * 60
        marks.take(body(id=str(number), text=f"{number} " + "x" * 200))

    shown = dict(marks.samples())
    assert (len(marks.listed()), len(shown)) == (MAX_KEPT, MAX_SHOWN)
    assert marks.listed()[0]["id"] == str(MAX_KEPT + 4)
    assert max(len(text) for _, text, *_ in shown) == MAX_LABEL


def test_a_sender_that_does_not_stop_is_told_to_wait(marks):
    for number in range(MAX_AN_HOUR):
        marks.take(body(id=str(number)))

    with pytest.raises(HttpError) as refused:
        marks.take(body(id="one-more"))

    assert refused.value.status == 429
    assert marks.take(body(id="7"))[1] is False


def test_a_mark_that_cannot_be_stored_is_not_taken(tmp_path):
    (tmp_path / "file").write_text("")
    found = Marks(tmp_path / "file" / "folder", Registry())

    with pytest.raises(HttpError) as refused:
        found.take(body(id="a"))

    assert (refused.value.status, found.listed()) == (503, [])


def test_the_ingest_takes_and_lists_them(tmp_path):
    registry = Registry()
    ingest = Ingest(None, registry, token="t", folder=tmp_path, environment="staging")
    token = [(b"authorization", b"Bearer t")]

    assert ask(ingest, data=body())[0] == 401
    assert ask(ingest, data=body(id="a"), headers=token) == (201, '{"id": "a", "created": true}')
    assert ask(ingest, data=body(id="a"), headers=token) == (200, '{"id": "a", "created": false}')
    assert ask(ingest, data=b"{}", headers=token) == (400, "text says what was done\n")
    assert ask(ingest, data=b" " * 20_000, headers=token)[0] == 413
    status, listed = ask(ingest, "GET", headers=token)
    assert (status, [each["environment"] for each in json.loads(listed)["marks"]]) == (200, ["staging"])
    family = next(each for each in registry.families() if each.name == METRIC)
    assert [labels[:2] for _, labels, _ in family.samples()] == [("deploy", "v1.2.3")]
