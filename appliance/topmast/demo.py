"""The demo: what it adds to the configuration, where its files are, and what can be broken on purpose."""

import hashlib
import json
import os
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from topmast.layout import LOOPBACK, Layout

# The shop's cache: one prefix a namespace (examples/reference_app/cache.py).
NAMESPACES = {
    "llm_response": "llm:*",
    "embedding": "emb:*",
    "semantic": "sem:*",
    "session": "sess:*",
    "rag": "rag:*",
    "rate_limit": "rl:*",
}

# Left alone for a whole day the demo spends about half of this: some 14 USD an hour.
DAY_USD = 700
MONTH_USD = 21_000
# The demo is scraped ten times as often as a user's servers: what is asked of them must be as fresh, or rates of what
# they count are a row of peaks.
COLLECTOR_SECONDS = 3
# The two features that cost the most have budgets of their own, in USD a day.
FEATURES_USD = {"advice": 300, "catalogue-writer": 200}
# What the shop calls: each starts at 0, so that its first call is an increase.
MODELS = (
    "openai/gpt-4o-mini",
    "openai/gpt-4.1-mini",
    "openai/gpt-4.1",
    "openai/text-embedding-3-small",
    "anthropic/claude-sonnet-4-5",
    "anthropic/claude-opus-4-1",
)


@dataclass(frozen=True)
class Fault:
    """One thing that `topmast demo inject` can break."""

    does: str
    watch: str
    """The panel that moves first."""
    alerts: tuple[str, ...]
    """What fires, the first one first; empty when none does."""
    fires_seconds: int
    """With production's clocks: the rule's window as far as it must fill, plus its `for`."""
    lasts_seconds: int
    """How long it is on when nobody says (`--for`): enough to fire with the demo's clocks."""
    note: str = ""
    spends_seconds: int = 0
    """What passes before the rule can hold at all, whatever the clocks."""


FAULTS: Mapping[str, Fault] = {
    "latency": Fault(
        "every API request takes 0.35 to 0.9 s longer",
        "Latency P50, P95, P99",
        ("ApiLatencyTargetMissed",),
        660,
        180,
    ),
    "errors": Fault(
        "one API request in five answers 500",
        "Error ratio",
        ("ApiErrorRateHigh", "ApiErrorBudgetBurn"),
        330,
        120,
        "the two are one problem: where the critical ApiErrorBudgetBurn fires first, as in a young demo, the warning "
        "is not sent as well",
    ),
    "cache-flush": Fault(
        "the cache is emptied every second",
        "Hit ratio by namespace",
        ("CacheHitRateLow",),
        1200,
        240,
        "quiet in the first minutes after a start: a cold cache is no fault",
    ),
    "slow-query": Fault(
        "half of the searches take 1.6 s in the database",
        "Query P95 by operation",
        ("DbQueryLatencyHigh", "ApiLatencyTargetMissed"),
        660,
        180,
    ),
    "llm-outage": Fault(
        "the model provider answers 503",
        "Error ratio (its LLM line)",
        ("LlmProviderErrorsHigh", "AgentSuccessRateLow"),
        240,
        120,
    ),
    "rate-limit": Fault(
        "the model provider refuses four calls in five with 429",
        "Error ratio (its LLM line)",
        ("LlmRateLimited", "AgentSuccessRateLow"),
        360,
        120,
    ),
    "log-errors": Fault(
        "the app logs five errors a second, one of them of a kind never seen before",
        "Errors in the logs",
        ("NewErrorSignatures",),
        400,
        120,
        "find them: topmast logs 'level:error checkout'",
    ),
    "cpu": Fault("every core is busy", "CPU", ("HostCpuHigh", "HostCpuSaturated"), 840, 240),
    "memory": Fault(
        "the app takes up to 256 MB more, and writes 3 MB a second into a cache of 64 MB",
        "Memory",
        ("RedisMemoryHigh", "CacheHitRateLow"),
        480,
        180,
        "the host's own memory alerts are not provoked: that could end other programs",
    ),
    "cost-spike": Fault(
        "an agent sends its whole history to the dearest model, over and over",
        "Spend per hour by model",
        ("LlmDailyBudgetForecast", "LlmCostSpike"),
        600,
        240,
        "the alert stays until its hour has passed: the money is spent. LlmCostSpike compares with the day before, "
        "which a young demo does not have",
        spends_seconds=110,
    ),
}


def demo_folder(layout: Layout) -> Path:
    return layout.state / "demo"


def log_folder(layout: Layout) -> Path:
    return demo_folder(layout) / "logs"


def faults_file(layout: Layout) -> Path:
    return demo_folder(layout) / "faults.json"


