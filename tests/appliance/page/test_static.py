"""The page's files: complete, small, packed, and kept only as long as they are the same."""

import gzip
import re
from pathlib import Path

import pytest
from starlette.testclient import TestClient
from topmast.page.static import FOLDER, assets

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


def test_the_document_names_every_module_and_panel_type(client: TestClient) -> None:
    document = client.get("/").text

    modules = {path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("js/**/*.js")}
    assert set(re.findall(r'modulepreload" href="/static/([^"]+)"', document)) == modules
    assert 'content="bargauge gauge logs row stat table text timeseries"' in document


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


def test_everything_before_data_is_at_most_150_kilobytes_packed() -> None:
    assert sum(len(each.packed) for each in assets(FOLDER).values()) <= 150_000


def test_packing_is_the_same_every_time() -> None:
    assert assets(FOLDER)["js/main.js"] == assets(FOLDER)["js/main.js"]
    assert gzip.decompress(assets(FOLDER)["js/dom.js"].packed) == (FOLDER / "js" / "dom.js").read_bytes()


@pytest.mark.parametrize("path", sorted(FOLDER.rglob("js/**/*.js")), ids=lambda path: path.stem)
def test_no_module_parses_text_as_html_or_code(path: Path) -> None:
    source = path.read_text()

    assert not re.search(r"\b(innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval|new Function)\b", source)


def test_every_import_of_a_module_is_a_file() -> None:
    for path in FOLDER.rglob("js/**/*.js"):
        for wanted in re.findall(r'^import .* from "(\.[^"]+)";', path.read_text(), re.MULTILINE):
            assert (path.parent / wanted).is_file(), f"{path.name} imports {wanted}"
