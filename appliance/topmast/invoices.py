"""What a provider says that it billed: its usage and cost exports, JSON and CSV, as lines of one shape.

- openai: `/v1/organization/usage/*` and `/v1/organization/costs` (pages of buckets), and the dashboard's CSV of both
- anthropic: `/v1/organizations/usage_report/messages` and `/cost_report` (amounts in cents), and the Console's CSV
- litellm: the rows of `/spend/logs`, as JSON or CSV

Keys appear as the provider's own ids or names; e-mail addresses and names of people are not read.
"""

import csv
import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from topmast_exporter.pricing.price import PICO

from topmast.errors import InputError

MAX_BYTES = 512 * 2**20
_DAY = 86_400.0
_MOST = 10**15  # more tokens or dollars than there are
_LAST = 4_102_444_800.0  # 2100: later ones are milliseconds, or no times


@dataclass(frozen=True)
class Line:
    """What was billed of one model in one stretch of time; None is what the export does not say."""

    start: float
    """Unix time."""
    end: float
    provider: str
    model: str
    """As the provider writes it; "" for an amount of all."""
    key: str = ""
    requests: int | None = None
    input_tokens: int | None = None
    """Cached ones included."""
    output_tokens: int | None = None
    cost: int | None = None
    """pico-USD."""


_Row = tuple[Mapping[str, Any], float, float]
"""(row, start, end)"""
_Read = Callable[[Mapping[str, Any], float, float], Line | None]


def read(provider: str, paths: Sequence[Path]) -> list[Line]:
    """Return the lines of a provider's exports. Raises InputError: FILE and what is wrong with it."""
    lines: list[Line] = []
    seen: dict[bytes, Path] = {}
    pages: dict[_Read, _Page] = {}
    for path in paths:
        text = _text(path)
        before = seen.setdefault(hashlib.sha256(text.encode()).digest(), path)
        if before is not path:
            raise InputError(f"{path}: the same as {before}: it would count twice")
        lines += _file(provider, path, text, pages)
    for page in pages.values():
        if page.more:
            raise InputError(
                f"{page.path}: there are more pages (has_more): fetch them with page={page.following or '…'}, "
                "and give all files together"
            )
    if not lines:
        raise InputError(f"{paths[0]}: nothing was billed in it")
    return lines


@dataclass(frozen=True)
class _Page:
    """The latest page of an API's answer."""

    path: Path
    end: float
    more: bool
    following: str


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InputError(f"{path}: larger than {MAX_BYTES // 2**20} MiB")
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from error
    if not text.strip():
        raise InputError(f"{path}: the file is empty")
    return text


def _file(provider: str, path: Path, text: str, latest: dict[_Read, _Page]) -> list[Line]:
    try:
        documents = _pages(text) if text.lstrip()[:1] in ("{", "[") else []
        rows = [row for page in documents for row in _rows(page)] if documents else list(_csv(text))
        columns = {name for row in rows for name in row[0]}
        if not documents and not rows:
            columns = set(next(csv.reader(text.splitlines()), ()))  # a table of no rows has its heading
        reader = _reader(provider, columns)
        if reader is None:
            if not columns or columns <= {"start_time", "end_time", "start_time_iso", "end_time_iso"}:
                return []  # an export of days without a call
            raise InputError(f"{path}: {_what_else(provider, columns, rows)}")
        for page in documents:
            end = max((end for _, _, end in _rows(page)), default=0.0)
            if "has_more" in page and (reader not in latest or end >= latest[reader].end):
                latest[reader] = _Page(path, end, bool(page["has_more"]), str(page.get("next_page") or ""))
        return [line for row, start, end in rows if (line := reader(row, start, end)) is not None]
    except (ValueError, KeyError, TypeError, AttributeError, ArithmeticError, RecursionError, csv.Error) as error:
        raise InputError(f"{path}: not an export of {provider}: {error!r}"[:300]) from error


def _reader(provider: str, columns: set[str]) -> _Read | None:
    return next((each for wanted, each in READERS[provider] if wanted <= columns), None)


