"""The page's files: complete, small, packed, and kept only as long as they are the same."""

import gzip
import re
from pathlib import Path

import pytest
from starlette.testclient import TestClient
from topmast.page.static import FOLDER, SHEETS, assets

VIEWS = [
    "/",
    "/d/anything",
    "/alerts",
    "/alerts/HostCpuHigh",
    "/inbox",
    "/logs",
    "/runbooks",
    "/runbooks/HostCpuHigh",
]


@pytest.mark.parametrize("path", VIEWS)
def test_every_view_is_the_one_document(client: TestClient, path: str) -> None:
    answer = client.get(path)

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.text == client.get("/").text


@pytest.mark.parametrize("path", ["/dashboards", "/alerts/HostDown/now"])
def test_where_there_is_nothing_a_person_gets_the_document_which_says_so(client: TestClient, path: str) -> None:
    asked = client.get(path, headers={"accept": "text/html,application/xhtml+xml"})

    assert (asked.status_code, asked.text) == (404, client.get("/").text)
    assert client.get(path, headers={"accept": "*/*"}).text == "nothing is at this address\n"


def test_the_document_asks_for_one_script_and_one_sheet_that_are_kept_for_good(client: TestClient) -> None:
    document = client.get("/").text

    named = re.findall(r'(?:href|src)="(/static/[0-9a-f]{12}/app\.(?:css|js))"', document)
    answers = [client.get(address) for address in named]
    assert [address.rpartition(".")[2] for address in named] == ["css", "js"]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert {answer.headers["cache-control"] for answer in answers} == {"public, max-age=31536000, immutable"}
    assert 'content="bargauge gauge logs row stat table text timeseries"' in document


def test_every_sheet_is_joined(client: TestClient) -> None:
    assert {path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*.css")} == set(SHEETS)


def test_a_file_is_sent_packed_and_only_when_it_changed(client: TestClient) -> None:
    first = client.get("/static/js/main.js", headers={"accept-encoding": "gzip"})

    again = client.get("/static/js/main.js", headers={"if-none-match": first.headers["etag"]})

    assert first.headers["content-encoding"] == "gzip"
    assert first.text == (FOLDER / "js" / "main.js").read_text()
    assert (again.status_code, again.content) == (304, b"")


def test_a_client_that_cannot_unpack_gets_the_file_as_it_is(client: TestClient) -> None:
    answer = client.get("/static/js/main.js", headers={"accept-encoding": "identity"})

    assert "content-encoding" not in answer.headers
    assert answer.text == (FOLDER / "js" / "main.js").read_text()


@pytest.mark.parametrize("path", ["/static/nothing.js", "/static/../app.py", "/static/%2e%2e/app.py", "/static/"])
def test_only_the_pages_own_files_are_there(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 404


def test_everything_before_data_is_at_most_150_kilobytes_packed(client: TestClient) -> None:
    document = client.get("/").text

    asked = ["index.html", *re.findall(r'(?:href|src)="/static/([^"]+)"', document)]

    assert sum(len(assets(FOLDER)[name].packed) for name in asked) <= 150_000


def test_packing_is_the_same_every_time() -> None:
    assert assets(FOLDER)["js/main.js"] == assets(FOLDER)["js/main.js"]
    assert gzip.decompress(assets(FOLDER)["js/dom.js"].packed) == (FOLDER / "js" / "dom.js").read_bytes()


@pytest.mark.parametrize("path", sorted(FOLDER.rglob("js/**/*.js")), ids=lambda path: path.stem)
def test_no_module_parses_text_as_html_or_code(path: Path) -> None:
    source = path.read_text()

    assert not re.search(r"\b(innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval|new Function)\b", source)
