"""Who is let in, and what every answer carries."""

import pytest
from starlette.testclient import TestClient


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        pytest.param({}, 200, id="our own address"),
        pytest.param({"host": "localhost:3001"}, 200, id="localhost"),
        pytest.param({"host": "LOCALHOST:3001"}, 200, id="names have no case"),
        pytest.param({"host": "[::1]:3001"}, 200, id="IPv6 loopback"),
        pytest.param({"host": "evil.example:3001"}, 421, id="rebound name"),
        pytest.param({"host": "127.0.0.1"}, 421, id="another port"),
        pytest.param({"host": "localhost:3001.evil.example"}, 421, id="a name that begins like ours"),
        pytest.param({"origin": "http://localhost:3001"}, 200, id="our own page"),
        pytest.param({"origin": "http://evil.example"}, 403, id="a foreign page"),
        pytest.param({"origin": "null"}, 403, id="a sandboxed page"),
        pytest.param({"origin": "https://localhost:3001"}, 403, id="another scheme"),
        pytest.param({"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"}, 403, id="a foreign script tag"),
        pytest.param({"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}, 200, id="a link from a message"),
        pytest.param({"sec-fetch-site": "same-origin", "sec-fetch-mode": "cors"}, 200, id="our own fetch"),
    ],
)
def test_only_our_own_names_and_pages_are_answered(client: TestClient, headers: dict[str, str], status: int) -> None:
    assert client.get("/healthz", headers=headers).status_code == status


@pytest.mark.parametrize("path", ["/", "/api/dashboards", "/nothing", "/static/js/main.js"])
def test_every_answer_forbids_foreign_code_and_frames(client: TestClient, path: str) -> None:
    headers = client.get(path).headers

    assert "default-src 'none'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["cross-origin-resource-policy"] == "same-origin"


def test_a_refusal_carries_the_headers_too(client: TestClient) -> None:
    answer = client.get("/", headers={"host": "evil.example"})

    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.text.startswith("no such host here: 'evil.example'; open http://")
