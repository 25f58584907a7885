"""The price table's file: made when it is missing or another genai-prices is installed, by a short process."""

import json
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from topmast_exporter.pricing.compile import FORMAT, SOURCE
from topmast_exporter.pricing.table import PriceTable, PriceTableError

FILE = "prices.ndjson"
# The compilation takes half a second here; a machine that needs longer than this has other troubles.
COMPILE_SECONDS = 60


def load(folder: Path) -> PriceTable:
    """Return the table in `folder`, made anew when it has to be. Raises PriceTableError."""
    path = folder / FILE
    if not is_current(path):
        compile_into(path)
    return PriceTable.load(path)


def is_current(path: Path) -> bool:
    """Return whether the file was made from the installed genai-prices, in the format this version reads.

    Without the library, any table is the best there is.
    """
    try:
        with path.open(encoding="utf-8") as file:
            header = json.loads(file.readline(2**20))
    except (OSError, ValueError):
        return False
    try:
        made_by, made_as = header.get("source"), header.get("format")
        return bool(made_by == f"{SOURCE} {version(SOURCE)}" and made_as == FORMAT)
    except PackageNotFoundError:
        return True


def compile_into(path: Path) -> None:
    """Write the table file. Raises PriceTableError with what the process said."""
    argv = [sys.executable, "-m", "topmast_exporter.pricing.compile", str(path)]
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=COMPILE_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PriceTableError(f"{path}: the price table cannot be compiled: {error}") from error
    if done.returncode != 0:
        said = (done.stderr.strip().splitlines() or ["no word"])[-1]
        raise PriceTableError(f"{path}: the price table cannot be compiled: {said[:200]!r}")
