"""The code blocks of README.md and docs/, and how each is run.

A block in a language that runs (sh, console, yaml, python) has a comment on the line before it:

    <!-- runs: unit -->        executed as it stands, in an empty folder (tests/house/test_docs_commands.py)
    <!-- runs: live -->        executed against the running demo (tests/live/test_docs_commands.py)
    <!-- runs: tests/… -->     what it starts or stops is started or stopped by that test file
    <!-- not run: why -->      cannot be run by a test, and why
"""

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RUNS = ("sh", "bash", "console", "yaml", "python", "ts")
READ_ONLY = ("text", "json", "ndjson", "promql", "http", "nginx", "css", "diff")
_MARKER = re.compile(r"^<!-- (runs|not run): (.+?) -->$")
_FENCE = re.compile(r"^(\s*)(`{3,}|~{3,})\s*([\w-]*)\s*$")


@dataclass(frozen=True)
class Block:
    """One fenced block."""

    where: str
    """`README.md:12`, the line of the fence."""
    language: str
    text: str
    verb: str
    """`runs`, `not run`, or empty without a marker."""
    how: str

    def script(self) -> str:
        """Return what a shell is to run: of a console block the lines behind `$ `."""
        if self.language != "console":
            return self.text
        return "".join(line[2:] + "\n" for line in self.text.splitlines() if line.startswith("$ "))


def pages() -> list[Path]:
    return [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks_of(text: str, where: str) -> list[Block]:
    """Return the fenced blocks of a Markdown text, in order. Raises ValueError for a fence that never closes."""
    found: list[Block] = []
    lines = text.splitlines()
    number = 0
    while number < len(lines):
        fence = _FENCE.match(lines[number])
        if fence is None:
            number += 1
            continue
        indent, ticks, language = fence.groups()
        marker = _MARKER.match(lines[number - 1].strip()) if number else None
        verb, how = marker.groups() if marker else ("", "")
        end = number + 1
        while end < len(lines) and lines[end].strip() != ticks:
            end += 1
        if end == len(lines):
            raise ValueError(f"{where}:{number + 1}: the block never ends")
        body = "".join(line.removeprefix(indent) + "\n" for line in lines[number + 1 : end])
        found.append(Block(f"{where}:{number + 1}", language, body, verb, how))
        number = end + 1
    return found


def blocks() -> list[Block]:
    """Return every block of every page."""
    return [block for page in pages() for block in blocks_of(page.read_text(), str(page.relative_to(ROOT)))]


def run(block: Block, folder: Path, topmast: list[str], environment: dict[str, str]) -> None:
    """Run a shell or Python block in `folder`, where `./topmast` is `topmast`; fail with its output."""
    shim = folder / "topmast"
    shim.write_text("#!/bin/sh\nexec " + " ".join(f"'{word}'" for word in topmast) + ' "$@"\n')
    shim.chmod(0o755)
    if block.language == "python":
        (folder / "block.py").write_text(block.text)
        argv = [sys.executable, "-W", "error", "block.py"]
    else:
        (folder / "block.sh").write_text(block.script())
        argv = ["sh", "-eu", "block.sh"]
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        argv,
        cwd=folder,
        env={**os.environ, "PATH": path, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, f"{block.where}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
