"""Spend for people: amounts, tables with bars, and a course by day, from the ledger's reports."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from topmast_exporter.ledger_report import Row
from topmast_exporter.pricing.price import PICO

from topmast.terminal import plain, short

# Eighths of a character cell: a bar says more than its whole cells can.
_EIGHTHS = " ▏▎▍▌▋▊▉█"
_BAR_CELLS, _FEWEST_CELLS = 16, 4
NOBODY = "(none)"
"""How a call without a feature, or of nobody's model, is shown."""


def money(pico: int) -> str:
    """Return pico-USD as people write dollars: `$1,234.56`, below a dime with what is there, `$0.00042`."""
    if pico < 0:
        return f"-{money(-pico)}"
    usd = pico / PICO
    if pico == 0 or usd >= 0.1:
        return f"${usd:,.2f}"
    # two digits of the smallest: nothing that was spent looks like nothing
    return f"${usd:.{4 if usd >= 0.001 else max(7, 14 - len(str(pico)))}f}"


@dataclass(frozen=True)
class Sums:
    """What a report's rows add up to."""

    requests: int
    unpriced: int
    cost: int
    """pico-USD."""
    tokens_in: int
    tokens_out: int

    @classmethod
    def of(cls, rows: Sequence[Row]) -> "Sums":
        return cls(
            sum(row.requests for row in rows),
            sum(row.unpriced for row in rows),
            sum(row.total for row in rows),
            sum(row.tokens["input"] for row in rows),
            sum(row.tokens["output"] for row in rows),
        )


def bar(share: float, cells: int = _BAR_CELLS) -> str:
    """Return a bar of at most `cells` characters; whatever is more than nothing can be seen."""
    eighths = max(round(share * cells * 8), 1 if share > 0 else 0)
    return "█" * (eighths // 8) + (_EIGHTHS[eighths % 8] if eighths % 8 else "")


def table(rows: Sequence[Row], by: Sequence[str], width: int, limit: int) -> list[str]:
    """Return the lines of a table: one a group, the dearest first, what is left out in a line of its own."""
    sums, shown, rest = Sums.of(rows), rows[:limit], rows[limit:]
    headings = (*by, "spent", "share", "requests", "a request", "tokens in", "out")
    numeric = len(by)
    body = [_cells([value or NOBODY for value in row.group], Sums.of([row]), sums.cost) for row in shown]
    if rest:
        label = (f"{len(rest)} more", *[""] * (len(by) - 1)) if by else ()
        body.append(_cells(label, Sums.of(rest), sums.cost))
    total = _cells(("all", *[""] * (len(by) - 1)) if by else (), sums, sums.cost)
    everything = [headings, *body, total]
    widths = [max(len(line[at]) for line in everything) for at in range(len(headings))]
    # when the terminal is narrow the bars give way, and then names, but not below what tells them apart
    spare = width - sum(widths[numeric:]) - 2 * (len(widths) - 1)
    if sum(widths[:numeric]) > spare:
        for at in range(numeric):
            widths[at] = min(widths[at], max(16, spare // numeric))
    cells_left = min(_BAR_CELLS, width - sum(widths) - 2 * len(widths))
    cells_left = cells_left if cells_left >= _FEWEST_CELLS else 0

    def line(cells: Sequence[str]) -> str:
        return "  ".join(
            plain(cell, wide).ljust(wide) if at < numeric else plain(cell, wide).rjust(wide)
            for at, (cell, wide) in enumerate(zip(cells, widths, strict=True))
        )

    most = max((row.total for row in shown), default=0)
    bars = [bar(row.total / most, cells_left) if most and cells_left else "" for row in shown]
    lines = [line(headings)]
    lines += [f"{line(cells)}  {drawn}".rstrip() for cells, drawn in zip(body, [*bars, ""][: len(body)], strict=True)]
    return [*lines, line(total)] if len(body) > 1 else lines


def _cells(group: Sequence[str], sums: Sums, whole: int) -> tuple[str, ...]:
    priced = sums.requests - sums.unpriced
    return (
        *group,
        money(sums.cost),
        f"{sums.cost / whole:.1%}" if whole else "–",
        f"{sums.requests:,}",
        money(round(sums.cost / priced)) if priced else "–",
        short(float(sums.tokens_in)),
        short(float(sums.tokens_out)),
    )


def days(rows: Sequence[Row], first: date, last: date) -> list[tuple[date, int]]:
    """Return the spend of each day from first to last, of rows grouped by `day`; a day without calls is 0."""
    spent = {row.group[0]: row.total for row in rows}
    count = (last - first).days + 1
    every = [first + timedelta(days=at) for at in range(count)]
    return [(day, spent.get(day.isoformat(), 0)) for day in every]


def course(spent: Sequence[tuple[date, int]], height: int = 6, width: int = 60) -> list[str]:
    """Return a column chart of the last days that fit, with its scale and its ends named."""
    shown = spent[-width:]
    most = max((cost for _, cost in shown), default=0)
    if not most:
        return []
    wide = max(1, min(3, width // len(shown)))
    label = len(money(most))
    lines = []
    for level in range(height, 0, -1):
        cells = []
        for _, cost in shown:
            eighths = max(0, min(8, round((cost / most * height - (level - 1)) * 8)))
            if level == 1 and cost:
                eighths = max(1, eighths)
            cells.append((" ▁▂▃▄▅▆▇█"[eighths]) * (wide - (wide > 1)) + " " * (wide > 1))
        scale = money(most) if level == height else ""
        lines.append(f"{scale:>{label}} │{''.join(cells).rstrip()}")
    first, last = shown[0][0].isoformat(), shown[-1][0].isoformat()
    span = len(shown) * wide
    ends = first if len(shown) == 1 else f"{first}{last:>{max(len(last) + 1, span - len(first))}}"
    return [*lines, f"{'$0.00':>{label}} └{'─' * span}", f"{'':>{label}}  {ends}"]
