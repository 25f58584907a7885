"""`forecast.py SEED`: how far the forecast of day 10 is from a month's end, in percent, for 12 synthetic months."""

import json
import math
import random
import sys
from datetime import UTC, datetime
from typing import Any

from topmast_exporter.budgets import BudgetConfig, Budgets
from topmast_exporter.pricing.price import PICO
from topmast_exporter.registry import Registry
from topmast_exporter.render import render


def main(seed: int) -> None:
    """Print the twelve errors."""
    errors = []
    for month in range(1, 13):
        chance = random.Random(f"{seed}/{month}")
        start = datetime(2026, month, 1, tzinfo=UTC)
        end = datetime(2026 + month // 12, month % 12 + 1, 1, tzinfo=UTC)
        began = start.timestamp() - 20 * 86_400
        hourly = []
        for hour in range(int((end.timestamp() - began) // 3600)):
            at = datetime.fromtimestamp(began + hour * 3600, UTC)
            rhythm = (1.0 if at.weekday() < 5 else 0.35) * (1 + 0.6 * math.sin((at.hour - 8) / 24 * 2 * math.pi))
            hourly.append((at.timestamp(), int(rhythm * chance.gauss(1.0, 0.2) * 1e12)))
        now = start.timestamp() + 10 * 86_400

        def costs(since: float, until: float, hourly: Any = hourly, now: float = now) -> dict[str, int]:
            return {"": sum(cost for at, cost in hourly if since <= at < min(until, now))}

        registry = Registry()
        budgets = Budgets(BudgetConfig(), registry)
        budgets.refresh(costs, began, now)
        told = next(
            float(line.rsplit(" ", 1)[1])
            for line in render(registry)[0].decode().splitlines()
            if line.startswith('llm_budget_forecast_usd{window="month"')
        )
        real = sum(cost for at, cost in hourly if at >= start.timestamp()) / PICO
        errors.append(abs(told - real) / real * 100)
    print(json.dumps(errors))


if __name__ == "__main__":
    main(int(sys.argv[1]))
