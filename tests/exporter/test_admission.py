import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from topmast_exporter.admission import MAX_LABEL_CHARACTERS, Limits, clean


@pytest.mark.parametrize(
    ("raw", "cleaned"),
    [
        pytest.param("/api/{id}", "/api/{id}", id="plain"),
        pytest.param(200, "200", id="number"),
        pytest.param("a\nb\x00c\x7f", "abc", id="control characters"),
        pytest.param("cafe\u0301", "caf\u00e9", id="NFC"),
        pytest.param("a\u202eb\ud800", "ab", id="invisible and unencodable"),
        pytest.param("x" * 5_000, "x" * MAX_LABEL_CHARACTERS, id="long"),
        pytest.param("", "", id="empty"),
    ],
)
def test_a_label_value_is_clean(raw: object, cleaned: str) -> None:
    assert clean(raw) == cleaned


@given(st.text(max_size=600))
def test_cleaning_is_bounded_encodable_and_done_once(raw: str) -> None:
    cleaned = clean(raw)

    assert len(cleaned) <= MAX_LABEL_CHARACTERS
    assert cleaned.encode().decode() == cleaned
    assert unicodedata.is_normalized("NFC", cleaned)
    assert clean(cleaned) == cleaned


def test_the_limits_are_those_of_the_contract() -> None:
    assert Limits() == Limits(per_family=2_000, in_all=20_000)
