"""The page's application on a private state folder, and upstreams that are real HTTP servers."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from http_stub import Stub, serving
from starlette.testclient import TestClient
from topmast.layout import Layout
from topmast.page.app import build
from topmast.page.settings import Settings, from_layout

BASE = "http://127.0.0.1:3001"
# Nothing listens on port 9 (discard): a connection is refused at once.
NOBODY = "http://127.0.0.1:9"


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    home, state = tmp_path / "home", tmp_path / "state"
    (home / "monitoring" / "grafana" / "dashboards").mkdir(parents=True)
    (home / "docs" / "runbooks").mkdir(parents=True)
    state.mkdir()
    return Layout(home=home, state=state)


@pytest.fixture
def settings(layout: Layout) -> Settings:
    return replace(from_layout(layout), prometheus=NOBODY, alertmanager=NOBODY, timeout_seconds=0.5)


@pytest.fixture
def client(settings: Settings) -> TestClient:
    """Without the lifespan: no mail receiver, so that tests need no fixed port."""
    return TestClient(build(settings), base_url=BASE)


@pytest.fixture
def upstream() -> Iterator[Stub]:
    with serving() as stub:
        yield stub


@pytest.fixture
def through(settings: Settings, upstream: Stub) -> TestClient:
    """The page with an upstream behind it that answers, and takes at most 1,000 bytes of it."""
    told = replace(settings, prometheus=upstream.url, alertmanager=upstream.url, max_response_bytes=1000)
    return TestClient(build(told), base_url=BASE)


@pytest.fixture
def write_dashboard(layout: Layout) -> Callable[..., Path]:
    """Write a dashboard: ours, or with `own=True` the user's."""

    def write(name: str, model: object, *, own: bool = False) -> Path:
        folder = layout.state / "dashboards" if own else layout.monitoring / "grafana" / "dashboards"
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{name}.json"
        path.write_text(model if isinstance(model, str) else json.dumps(model))
        return path

    return write
