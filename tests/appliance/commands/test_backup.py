"""`backup` tells what it wrote, and nothing recorded is a sentence."""

import json
from pathlib import Path

from topmast.layout import Layout, find_home


def test_it_tells_what_it_wrote(topmast, tmp_path: Path) -> None:
    answer = topmast("backup", str(tmp_path / "none.tar.gz"))
    assert answer.code == 73
    assert "nothing was recorded here yet" in answer.err

    state = Path(answer.err.split(": ")[1]).parent
    inbox = Layout(find_home(), state).inbox
    inbox.parent.mkdir(parents=True)
    inbox.write_text("{}\n")
    told = json.loads(topmast("backup", str(tmp_path / "b.tar.gz"), "--json").out)

    assert told["files"] == 1
    assert Path(told["file"]).stat().st_size == told["bytes"]
