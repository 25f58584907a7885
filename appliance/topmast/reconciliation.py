"""Ours against the provider's: what differs by model, and the likeliest reason for it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime

from topmast_exporter.ledger_report import Row
from topmast_exporter.pricing.table import Model, PriceTable

from topmast.invoices import Line

# What counts as the same where one number is to explain another.
_ALIKE = 0.02
_HALF = (0.45, 0.55)


@dataclass
class Sums:
    """What one side says of one model."""

    requests: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost: int = 0
    """pico-USD."""
    unpriced: int = 0
    says_requests: bool = False
    says_tokens: bool = False
    says_cost: bool = False
    tokens_by_day: dict[date, int] = field(default_factory=dict)
    cost_by_day: dict[date, int] = field(default_factory=dict)
    tokens_by_key: dict[str, int] = field(default_factory=dict)
    cost_by_key: dict[str, int] = field(default_factory=dict)

    @property
    def tokens(self) -> int:
        return self.input_tokens + self.output_tokens


@dataclass(frozen=True)
class Pair:
    """A model on both sides. Amounts are pico-USD when `in_money`, else tokens."""

    model: str
    theirs: Sums
    ours: Sums
    in_money: bool

    @property
    def amounts(self) -> tuple[int, int]:
        """(theirs, ours)"""
        if self.in_money:
            return self.theirs.cost, self.ours.cost
        return self.theirs.tokens, self.ours.tokens

    @property
    def apart(self) -> int:
        """Theirs less ours."""
        theirs, ours = self.amounts
        return theirs - ours

    @property
    def days(self) -> tuple[Mapping[date, int], Mapping[date, int]]:
        if self.in_money:
            return self.theirs.cost_by_day, self.ours.cost_by_day
        return self.theirs.tokens_by_day, self.ours.tokens_by_day

    @property
    def keys(self) -> Mapping[str, int]:
        return self.theirs.cost_by_key if self.in_money else self.theirs.tokens_by_key


def pairs(lines: Sequence[Line], rows: Iterable[Row], table: PriceTable) -> list[Pair]:
    """Return every model of either side, the largest difference first.

    `rows` are the ledger's by (provider, model, day), the days of UTC. Names are taken to the price table's, so that
    `gpt-4o-mini` here is `gpt-4o-mini-2024-07-18` there.
    """
    theirs: dict[str, Sums] = {}
    ours: dict[str, Sums] = {}
    in_money = any(line.cost is not None for line in lines)
    whole = in_money and all(not line.model for line in lines if line.cost is not None)
    for line in lines:
        name = "" if whole else name_of(table, line.provider, line.model)
        _add_line(theirs.setdefault(name, Sums()), line)
    for row in rows:
        provider, model, day = row.group
        one = ours.setdefault("" if whole else name_of(table, provider, model), Sums())
        tokens = row.tokens["input"] + row.tokens["output"]
        one.requests += row.requests
        one.unpriced += row.unpriced
        one.input_tokens += row.tokens["input"]
        one.output_tokens += row.tokens["output"]
        one.cost += row.total
        when = date.fromisoformat(day)
        one.tokens_by_day[when] = one.tokens_by_day.get(when, 0) + tokens
        one.cost_by_day[when] = one.cost_by_day.get(when, 0) + row.total
    found = [
        Pair(name, theirs.get(name, Sums()), ours.get(name, Sums()), in_money)
        for name in dict.fromkeys([*theirs, *ours])
    ]
    return sorted(found, key=lambda pair: (-abs(pair.apart), pair.model))


def off(found: Sequence[Pair]) -> float:
    """Return the sum of the differences, each by itself, relative to what was billed: they do not cancel out."""
    billed = sum(pair.amounts[0] for pair in found)
    apart = sum(abs(pair.apart) for pair in found)
    # credits may be more than what was used: of a bill below nothing there is no share
    return apart / billed if billed > 0 else float(bool(apart))


def cause(pair: Pair, retries: int = 0, began: date = date.min) -> str:
    """Return the likeliest reason for a difference: the first of these that its numbers speak for.

    `retries` is how many calls of the model the ledger knows to have failed or to repeat another; `began` the day of
    the ledger's first call.
    """
    theirs, ours = pair.theirs, pair.ours
    billed, counted = pair.amounts
    if _only_before(pair, began):
        return f"before the ledger, which begins on {began}"
    if not counted and not ours.requests:
        return "missing hook: no call of it is in the ledger"
    if not billed:
        return "another account: it was not billed here (another organisation, project or gateway)"
    if theirs.says_tokens and theirs.says_cost and _alike(theirs.tokens, ours.tokens):
        return _price(theirs.cost, ours.cost)
    if (key := _key(pair)) is not None:
        return f"another key: {key} alone is the difference, nothing of it is in the ledger"
    if _only_at_the_ends(pair):
        return "a time zone: only the first and the last day differ; the export's days are not UTC's"
    if billed > counted:
        return _more(pair, retries)
    return "another account: the export does not have all of it (a filter on project, key or model?)"


def _price(billed: int, counted: int) -> str:
    if counted and _HALF[0] <= billed / counted <= _HALF[1]:
        return "a tier: the same tokens cost half; batch calls that were not marked as such"
    times = f"{billed / counted:.2f} times as much" if counted else "something, and nothing here"
    return f"a price: the same tokens cost {times}; `topmast cost prices drift`, then override and reprice"


def _more(pair: Pair, retries: int) -> str:
    theirs, ours = pair.theirs, pair.ours
    silent = _silent_days(pair)
    if silent:
        listed = f"{silent[0]}" if len(silent) == 1 else f"{silent[0]} to {silent[-1]} ({len(silent)} days)"
        return f"missing hook: nothing was counted on {listed}"
    if ours.unpriced:
        return f"no usage or no price: {ours.unpriced:,} calls are unpriced; `topmast cost prices unpriced`"
    more = theirs.requests - ours.requests
    if theirs.says_requests and retries and 0 < more <= retries:
        return f"retries: {more:,} more requests were billed; {retries:,} attempts failed or were repeated"
    share = pair.apart / pair.amounts[0]
    return f"missing hook: {share:.1%} of it is not in the ledger (an application, or a way of calling, without one)"


def _key(pair: Pair) -> str | None:
    """Return the key whose amount is just the difference."""
    if pair.apart <= 0 or len(pair.keys) < 2:
        return None
    return next((key for key, amount in pair.keys.items() if key and _alike(amount, pair.apart)), None)


def _silent_days(pair: Pair) -> list[date]:
    """Return the days on which they billed and we counted nothing, when the other days agree."""
    theirs, ours = pair.days
    silent = sorted(day for day, amount in theirs.items() if amount and not ours.get(day))
    others = [day for day in theirs if day not in silent]
    agree = others and all(_alike(theirs[day], ours[day]) for day in others)
    return silent if agree else []


def _only_before(pair: Pair, began: date) -> bool:
    """Return whether all that is missing was billed up to the day on which the ledger begins."""
    theirs, ours = pair.days
    missing = [day for day in {*theirs, *ours} if not _alike(theirs.get(day, 0), ours.get(day, 0))]
    return bool(missing) and max(missing) <= began and min(missing) < began and pair.apart > 0


def _only_at_the_ends(pair: Pair) -> bool:
    theirs, ours = pair.days
    days = sorted({*theirs, *ours})
    differ = {day for day in days if not _alike(theirs.get(day, 0), ours.get(day, 0))}
    return len(days) > 3 and differ == {days[0], days[-1]}


def _alike(one: int, other: int) -> bool:
    return abs(one - other) <= _ALIKE * max(abs(one), abs(other))


def _add_line(one: Sums, line: Line) -> None:
    # a day of another time zone is the day that most of it lies in
    day = datetime.fromtimestamp((line.start + line.end) / 2, UTC).date()
    if line.requests is not None:
        one.says_requests = True
        one.requests += line.requests
    if line.input_tokens is not None:
        tokens = line.input_tokens + (line.output_tokens or 0)
        one.says_tokens = True
        one.input_tokens += line.input_tokens
        one.output_tokens += line.output_tokens or 0
        one.tokens_by_day[day] = one.tokens_by_day.get(day, 0) + tokens
        one.tokens_by_key[line.key] = one.tokens_by_key.get(line.key, 0) + tokens
    if line.cost is not None:
        one.says_cost = True
        one.cost += line.cost
        one.cost_by_day[day] = one.cost_by_day.get(day, 0) + line.cost
        one.cost_by_key[line.key] = one.cost_by_key.get(line.key, 0) + line.cost


def name_of(table: PriceTable, provider: str, model: str) -> str:
    """Return the price table's name of a model, else the one that was given."""
    found = table.find(provider, model)
    return found.id if isinstance(found, Model) else model.lower()
