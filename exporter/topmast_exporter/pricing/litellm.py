"""`python -m topmast_exporter.pricing.litellm IN OUT`: LiteLLM's price list in the format of our table.

IN is its `model_prices_and_context_window.json`. It is the second opinion that drift is measured against, never what
a call is priced with: it has no dates, so yesterday's price is gone, and some of its entries have been wrong by a
factor of ten. Of each model are kept the prices of tokens; providers are named as genai-prices names them.
"""

import argparse
import json
import os
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

from topmast_exporter.pricing.compile import FORMAT, PICO

SOURCE = "litellm"

# LiteLLM's provider -> ours. Where two mean one, the first in the file wins.
PROVIDERS: Mapping[str, str] = {
    "anthropic": "anthropic",
    "azure": "azure",
    "baseten": "baseten",
    "bedrock": "aws",
    "bedrock_converse": "aws",
    "cerebras": "cerebras",
    "cohere": "cohere",
    "cohere_chat": "cohere",
    "databricks": "databricks",
    "deepseek": "deepseek",
    "fireworks_ai": "fireworks",
    "gemini": "google",
    "groq": "groq",
    "mistral": "mistral",
    "moonshot": "moonshotai",
    "novita": "novita",
    "openai": "openai",
    "openrouter": "openrouter",
    "perplexity": "perplexity",
    "text-completion-openai": "openai",
    "together_ai": "together",
    "vertex_ai-language-models": "google",
    "voyage": "voyageai",
    "xai": "x-ai",
    "zai": "zai",
}

# Its name of a price -> (the table's usage key, what that counts).
UNITS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "input_cost_per_token": ("input_tokens", {"family": "tokens", "direction": "input"}),
    "output_cost_per_token": ("output_tokens", {"family": "tokens", "direction": "output"}),
    "cache_read_input_token_cost": (
        "cache_read_tokens",
        {"family": "tokens", "direction": "input", "token_type": "cache_read"},
    ),
    "cache_creation_input_token_cost": (
        "cache_write_tokens",
        {"family": "tokens", "direction": "input", "token_type": "cache_write"},
    ),
}
# `input_cost_per_token_above_200k_tokens`: a long request costs this as a whole.
_STEP = re.compile(r"^(?P<price>.+)_above_(?P<thousands>\d+)k_tokens$")


def main(argv: list[str] | None = None) -> int:
    """Write the table; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m topmast_exporter.pricing.litellm")
    parser.add_argument("source", type=Path, metavar="IN")
    parser.add_argument("out", type=Path, metavar="OUT")
    parser.add_argument("--version", default="", help="of LiteLLM, for the header")
    parser.add_argument("--day", type=datetime.fromisoformat, help="the list's day; the file's own time by default")
    options = parser.parse_args(argv)
    try:
        with options.source.open(encoding="utf-8") as file:
            document = json.load(file)
        day: datetime | None = options.day
        at = options.source.stat().st_mtime if day is None else day.replace(tzinfo=UTC).timestamp()
        lines = list(table(document, f"{SOURCE} {options.version}".strip(), int(at)))
    except json.JSONDecodeError as error:
        parser.exit(1, f"{options.source}: neither LiteLLM's price list (JSON) nor a compiled table: {error}\n")
    except (OSError, ValueError) as error:
        parser.exit(1, f"{options.source}: {error}\n")
    temporary = options.out.with_name(f".{options.out.name}.{os.getpid()}")
    text = "".join(f"{json.dumps(line, separators=(',', ':'))}\n" for line in lines)
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(options.out)
    return 0


def table(document: object, source: str, timestamp: int) -> Iterator[dict[str, Any]]:
    """Yield the header and one line a provider. Raises ValueError when the document is no such price list."""
    if not isinstance(document, Mapping):
        raise ValueError("not LiteLLM's price list: an object of models is wanted")
    providers: dict[str, dict[str, dict[str, Any]]] = {}
    for name, entry in document.items():
        provider = PROVIDERS.get(entry.get("litellm_provider", "")) if isinstance(entry, Mapping) else None
        sheet = _sheet(entry) if provider else {}
        if provider and sheet:
            short = str(name).lower().removeprefix(f"{entry['litellm_provider']}/")
            providers.setdefault(provider, {}).setdefault(short, sheet)
    if not providers:
        raise ValueError("not LiteLLM's price list: no model of a known provider has a price of tokens")
    yield {
        "format": FORMAT,
        "source": source,
        "timestamp": timestamp,
        "models": sum(map(len, providers.values())),
        "units": dict(UNITS.values()),
        "fractions": [],
        "providers": [
            {"id": provider, "match": None, "model_match": None, "fallback": []} for provider in sorted(providers)
        ],
    }
    for provider in sorted(providers):
        models = [
            {"id": name, "match": ["equals", name], "prices": [{"sheet": sheet}]}
            for name, sheet in sorted(providers[provider].items())
        ]
        yield {"provider": provider, "models": models}


def _sheet(entry: Mapping[str, Any]) -> dict[str, Any]:
    sheet: dict[str, Any] = {}
    for name, (unit, _) in UNITS.items():
        base = _pico(entry.get(name))
        if base is not None:
            steps = sorted(_steps(entry, name))
            sheet[unit] = {"base": base, "steps": steps} if steps else base
    return sheet


def _steps(entry: Mapping[str, Any], name: str) -> Iterator[list[Any]]:
    for key, value in entry.items():
        found = _STEP.match(key)
        price = _pico(value) if found and found["price"] == name else None
        if found and price is not None:
            yield [int(found["thousands"]) * 1000, price]


def _pico(usd: object) -> int | list[int] | None:
    """Return pico-USD a token as the table has it; None for what is no price."""
    if isinstance(usd, bool) or not isinstance(usd, (int, float)) or not 0 <= usd <= 1:
        return None
    exact = Fraction(Decimal(str(usd))) * PICO  # 1.5e-07 means that, not its nearest binary float
    return exact.numerator if exact.denominator == 1 else [exact.numerator, exact.denominator]


if __name__ == "__main__":
    raise SystemExit(main())
