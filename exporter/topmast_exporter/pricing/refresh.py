"""The price table's file: made when it is missing or another genai-prices is installed, by a short process.

A table takes the place of the one before only after every line of it could be used; the one before is kept beside it,
and whatever cannot be used leaves what is there in force.
"""

import contextlib
import json
import logging
import os
import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from topmast_exporter.pricing.compile import FORMAT, SOURCE
from topmast_exporter.pricing.price import charges_of
from topmast_exporter.pricing.table import PriceTable, PriceTableError, matches

log = logging.getLogger("topmast_exporter.prices")

FILE = "prices.ndjson"
PREVIOUS = "prices.previous.ndjson"
# The compilation takes half a second here; a machine that needs longer than this has other troubles.
COMPILE_SECONDS = 60
# A table that lost more of its models than this lost them by mistake.
LEAST_SHARE = 0.5
_PINNED = "pinned"
"""Of a header: the user gave this file, so it stays until the next update, whatever is installed."""


def load(folder: Path) -> PriceTable:
    """Return the table in `folder`, made anew when it has to be, else the best that is there.

    Raises PriceTableError when there is none that can be used.
    """
    path = folder / FILE
    if not is_current(path):
        try:
            if path.exists():
                update(folder, force=True)
            else:
                _compile(path, None)  # in place: should we be killed meanwhile, the next start finds it done
        except PriceTableError as error:
            log.error("no new price table, the old one stays", extra={"error": str(error)})
            if not path.exists():
                raise
    try:
        return PriceTable.load(path)
    except PriceTableError as error:
        log.error("the price table cannot be used, the one before is", extra={"error": str(error)})
        try:
            return PriceTable.load(folder / PREVIOUS)
        except PriceTableError:
            raise error from None


def is_current(path: Path) -> bool:
    """Return whether the file was made from the installed genai-prices (or is the user's own), in our format.

    Without the library, any table is the best there is.
    """
    header = _header(path)
    if header is None or header.get("format") != FORMAT:
        return False
    try:
        return bool(header.get(_PINNED) or header.get("source") == f"{SOURCE} {version(SOURCE)}")
    except PackageNotFoundError:
        return True


def update(folder: Path, source: Path | None = None, *, force: bool = False) -> PriceTable:
    """Put a new table in force and return it: the installed genai-prices', or that of a file.

    A file is a compiled table or a wheel of genai-prices; it stays until the next update. Raises PriceTableError:
    nothing changed then. Without `force`, a table that lost half of its models is refused.
    """
    path = folder / FILE
    made = path.with_name(f".{FILE}.{os.getpid()}")
    try:
        if source is None or source.suffix == ".whl":
            _compile(made, source)
        else:
            made.write_bytes(source.read_bytes())
        table = check(made)
        if source is not None:
            _pin(made)
        if not force:
            _refuse_a_smaller(table, path)
        with contextlib.suppress(FileNotFoundError):
            before = path.with_name(f".{PREVIOUS}.{os.getpid()}")
            before.unlink(missing_ok=True)
            os.link(path, before)
            before.replace(folder / PREVIOUS)
        made.replace(path)
    except PriceTableError as error:  # of the file that was given: nobody knows the copy of it
        raise PriceTableError(str(error).replace(str(made), str(source or path))) from error
    except OSError as error:
        raise PriceTableError(f"{source or path}: {error.strerror or error}") from error
    finally:
        made.unlink(missing_ok=True)
    return table


def check(path: Path) -> PriceTable:
    """Return the table of a file after every name and price of it was used once. Raises PriceTableError."""
    table = PriceTable.load(path)
    try:
        for line in path.read_text(encoding="utf-8").splitlines()[1:]:
            for model in json.loads(line)["models"]:
                matches(model["match"], "a name")
                for dated in (*model["prices"], *model.get("variants", ())):
                    _check_sheet(dated["sheet"], table)
    except (OSError, ValueError, KeyError, TypeError, IndexError, ZeroDivisionError, re.error) as error:
        raise PriceTableError(f"{path}: not a price table: {error!r}"[:300]) from error
    if not table.model_count:
        raise PriceTableError(f"{path}: no model has a price in it")
    return table


def _check_sheet(sheet: Any, table: PriceTable) -> None:
    for charge in charges_of(sheet, table.units)[0]:
        for numerator, denominator in (charge.price, *(price for _, price in charge.steps)):
            if numerator < 0 or denominator <= 0:
                raise ValueError(f"a price below nothing: {numerator}/{denominator}")


def _refuse_a_smaller(table: PriceTable, path: Path) -> None:
    try:
        before = PriceTable.load(path)
    except PriceTableError:
        return
    if table.model_count < LEAST_SHARE * before.model_count:
        raise PriceTableError(
            f"{table.source}: {table.model_count} models, {before.model_count} are known: it looks like a mistake"
        )


def _pin(path: Path) -> None:
    first, _, rest = path.read_text(encoding="utf-8").partition("\n")
    header = {**json.loads(first), _PINNED: True}
    path.write_text(f"{json.dumps(header, separators=(',', ':'))}\n{rest}", encoding="utf-8")


def _header(path: Path) -> dict[str, Any] | None:
    try:
        with path.open(encoding="utf-8") as file:
            header = json.loads(file.readline(2**20))
    except (OSError, ValueError):
        return None
    return header if isinstance(header, dict) else None


def _compile(out: Path, wheel: Path | None) -> None:
    """Write the table of the installed genai-prices, or of a wheel of it. Raises PriceTableError."""
    argv = [sys.executable, "-m", "topmast_exporter.pricing.compile", str(out)]
    environment = dict(os.environ)
    if wheel is not None:
        if not wheel.is_file():
            raise PriceTableError(f"{wheel}: no such file")
        environment["PYTHONPATH"] = os.pathsep.join(
            filter(None, [str(wheel.resolve()), os.environ.get("PYTHONPATH")])
        )
    try:
        done = subprocess.run(
            argv, capture_output=True, text=True, timeout=COMPILE_SECONDS, check=False, env=environment
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PriceTableError(f"{out}: the price table cannot be compiled: {error}") from error
    if done.returncode != 0:
        said = (done.stderr.strip().splitlines() or ["no word"])[-1]
        raise PriceTableError(f"{wheel or out}: the price table cannot be compiled: {said[:200]!r}")
