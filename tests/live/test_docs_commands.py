"""The blocks of README and docs that talk to a running demo, executed against one."""

import re
from pathlib import Path

import pytest
from docs_blocks import ROOT, Block, blocks, run
from running import Appliance

pytestmark = pytest.mark.live

LIVE = [pytest.param(each, id=each.where) for each in blocks() if (each.verb, each.how) == ("runs", "live")]


@pytest.mark.parametrize("block", LIVE)
def test_block(block: Block, demo: Appliance, tmp_path: Path) -> None:
    """Run it with the ports that this demo listens on."""
    assert not re.search(r"topmast (up|down)\b", block.text), f"{block.where}: would stop the demo of the other tests"

    def moved(match: re.Match[str]) -> str:
        return f"{match[1]}:{int(match[2]) + demo.offset}"

    text = re.sub(r"(localhost|127\.0\.0\.1):(\d+)", moved, block.text)
    here = Block(block.where, block.language, text, block.verb, block.how)
    try:
        run(here, tmp_path, [str(ROOT / "topmast"), "--state", str(demo.state)], {})
    finally:
        demo.run("demo", "clear")  # what a block broke is not the next test's
