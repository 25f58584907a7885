"""Who is let in: passwords, tokens, rates; what a guess costs."""

import asyncio
import base64

import bcrypt
import pytest
import yaml
from topmast_exporter import guard as guard_module
from topmast_exporter.guard import Guard, WebFile

HASH = bcrypt.hashpw(b"secret", bcrypt.gensalt(4)).decode()


async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"in"})


def basic(user, password):
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def ask(guard, authorization="", path="/metrics"):
    """Return (status, headers)."""
    sent = []

    async def send(message):
        sent.append(message)

    headers = [(b"authorization", authorization.encode())] if authorization else []
    asyncio.run(guard({"type": "http", "path": path, "headers": headers}, None, send))
    return sent[0]["status"], dict(sent[0]["headers"])


@pytest.fixture
def written(tmp_path):
    def write(**document):
        path = tmp_path / "web.config.yml"
        path.write_text(yaml.safe_dump(document))
        return path

    return write


@pytest.fixture
def guard(written):
    return Guard(app, WebFile(written(basic_auth_users={"prometheus": HASH})), token="a-token")


@pytest.mark.parametrize(
    ("authorization", "status"),
    [
        pytest.param(basic("prometheus", "secret"), 200, id="the password"),
        pytest.param(basic("prometheus", "wrong"), 401, id="another password"),
        pytest.param(basic("nobody", "secret"), 401, id="nobody"),
        pytest.param("Bearer a-token", 200, id="the token"),
        pytest.param("bearer a-token", 200, id="the token, lower case"),
        pytest.param("Bearer another", 401, id="another token"),
        pytest.param("Bearer ", 401, id="no token"),
        pytest.param("Basic !!!", 401, id="not base64"),
        pytest.param("Basic " + base64.b64encode(b"\xff\xfe").decode(), 401, id="not text"),
        pytest.param("Basic " + base64.b64encode(b"prometheus").decode(), 401, id="no password"),
        pytest.param(basic("prometheus", "x" * 100_000), 401, id="a long password"),
        pytest.param("", 401, id="nothing"),
    ],
)
def test_who_is_let_in(guard, authorization, status):
    assert ask(guard, authorization)[0] == status


def test_a_refusal_says_what_is_wanted(guard):
    assert ask(guard)[1][b"www-authenticate"] == b"Basic"


def test_a_verdict_is_worked_out_once_whichever_it_is(guard):
    for _ in range(3):
        ask(guard, basic("prometheus", "secret"))
        ask(guard, basic("prometheus", "wrong"))

    assert list(guard._verdicts.values()) == [True, False]
    assert not any(b"secret" in key for key in guard._verdicts)


def test_guesses_fill_no_memory_and_do_not_push_out_who_is_known(guard):
    ask(guard, basic("prometheus", "secret"))
    for number in range(guard_module.MAX_VERDICTS + 20):
        guard._remember(b"%d" % number, False)

    assert len(guard._verdicts) == guard_module.MAX_VERDICTS
    assert True in guard._verdicts.values()


def test_one_who_does_not_exist_costs_the_same_work():
    assert guard_module._is_password("x", guard_module.NOBODY) is False
    bcrypt.checkpw(b"x", guard_module.NOBODY.encode())  # a hash that bcrypt takes


def test_a_new_password_holds_with_the_next_request_and_the_old_one_no_longer(written):
    web = WebFile(written(basic_auth_users={"prometheus": HASH}))
    guard = Guard(app, web)
    assert ask(guard, basic("prometheus", "secret"))[0] == 200

    path = written(basic_auth_users={"prometheus": bcrypt.hashpw(b"new", bcrypt.gensalt(4)).decode()})
    web._seen = ()  # as a later time of change, whatever the clock's step

    assert path.is_file()
    assert ask(guard, basic("prometheus", "secret"))[0] == 401
    assert ask(guard, basic("prometheus", "new"))[0] == 200


def test_a_file_that_got_broken_changes_nothing(written):
    web = WebFile(written(basic_auth_users={"prometheus": HASH}))
    guard = Guard(app, web)

    written(nothing={"a": 1})
    web._seen = ()

    assert ask(guard, basic("prometheus", "secret"))[0] == 200
    assert ask(guard)[0] == 401


def test_headers_are_on_every_answer_refusals_too(written):
    path = written(
        basic_auth_users={"prometheus": HASH}, http_server_config={"headers": {"X-Content-Type-Options": "nosniff"}}
    )
    guard = Guard(app, WebFile(path))

    assert ask(guard)[1][b"x-content-type-options"] == b"nosniff"
    assert ask(guard, basic("prometheus", "secret"))[1][b"x-content-type-options"] == b"nosniff"


def test_an_excluded_path_asks_nobody(written):
    guard = Guard(app, WebFile(written(basic_auth_users={"prometheus": HASH}, auth_excluded_paths=["/healthz"])))

    assert ask(guard, path="/healthz")[0] == 200
    assert ask(guard, path="/metrics")[0] == 401


def test_a_rate_is_kept(written):
    now = [0.0]
    guard = Guard(app, WebFile(written(rate_limit={"interval": "10s", "burst": 2})), clock=lambda: now[0])

    statuses = [ask(guard)[0] for _ in range(3)]
    now[0] += 10.0
    statuses.append(ask(guard)[0])

    assert statuses == [200, 200, 429, 200]


def test_without_a_file_and_a_token_everybody_is_let_in():
    assert ask(Guard(app, WebFile(None)))[0] == 200
