"""promtool and amtool for the tests of the rules: `promtool` and `amtool` are paths, or the test says why not."""

from pathlib import Path

import pytest
from topmast import promtool as tools
from topmast.suites import required

HOME = Path(__file__).resolve().parents[2]


def _or_skip(found: Path | None, name: str) -> Path:
    if found is None:
        reason = (
            f"no {name}: not on PATH, not unpacked; run `./topmast test --suite rules` or set TOPMAST_{name.upper()}"
        )
        if "rules" in required():
            pytest.fail(reason)
        pytest.skip(reason)
    return found


@pytest.fixture(scope="session")
def promtool() -> Path:
    return _or_skip(tools.find_promtool(), "promtool")


@pytest.fixture(scope="session")
def amtool() -> Path:
    return _or_skip(tools.find_amtool(), "amtool")


@pytest.fixture(scope="session")
def monitoring() -> Path:
    return HOME / "monitoring"
