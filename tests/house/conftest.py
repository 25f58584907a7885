"""What the house's laws look at: the files that belong to the repository."""

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def tracked() -> list[Path]:
    """Every file that is, or is about to be, in the repository: tracked, or new and not ignored."""
    argv = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip("not a git clone: what belongs to the repository is not known")
    return sorted(path for name in done.stdout.split("\0") if name and (path := ROOT / name).is_file())


@pytest.fixture(scope="session")
def texts(tracked: list[Path]) -> dict[str, str]:
    """The text of every such file that is text, by its path from the root."""
    found = {}
    for path in tracked:
        try:
            found[str(path.relative_to(ROOT))] = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
    return found
