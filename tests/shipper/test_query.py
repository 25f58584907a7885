"""query.py: text to a tree, and where a broken text is broken."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from topmast_shipper.errors import QueryError
from topmast_shipper.query import And, Compare, Node, Not, Or, Words, parse

A, B, C = Words("a"), Words("b"), Words("c")


@pytest.mark.parametrize(
    ("query", "tree"),
    [
        pytest.param("", None, id="nothing"),
        pytest.param("   ", None, id="blanks"),
        pytest.param("a", A, id="a word"),
        pytest.param("a b", And((A, B)), id="and by default"),
        pytest.param("a AND b", And((A, B)), id="and"),
        pytest.param("a OR b", Or((A, B)), id="or"),
        pytest.param("a b OR c", Or((And((A, B)), C)), id="and binds closer"),
        pytest.param("a (b OR c)", And((A, Or((B, C)))), id="parentheses"),
        pytest.param("NOT a", Not(A), id="not"),
        pytest.param("-a b", And((Not(A), B)), id="minus"),
        pytest.param("a-b", Words("a-b"), id="a hyphen inside a word"),
        pytest.param("- a", And((Words("-"), A)), id="a minus alone is a word"),
        pytest.param('"a b"', Words("a b"), id="a phrase"),
        pytest.param(r'"a \"b\""', Words('a "b"'), id="a quotation mark in a phrase"),
        pytest.param("a*", Words("a", prefix=True), id="a beginning"),
        pytest.param("level:error", Compare("log.level", "=", "error", 6), id="an alias"),
        pytest.param("url.path:/a/b", Compare("url.path", "=", "/a/b", 9), id="a field"),
        pytest.param("url.path:http://x:80/", Compare("url.path", "=", "http://x:80/", 9), id="colons in a value"),
        pytest.param('service:"a b"', Compare("service.name", "==", "a b", 8), id="a value in quotes"),
        pytest.param("status:>=500", Compare("http.response.status_code", ">=", "500", 9), id="at least"),
        pytest.param("status:<5", Compare("http.response.status_code", "<", "5", 8), id="less"),
        pytest.param("a.b:*", Compare("a.b", "?", "", 4), id="is there"),
        pytest.param("n:[1 TO 2]", And((Compare("n", ">=", "1", 2), Compare("n", "<=", "2", 2))), id="a range"),
        pytest.param("n:{1 TO 2]", And((Compare("n", ">", "1", 2), Compare("n", "<=", "2", 2))), id="without an end"),
        pytest.param("*b", Compare("message", "=", "*b*", 0), id="an ending"),
        pytest.param("a*b", Compare("message", "=", "*a*b*", 0), id="a star inside"),
        pytest.param("message:*b", Compare("message", "=", "*b*", 8), id="an ending in the message"),
        pytest.param("n:[1 TO *]", Compare("n", ">=", "1", 2), id="an open range"),
        pytest.param("message:a", Words("a", field="message"), id="a word of the message"),
        pytest.param('message:"a b"', Words("a b", field="message"), id="a phrase of the message"),
        pytest.param("level:error -a", And((Compare("log.level", "=", "error", 6), Not(A))), id="both"),
        pytest.param("naïve", Words("naïve"), id="not only ASCII"),
        pytest.param(r"a\:b", Words("a:b"), id="an escaped colon"),
    ],
)
def test_parse(query: str, tree: Node | None) -> None:
    assert parse(query) == tree


@pytest.mark.parametrize(
    ("query", "position", "message"),
    [
        pytest.param("(a", 0, "never closed", id="an open parenthesis"),
        pytest.param("a)", 1, "closes nothing", id="a parenthesis too many"),
        pytest.param("a (b) )", 6, "closes nothing", id="one more too many"),
        pytest.param('a "b', 2, "quotation mark", id="an open phrase"),
        pytest.param("level:", 0, "needs a value", id="a field without a value"),
        pytest.param("level: OR a", 0, "needs a value", id="an operator is no value"),
        pytest.param("a OR", 4, "something is missing", id="nothing behind OR"),
        pytest.param("OR a", 0, "stands between", id="nothing before OR"),
        pytest.param("a AND OR b", 6, "stands between", id="two operators"),
        pytest.param("NOT", 3, "something is missing", id="nothing to negate"),
        pytest.param("()", 0, "empty", id="empty parentheses"),
        pytest.param("[1 TO 2]", 0, "needs a field", id="a range of nothing"),
        pytest.param("n:[1 2]", 2, "LOW TO HIGH", id="no range"),
        pytest.param('""', 0, "empty", id="an empty phrase"),
        pytest.param("*", 0, "needs a beginning", id="a star alone"),
        pytest.param("(" * 50 + "a", 33, "deeper", id="too deep"),
        pytest.param("a" * 5000, 4096, "longer", id="too long"),
    ],
)
def test_what_is_broken_says_where(query: str, position: int, message: str) -> None:
    with pytest.raises(QueryError, match=message) as caught:
        parse(query)

    assert caught.value.position == position


@given(st.text(alphabet='ab:*()[]"\\<>= -!ORANDT.0', max_size=40))
def test_no_text_breaks_the_parser(query: str) -> None:
    try:
        parse(query)
    except QueryError as error:
        assert 0 <= error.position <= len(query)