def postgres_password_file(layout: Layout) -> Path:
    return demo_folder(layout) / "postgres.password"


def outside(layout: Layout) -> Path:
    """Return where the database's data lie when root started the demo; `topmast down --purge` deletes it too.

    PostgreSQL then runs as another account, which cannot look into the state folder.
    """
    digest = hashlib.sha256(str(layout.state).encode()).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"topmast-postgres-{digest}"


def python_environment(layout: Layout) -> dict[str, str]:
    """Return what every Python process of the demo is given."""
    return {
        "PYTHONPATH": str(layout.home / "examples"),
        "DEMO_FAULTS": str(faults_file(layout)),
        # Two arenas instead of eight a core: a third less memory, and nothing here allocates in threads.
        "MALLOC_ARENA_MAX": "2",
    }


@dataclass(frozen=True)
class Places:
    """Where the demo's servers and files are, as the exporter, the shipper and Prometheus see them."""

    app: str
    redis: str
    postgres: tuple[str, int]
    password_file: str
    logs: str
    collector_seconds: int


# In the containers of docker-compose.demo.yml. Their clocks are production's: every server is asked as a user's is.
COMPOSED = Places(
    app="demo-app:18000",
    redis="demo-redis:6379",
    postgres=("demo-postgres", 5432),
    password_file="/run/topmast/demo-postgres-password",  # noqa: S106 - a path
    logs="/var/log/apps/demo/logs",
    collector_seconds=15,
)


def demo_settings(layout: Layout) -> dict[str, Any]:
    """Return what the demo adds to the effective configuration (a topmast.yml still wins)."""
    return settings(
        Places(
            app=layout.address("demo-app"),
            redis=layout.address("demo-redis"),
            postgres=(LOOPBACK, layout.port("demo-postgres")),
            password_file=str(postgres_password_file(layout)),
            logs=str(log_folder(layout)),
            collector_seconds=COLLECTOR_SECONDS,
        )
    )


def settings(at: Places) -> dict[str, Any]:
    """Return what a demo that is at these places adds to the configuration."""
    host, port = at.postgres
    postgres = f"host={host} port={port} user=topmast dbname=shop"
    return {
        "budgets": {
            "day_usd": DAY_USD,
            "month_usd": MONTH_USD,
            "features": {name: {"day_usd": usd, "month_usd": 30 * usd} for name, usd in FEATURES_USD.items()},
        },
        "exporter": {
            "prices": {"models": list(MODELS)},
            "dependencies": ["app", "redis", "postgresql"],
            "collectors": [
                {
                    "redis": {
                        "target": "cache",
                        "url": f"redis://{at.redis}/0",
                        "namespaces": NAMESPACES,
                        "interval_seconds": at.collector_seconds,
                    }
                },
                {
                    "postgres": {
                        "target": "main",
                        "dsn": postgres,
                        "password_file": at.password_file,
                        "interval_seconds": at.collector_seconds,
                        "timeout_seconds": min(at.collector_seconds, 5),
                    }
                },
            ],
        },
        "shipper": {
            "inputs": [
                {
                    "file": {
                        "name": "demo-app",
                        "paths": [f"{at.logs}/app.log*"],
                        "parser": "json_lines",
                        "service": "shop",
                    }
                },
                {
                    "file": {
                        "name": "demo-access",
                        "paths": [f"{at.logs}/access.log*"],
                        "parser": {"grok": {"pattern": "NGINX_ACCESS"}},
                        "service": "nginx",
                    }
                },
            ]
        },
        "targets": {"app": [{"address": at.app}]},
    }


def active(layout: Layout) -> dict[str, float]:
    """Return the faults that are on, with the seconds that each still lasts."""
    now = time.time()
    left = {name: entry["until"] - now for name, entry in _listed(layout).items()}
    return {name: round(seconds, 1) for name, seconds in left.items() if seconds > 0}


def start_fault(layout: Layout, name: str, seconds: float) -> None:
    """Turn a fault on; the demo's processes see it within a second."""
    now = time.time()
    listed = {each: entry for each, entry in _listed(layout).items() if entry["until"] > now}
    _write(layout, listed | {name: {"since": now, "until": now + seconds}})


def clear_faults(layout: Layout) -> None:
    _write(layout, {})


def _listed(layout: Layout) -> dict[str, dict[str, float]]:
    try:
        listed: dict[str, dict[str, float]] = json.loads(faults_file(layout).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return listed


def _write(layout: Layout, listed: Mapping[str, Mapping[str, float]]) -> None:
    path = faults_file(layout)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(json.dumps(listed), encoding="utf-8")
    draft.replace(path)
