import pytest
from topmast_exporter.namespaces import Namespaces


@pytest.mark.parametrize(
    ("key", "namespace"),
    [
        pytest.param("llm:abc", "llm_response", id="text"),
        pytest.param(b"emb:\xff", "embedding", id="bytes"),
        pytest.param(memoryview(b"sess:1"), "session", id="buffer"),
        pytest.param("llm", "_other", id="shorter than the prefix"),
        pytest.param("user@example.com", "_other", id="of none"),
        pytest.param(7, "_other", id="not a key"),
    ],
)
def test_a_key_belongs_to_a_namespace(key: object, namespace: str) -> None:
    assert Namespaces().of(key) == namespace


def test_the_longest_prefix_wins() -> None:
    assert Namespaces({"all": "a:*", "some": "a:b:*"}).of("a:b:c") == "some"


@pytest.mark.parametrize("pattern", ["llm:", "*", "l*m:*", "l?m:*", "x" * 65 + "*"])
def test_a_pattern_is_a_prefix_and_a_star(pattern: str) -> None:
    with pytest.raises(ValueError, match="a prefix and a star"):
        Namespaces({"x": pattern})
