"""Every command in README and docs is run by a test or says why it cannot be."""

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from docs_blocks import READ_ONLY, ROOT, RUNS, Block, blocks, blocks_of, run

EVERY = blocks()
UNIT = [pytest.param(block, id=block.where) for block in EVERY if (block.verb, block.how) == ("runs", "unit")]
BY_A_TEST = [pytest.param(block, id=block.where) for block in EVERY if block.how.startswith("tests/")]


def test_every_block_says_how_it_is_run() -> None:
    # A runbook's commands are held by `topmast lint` and run by tests/live/test_runbooks.py.
    mine = [block for block in EVERY if not block.where.startswith("docs/runbooks/")]
    silent = [block.where for block in mine if block.language in RUNS and not block.verb]

    assert silent == []


def test_every_block_names_its_language() -> None:
    assert [block.where for block in EVERY if block.language not in (*RUNS, *READ_ONLY)] == []


def test_every_marker_is_one_we_know() -> None:
    def known(block: Block) -> bool:
        if block.verb == "not run":
            return len(block.how.split()) >= 3  # a reason, not a word
        return block.verb == "" or block.how in ("unit", "live") or (ROOT / block.how).is_file()

    assert [f"{block.where}: {block.verb}: {block.how}" for block in EVERY if not known(block)] == []


@pytest.mark.parametrize("block", UNIT)
def test_block(block: Block, tmp_path: Path) -> None:
    if block.language == "yaml":
        check_yaml(block, tmp_path)
        return
    topmast = [sys.executable, "-m", "topmast", "--state", str(tmp_path / "state")]
    run(block, tmp_path, topmast, {"TOPMAST_HOME": str(ROOT)})


def check_yaml(block: Block, folder: Path) -> None:
    """Fail unless the block is what its page says: a topmast.yml, a compose file, or a list of targets."""
    from topmast import config  # what has no configuration in it is checked without the three distributions
    from topmast.layout import Layout

    value: Any = yaml.safe_load(block.text)
    if isinstance(value, list) and all("targets" in entry for entry in value):
        assert all(entry.keys() <= {"targets", "labels"} for entry in value), block.where
        return
    assert isinstance(value, dict), f"{block.where}: neither a configuration nor targets"
    file = folder / "topmast.yml"
    file.write_text(block.text)
    if "services" in value:
        compose = Path(sys.executable).with_name("docker-compose")
        done = subprocess.run([compose, "-f", file, "config", "-q"], cwd=folder, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, ""), block.where
        return
    config.load(file, Layout(home=ROOT, state=folder))


@pytest.mark.parametrize("block", BY_A_TEST)
def test_block_is_in_the_test_that_it_names(block: Block) -> None:
    """What starts or stops things is run by fixtures: each word of the command stands in that test's source."""
    source = (ROOT / block.how).read_text() + (ROOT / "tests/live/conftest.py").read_text()
    commands = [shlex.split(line, comments=True) for line in block.script().splitlines()]

    assert [
        word
        for command in commands
        for word in command
        if word not in ("./topmast", "&&") and not re.search(rf"[\"' ]{re.escape(word)}[\"' ]", source)
    ] == []


def test_the_readme_lists_the_commands_that_there_are() -> None:
    rows = [line for line in (ROOT / "README.md").read_text().splitlines() if line.startswith("| `topmast ")]
    listed = {name for row in rows for name in re.findall(r"`topmast (\w+)", row.split("|")[1])}

    assert listed == {path.stem for path in (ROOT / "appliance/topmast/commands").glob("*.py")} - {"__init__"}


def test_blocks_of_finds_marker_language_and_text() -> None:
    page = "a\n\n<!-- runs: unit -->\n```sh\nls\n```\n\n1. b\n   ```yaml\n   a: 1\n   ```\n"

    assert blocks_of(page, "p.md") == [
        Block("p.md:4", "sh", "ls\n", "runs", "unit"),
        Block("p.md:9", "yaml", "a: 1\n", "", ""),
    ]


def test_of_a_console_block_only_the_commands_run() -> None:
    assert Block("p", "console", "$ echo a\na\n$ echo b\n", "", "").script() == "echo a\necho b\n"


def test_a_fence_that_never_closes_is_refused() -> None:
    with pytest.raises(ValueError, match=r"p\.md:1: the block never ends"):
        blocks_of("```sh\nls\n", "p.md")