def _what_else(provider: str, columns: set[str], rows: Sequence[_Row]) -> str:
    """Return what a file is that is no export of the provider."""
    owner = next((name for name in READERS if name != provider and _reader(name, columns) is not None), None)
    if owner is not None:
        return f"it is an export of {owner}, not of {provider}: --provider {owner}"
    said = rows[0][0].get("error") if rows else None
    if said:
        message = said.get("message", said) if isinstance(said, Mapping) else said
        return f"the provider's answer is an error: {str(message)[:200]}"
    (first, *_) = columns
    for separator in (";", "\t"):
        if len(columns) == 1 and separator in first:
            # its numbers are written otherwise, too: 1.234,5 would be read as another amount
            return f"its columns are parted by {separator!r}: give the file as it was downloaded, not as saved again"
    return f"no export of {provider} that is known: {', '.join(sorted(columns))[:200]}"


def _pages(text: str) -> list[Mapping[str, Any]]:
    """Return the pages of buckets of a document; a list of rows is one."""
    document = json.loads(text)
    pages = document if isinstance(document, list) else [document]
    return [{"data": pages}] if pages and all("data" not in page for page in pages) else pages


def _rows(page: Mapping[str, Any]) -> Iterator[_Row]:
    for bucket in page["data"]:
        if "results" in bucket:
            start = _moment(bucket.get("start_time", bucket.get("starting_at")))
            end = _moment(bucket.get("end_time", bucket.get("ending_at")))
            for result in bucket["results"]:
                yield result, start, end
        else:
            yield bucket, 0.0, 0.0


def _csv(text: str) -> Iterator[_Row]:
    for row in csv.DictReader(text.splitlines()):
        filled = {name: value for name, value in row.items() if name and value not in (None, "")}
        if "start_time" in filled:
            yield filled, _moment(filled["start_time"]), _moment(filled["end_time"])
        elif "usage_date_utc" in filled:
            start = _moment(filled["usage_date_utc"])
            yield filled, start, start + _DAY
        else:
            yield filled, 0.0, 0.0


def _openai_usage(row: Mapping[str, Any], start: float, end: float) -> Line | None:
    if "input_tokens" not in row:
        return None
    return Line(
        start,
        end,
        "openai",
        str(row.get("model") or ""),
        str(row.get("api_key_id") or ""),
        _count(row.get("num_model_requests")),
        _count(row["input_tokens"]),
        _count(row.get("output_tokens", 0)),
    )


def _openai_cost(row: Mapping[str, Any], start: float, end: float) -> Line | None:
    amount = row.get("amount", {"value": row.get("amount_value"), "currency": row.get("amount_currency", "usd")})
    if amount["value"] is None:
        return None
    _dollars(str(amount["currency"]))
    # `gpt-4o-mini-2024-07-18, cached input`
    model = str(row.get("line_item") or "").partition(",")[0].strip()
    return Line(start, end, "openai", model, str(row.get("api_key_id") or ""), cost=_pico(amount["value"]))


def _anthropic_usage(row: Mapping[str, Any], start: float, end: float) -> Line | None:
    if "uncached_input_tokens" in row:
        written = sum(_count(each) for each in (row.get("cache_creation") or {}).values())
        counts: tuple[Any, ...] = (row["uncached_input_tokens"], row.get("cache_read_input_tokens"), written)
        model, key, output = row.get("model"), row.get("api_key_id"), row.get("output_tokens")
    elif "usage_input_tokens_no_cache" in row:
        kinds = ("no_cache", "cache_read", "cache_write_5m", "cache_write_1h", "cache_write")
        counts = tuple(row.get(f"usage_input_tokens_{kind}") for kind in kinds)
        model, key, output = row.get("model_version"), row.get("api_key"), row.get("usage_output_tokens")
    else:
        return None
    tokens = sum(_count(each) for each in counts)
    return Line(start, end, "anthropic", str(model or ""), str(key or ""), None, tokens, _count(output))


