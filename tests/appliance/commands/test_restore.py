"""`restore` puts back what `backup` wrote, and says where the rest went."""

from pathlib import Path

from topmast import archive
from topmast.layout import Layout, find_home


def test_it_says_what_came_back_and_what_was_put_aside(topmast, tmp_path: Path) -> None:
    other = Layout(find_home(), tmp_path / "other")
    other.inbox.parent.mkdir(parents=True)
    other.inbox.write_text("{}\n")
    archive.backup(other, None, tmp_path / "b.tar.gz")

    first = topmast("restore", str(tmp_path / "b.tar.gz"))
    refused = topmast("restore", str(tmp_path / "b.tar.gz"))
    second = topmast("restore", str(tmp_path / "b.tar.gz"), "--replace")

    assert (first.code, refused.code, second.code) == (0, 73, 0)
    assert "1 files as of" in first.out
    assert "--replace puts them aside" in refused.err
    assert "what was there is in" in second.out
