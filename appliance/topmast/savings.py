"""What the applications' caches saved: they count it themselves, and Prometheus remembers it for a while."""

from dataclasses import dataclass

import requests
from topmast_exporter.pricing.price import PICO

from topmast.costwindow import Window

_TIMEOUT_SECONDS = 5.0
# What a hit of the cache did not cost (METRICS.md).
_SAVED = "sum(increase(cache_saved_usd_total[{seconds}s]))"


@dataclass(frozen=True)
class Savings:
    """What was not spent."""

    usd: float
    share: float
    """Of what would have been spent in that time."""
    days: int | None
    """The days that Prometheus remembers, when the window is longer."""


def ask(window: Window, prometheus: str | None) -> Savings | None:
    """Return what the caches saved in a window, None when no Prometheus says it."""
    if prometheus is None:
        return None
    days: int = window.settings["retention"]["metrics_days"]
    since = max(window.since, window.now - days * 86_400)
    if since >= window.until:
        return None
    form = {"query": _SAVED.format(seconds=max(60, int(window.until - since))), "time": str(window.until)}
    try:
        url = f"{prometheus.rstrip('/')}/api/v1/query"
        answer = requests.post(url, data=form, timeout=_TIMEOUT_SECONDS).json()
        ((_, value),) = [each["value"] for each in answer["data"]["result"]]
        usd = float(value)
    except (requests.RequestException, KeyError, ValueError, TypeError):
        return None
    would = sum(row.total for row in window.report((), since)) / PICO + usd
    # a budgets' zone or a quarter of an hour apart is the same window
    return Savings(usd, usd / would if would else 0.0, days if since > window.since + 86_400 else None)