def _anthropic_cost(row: Mapping[str, Any], start: float, end: float) -> Line | None:
    if "amount" in row:
        _dollars(str(row.get("currency", "USD")))
        model, cost = row.get("model"), _pico(row["amount"], 100)  # in cents, as a decimal in a string
        key = row.get("workspace_id")
    elif "cost_usd" in row:
        model, cost, key = row.get("model"), _pico(row["cost_usd"]), row.get("api_key")
    else:
        return None
    return Line(start, end, "anthropic", _named(str(model or "")), str(key or ""), cost=cost)


def _litellm(row: Mapping[str, Any], _start: float, _end: float) -> Line | None:
    if str(row.get("cache_hit", "")).lower() == "true":
        return None  # answered by LiteLLM's own cache: nobody was paid
    at = _moment(row["startTime"])
    provider, _, model = str(row.get("model") or "").rpartition("/")
    return Line(
        at,
        at + 1e-3,
        str(row.get("custom_llm_provider") or provider),
        model,
        str(row.get("api_key") or "")[:16],
        1,
        _count(row.get("prompt_tokens")),
        _count(row.get("completion_tokens")),
        _pico(row.get("spend") or 0),
    )


# What a row of each kind has, of the most telling first.
READERS: Mapping[str, Sequence[tuple[set[str], _Read]]] = {
    "openai": (
        ({"amount"}, _openai_cost),
        ({"amount_value"}, _openai_cost),
        ({"input_tokens", "num_model_requests"}, _openai_usage),
    ),
    "anthropic": (
        ({"uncached_input_tokens"}, _anthropic_usage),
        ({"usage_input_tokens_no_cache"}, _anthropic_usage),
        ({"amount", "currency"}, _anthropic_cost),
        ({"usage_date_utc", "cost_usd"}, _anthropic_cost),
    ),
    "litellm": (({"startTime", "spend"}, _litellm),),
}


def period(lines: Iterable[Line]) -> tuple[float, float]:
    """Return the unix times [since, until) that the lines cover.

    Whole days of UTC, as providers bill; days of another time zone begin when they begin.
    """
    listed = list(lines)
    first, last = min(line.start for line in listed), max(line.end for line in listed)
    shift = zone_shift(listed)
    since = (first - shift) // _DAY * _DAY + shift
    return since, -(-(last - shift) // _DAY) * _DAY + shift


def zone_shift(lines: Iterable[Line]) -> float:
    """Return how many seconds after midnight of UTC the export's days begin; 0 when not all of them say the same."""
    found = {line.start % _DAY for line in lines if line.end - line.start == _DAY}
    return found.pop() if len(found) == 1 else 0.0


def _moment(value: Any) -> float:
    """Return the unix time of a number or of a text; one without a zone is UTC, as providers bill."""
    if isinstance(value, (int, float)) or str(value).replace(".", "", 1).isdigit():
        unix = float(value)
    else:
        at = datetime.fromisoformat(str(value))
        unix = (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
    if not 0 <= unix < _LAST:
        raise ValueError(f"no time: {str(value)[:40]!r}")
    return unix


def _count(value: Any) -> int:
    if value is None:
        return 0
    number = Decimal(str(value).replace(",", ""))
    if not number.is_finite() or not 0 <= number < _MOST or number != int(number):
        raise ValueError(f"no count: {str(value)[:40]!r}")
    return int(number)


def _pico(value: Any, parts: int = 1) -> int:
    try:
        amount = Decimal(str(value))
    except InvalidOperation as error:
        raise ValueError(f"no amount: {str(value)[:40]!r}") from error
    if not amount.is_finite() or abs(amount) >= _MOST:
        raise ValueError(f"no amount: {str(value)[:40]!r}")
    return round(amount * PICO / parts)


def _dollars(currency: str) -> None:
    if currency.lower() != "usd":
        raise ValueError(f"amounts in {currency[:8]!r}; the ledger is in USD")


def _named(model: str) -> str:
    # the Console writes `Claude Haiku 4.5` where the API says claude-haiku-4-5
    return re.sub(r"[ .]+", "-", model.strip().lower())
