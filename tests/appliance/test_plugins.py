"""The plug-in law: the folder is the registry."""

import sys
from pathlib import Path

import pytest
from topmast import plugins


@pytest.fixture
def room(tmp_path: Path) -> str:
    folder = tmp_path / "some_room"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "zebra.py").write_text("THING = 'zebra'\n")
    (folder / "ant.py").write_text("THING = 'ant'\n")
    sys.path.insert(0, str(tmp_path))
    return "some_room"


def test_a_file_in_the_folder_is_all_it_takes(room: str) -> None:
    module = __import__(room)

    assert plugins.names(module) == ["ant", "zebra"]
    assert plugins.load(module, "zebra", "THING") == "zebra"
    assert plugins.load_all(module, "THING") == ["ant", "zebra"]
