"""redaction.py: secrets by the name before them and by their own form (planted.py has the long lists)."""

import json

import pytest
from topmast_shipper.redaction import CONTENT_MASK, MASK, Redactor, is_secret_name

REDACTOR = Redactor()


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        pytest.param("password=hunter2 ok", "password=[redacted] ok", id="an assignment"),
        pytest.param("{'password': 'a b', 'x': 1}", "{'password': '[redacted]', 'x': 1}", id="a repr"),
        pytest.param("GET /?token=abc&x=1", "GET /?token=[redacted]&x=1", id="a query"),
        pytest.param("redis://u:pw@h:1/0", "redis://u:[redacted]@h:1/0", id="a URL"),
        pytest.param("Authorization: Bearer a.b", "Authorization: Bearer [redacted]", id="a header"),
        pytest.param("Cookie: a=1; b=2", "Cookie: [redacted]", id="several cookies"),
        pytest.param("from anna@example.org to", "from [redacted e-mail] to", id="an address"),
        pytest.param("curl -u anna:geheim x", "curl -u anna:[redacted] x", id="a command line"),
        pytest.param('{"a": "{\\"token\\": \\"x y\\"}"}', '{"a": "{\\"token\\": \\"[redacted]\\"}"}', id="JSON"),
        pytest.param("input_tokens=812", "input_tokens=812", id="tokens of a model"),
        pytest.param("invalid token: signature mismatch", "invalid token: signature mismatch", id="a sentence"),
        pytest.param("password is required", "password is required", id="no value"),
        pytest.param("git@github.com:a/b.git", "git@github.com:a/b.git", id="a repository"),
        pytest.param("secret: [redacted]", "secret: [redacted]", id="what is masked already"),
        pytest.param("", "", id="nothing"),
    ],
)  # fmt: skip
def test_text(text: str, masked: str) -> None:
    assert REDACTOR.text(text) == masked


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        ("password", True), ("db_password", True), ("accessToken", True), ("X-Api-Key", True),
        ("password_hash", True), ("AWS_SECRET_ACCESS_KEY", True), ("set-cookie", True),
        ("gen_ai.usage.input_tokens", False), ("key", False),
        ("cache.key", False), ("primary_key", False), ("token_count", False), ("author", False), ("passed", False),
        ("", False), ("日本", False),
    ],
)  # fmt: skip
def test_names_of_secrets(name: str, secret: bool) -> None:
    assert is_secret_name(name) is secret


def redacted(document: dict[str, object], redactor: Redactor = REDACTOR) -> object:
    return json.loads(redactor.json(json.dumps(document).encode()))


def test_fields_are_masked_by_their_names_with_everything_under_them() -> None:
    assert redacted({"cookies": {"sid": "abc", "n": 1, "x": None}, "a": [{"token": "t"}], "pin": 1}) == {
        "cookies": {"sid": MASK, "n": MASK, "x": None},
        "a": [{"token": MASK}],
        "pin": 1,
    }


def test_what_was_said_to_a_model_is_not_captured_unless_it_is_asked_for() -> None:
    said = {"gen_ai.input.messages": [{"content": "x"}], "gen_ai": {"output": {"messages": "y"}}, "prompt": "z"}

    assert redacted(said) == {
        "gen_ai.input.messages": CONTENT_MASK,
        "gen_ai": {"output": {"messages": CONTENT_MASK}},
        "prompt": CONTENT_MASK,
    }
    assert redacted(said, Redactor(content=True)) == said


def test_patterns_of_ones_own_come_on_top() -> None:
    redactor = Redactor([r"CUST-\d+"])

    assert redactor.text("CUST-17 has password=x") == "[redacted] has password=[redacted]"


def test_a_pattern_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="not a regular expression"):
        Redactor(["("])


@pytest.mark.parametrize(
    "text", ["a" * 300_000, "a." * 150_000, "password" * 40_000, "eyJ" * 100_000, "a@" * 150_000]
)
def test_hostile_text_takes_time_in_proportion(text: str) -> None:
    # the suite's own deadline is what fails here: a backtracking expression would take hours
    assert REDACTOR.text(f"{text} token=abc").endswith("token=[redacted]")


def test_the_words_fit_into_one_search_with_vector_instructions() -> None:
    from topmast_shipper import redaction

    assert 1 + len(redaction._INNOCENT) + len(redaction._NEAR) + len(redaction._CONTENT_NEAR) <= 64
