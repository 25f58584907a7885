"""The real Elasticsearch of the tests: it forgets nothing when it is killed, and says why it cannot be had."""

from collections.abc import Callable
from pathlib import Path

import pytest
from topmast import elasticnode
from topmast.elasticnode import Node
from topmast.errors import PrerequisiteError
from topmast.layout import Layout


@pytest.mark.elasticsearch
def test_what_was_acknowledged_is_there_after_a_kill(start_elasticsearch: Callable[..., Node]) -> None:
    node = start_elasticsearch()
    created = node.call("PUT", "/kept/_create/1?refresh=true", {"n": 1})

    node.kill()
    node.start()

    assert created.status_code == 201
    assert node.call("GET", "/kept/_doc/1?filter_path=_source").json() == {"_source": {"n": 1}}


def test_a_java_that_is_too_old_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    java = tmp_path / "java"
    java.write_text("""#!/bin/sh\necho 'openjdk version "11.0.2" 2019-01-15' >&2\n""")
    java.chmod(0o755)
    monkeypatch.setenv("TOPMAST_JAVA", str(java))

    assert elasticnode.find(Layout(tmp_path, tmp_path)) is None
    with pytest.raises(PrerequisiteError, match="Java 11; Elasticsearch needs 17 or newer"):
        elasticnode.install(Layout(tmp_path, tmp_path), lambda _text: None)


@pytest.mark.parametrize(
    ("banner", "version"),
    [
        pytest.param('openjdk version "17.0.15" 2025-04-15', "8.15.3", id="17"),
        pytest.param('openjdk version "25" 2025-09-16', "9.0.4", id="25"),
    ],
)
def test_the_newest_that_the_java_can_run_is_taken(
    banner: str, version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    java = tmp_path / "java"
    java.write_text(f"#!/bin/sh\necho '{banner}' >&2\n")
    java.chmod(0o755)
    monkeypatch.setenv("TOPMAST_JAVA", str(java))
    monkeypatch.setenv(elasticnode.VARIABLE, str(tmp_path))
    (tmp_path / "Launcher.class").touch()

    found = elasticnode.find(Layout(tmp_path, tmp_path))

    assert found == elasticnode.Installed(version, str(java), tmp_path)
