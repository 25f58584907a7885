"""`report.py FOLDER ROWS`: the seconds of a month's report by feature, over a ledger with so many rows of spend."""

import itertools
import json
import sys
import time
from pathlib import Path

from topmast_exporter.ledger_report import report
from topmast_exporter.ledger_schema import SPEND_COLUMNS
from topmast_exporter.ledger_spend import Spend
from topmast_exporter.ledger_store import FILE, Store

NOW = 1_795_176_000.0
AT_ONCE = 200_000


def main(folder: Path, count: int) -> None:
    """Print the seconds of five reports, and what they were of."""
    # 30 days of quarters, 20 features; as many models as it takes
    every = itertools.product(range(count // (30 * 96 * 20) + 1), range(30 * 96), range(20))
    rows = (
        (int(NOW // 900) - quarter, "openai", f"model-{model}", f"feature-{feature}", "", "", "")
        for model, quarter, feature in itertools.islice(every, count)
    )
    store, written = Store(folder), 0
    amounts = [3, 0, *(1_000_000 for _ in SPEND_COLUMNS[2:])]
    while some := list(itertools.islice(rows, AT_ONCE)):
        with store.transaction():
            store.save({}, {}, {key: Spend(amounts) for key in some})
        written += len(some)
    store.close()
    taken = []
    for _ in range(5):
        began = time.perf_counter()
        found = report(folder, ("feature",), NOW - 31 * 86_400, NOW + 900)
        taken.append(time.perf_counter() - began)
    size = (folder / FILE).stat().st_size / 2**20
    found = report(folder, ("feature",), NOW - 31 * 86_400, NOW + 900)
    told = {"rows": written, "requests": sum(row.requests for row in found), "mib": size, "seconds": taken}
    print(json.dumps(told))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
