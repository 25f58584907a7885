"""What the models cost: spend by model and feature, tokens, budgets and their forecast, prices that are unknown."""

from topmast.dashboard import ENVIRONMENT, FEATURE, MODEL, Dashboard, series
from topmast.panel import bar_gauge, exemplars, or_none, override, query, stat, table, timeseries

IN = series()
OF_MODEL = series(by=(MODEL, ENVIRONMENT))
OF_BOTH = series(by=(MODEL, FEATURE, ENVIRONMENT))
# The budget of everything has the feature "".
WHOLE = series('feature=""')
CHOSEN = series('feature=~"$feature|"')
OF_BUDGET = f"(sum by (window, feature) (llm_budget_usd{CHOSEN}) > 0)"


def named(expr: str) -> str:
    """Return the expression with a name for the calls that say no feature."""
    return f'label_replace({expr}, "feature", "(no feature)", "feature", "")'


SPEND = [
    stat(
        1,
        "Spent",
        "Spent on models in this calendar day and month, from the ledger; the forecast is for its end at this pace.",
        "currencyUSD",
        [
            query(f"sum by (window) (llm_budget_spent_usd{WHOLE})", "this {{window}}"),
            query(f"sum by (window) (llm_budget_forecast_usd{WHOLE})", "forecast, {{window}}"),
        ],
        alerts=("LlmDailyBudgetExceeded", "LlmDailyBudgetForecast"),
        width=12,
        noValue="no ledger is running",
    ),
    stat(
        2,
        "Saved by the cache",
        "What cache hits of the last 24 hours did not cost, and its share of what would have been spent.",
        "currencyUSD",
        [
            query(f"sum(llm:cache_saved_usd:increase24h{IN})", "saved in 24 h"),
            query(f"avg(llm:cache_saved:ratio_increase24h{IN})", "of what would have been spent"),
        ],
        alerts=("CacheHitRateLow",),
        width=12,
        overrides=[override("of what would have been spent", unit="percentunit", decimals=1)],
        noValue="the cache has saved nothing yet",
    ),
    timeseries(
        3,
        "Spend per hour by model",
        "What calling the models costs an hour at the rate of the last 30 minutes, by model, stacked.",
        "currencyUSD",
        query(f"sum by (model) (provider_model:llm_cost_usd_hourly:rate30m{OF_MODEL})", "{{model}}"),
        alerts=("LlmCostSpike", "LlmCostUntracked"),
        stacked=True,
        noValue="no calls in this range",
    ),
    timeseries(
        4,
        "Spend per hour by feature",
        "What each feature of the product spends an hour on models, stacked.",
        "currencyUSD",
        query(named(f"3600 * sum by (feature) (rate(llm_cost_usd_total{OF_BOTH}[$__rate_interval]))"), "{{feature}}"),
        alerts=("LlmCostSpike",),
        stacked=True,
        noValue="no calls in this range",
    ),
    table(
        5,
        "Most expensive features",
        "What each feature spent on each model in the last 24 hours, the dearest first.",
        "currencyUSD",
        query(
            named(f"sum by (feature, model) (feature_model:llm_cost_usd:increase24h{OF_BOTH}) > 0"),
            "{{feature}}",
            now=True,
        ),
        {"feature": "feature", "model": "model", "Value": "spent in 24 h"},
        alerts=("LlmCostSpike",),
        sort="spent in 24 h",
        noValue="nothing was spent in 24 hours",
    ),
    timeseries(
        6,
        "Cost of one call",
        "Half of the calls to each model cost less than this.",
        "currencyUSD",
        [
            query(
                f"histogram_quantile(0.5, sum by (le, model) (rate(llm_request_cost_usd_bucket{OF_MODEL}"
                "[$__rate_interval])))",
                "{{model}}",
            )
        ],
        alerts=("LlmCostSpike",),
        noValue="no calls in this range",
    ),
]

BUDGETS = [
    bar_gauge(
        7,
        "Spent against budget",
        "Share of each budget that is spent: of the day and the month, of everything and of single features.",
        "percentunit",
        query(
            f"sum by (window, feature) (llm_budget_spent_usd{CHOSEN}) / {OF_BUDGET}",
            "{{window}} {{feature}}",
            now=True,
        ),
        alerts=("LlmDailyBudgetExceeded", "LlmMonthlyBudgetNearLimit"),
        steps={0.8: "orange", 1: "red"},
        max=1,
        noValue="no budget is set",
    ),
    bar_gauge(
        8,
        "Forecast against budget",
        "Share of each budget that will be spent when its day or month ends, at the present pace.",
        "percentunit",
        query(
            f"sum by (window, feature) (llm_budget_forecast_usd{CHOSEN}) / {OF_BUDGET}",
            "{{window}} {{feature}}",
            now=True,
        ),
        alerts=("LlmDailyBudgetForecast",),
        steps={1: "red"},
        max=1,
        noValue="no budget is set",
    ),
]

TOKENS = [
    timeseries(
        9,
        "Tokens by model",
        "Tokens a second that go into and come out of each model, stacked.",
        "suffix:/s",
        query(
            f"sum by (model, direction) (rate(llm_tokens_total{OF_BOTH}[$__rate_interval]))",
            "{{model}} {{direction}}",
        ),
        stacked=True,
        width=8,
        noValue="no calls in this range",
    ),
    timeseries(
        10,
        "Tokens of a kind",
        "Tokens a second that are billed otherwise: read from or written to the provider's cache, reasoning, audio.",
        "suffix:/s",
        query(f"sum by (kind) (rate(llm_token_detail_total{OF_MODEL}[$__rate_interval]))", "{{kind}}"),
        width=8,
        noValue="no such token in this range",
    ),
    timeseries(
        11,
        "Tokens that hits saved",
        "Tokens a second that were answered from the cache instead of a model, by namespace of the cache.",
        "suffix:/s",
        query(f"sum by (namespace) (rate(cache_saved_tokens_total{OF_MODEL}[$__rate_interval]))", "{{namespace}}"),
        alerts=("CacheHitRateLow",),
        width=8,
        noValue="no cache hits in this range",
    ),
]

CALLS = [
    timeseries(
        12,
        "Calls by outcome",
        "Calls a second by how they ended, stacked; a cached answer is no call to the provider.",
        "reqps",
        query(f"sum by (outcome) (rate(llm_requests_total{OF_BOTH}[$__rate_interval]))", "{{outcome}}"),
        alerts=("LlmProviderErrorsHigh", "LlmRateLimited"),
        stacked=True,
        width=8,
        noValue="no calls in this range",
    ),
    timeseries(
        13,
        "Failing calls",
        "Share of the calls to each model that fail or time out; the line is where LlmProviderErrorsHigh begins.",
        "percentunit",
        query(f"max by (model) (provider_model:llm_errors:ratio_rate5m{OF_MODEL})", "{{model}}"),
        alerts=("LlmProviderErrorsHigh",),
        steps={0.1: "red"},
        width=8,
        noValue="no calls in this range",
    ),
    timeseries(
        14,
        "Refused calls",
        "Share of the calls that the provider refuses with a rate limit; the line is where LlmRateLimited begins.",
        "percentunit",
        query(f"max by (model) (provider_model:llm_rate_limited:ratio_rate5m{OF_MODEL})", "{{model}}"),
        alerts=("LlmRateLimited",),
        steps={0.05: "orange"},
        width=8,
        noValue="no calls in this range",
    ),
    timeseries(
        15,
        "Latency P95 by model",
        "95 of 100 successful calls are faster than this; the line is where LlmLatencyHigh begins.",
        "s",
        [
            query(f"max by (model) (provider_model:llm_request_duration_seconds:p95_10m{OF_MODEL})", "{{model}}"),
            exemplars(f"llm_request_duration_seconds_bucket{OF_MODEL}"),
        ],
        alerts=("LlmLatencyHigh",),
        steps={30: "orange"},
        log=True,
        noValue="no calls in this range",
    ),
    timeseries(
        16,
        "Time to the first token",
        "In 95 of 100 streamed answers the first token is there within this time.",
        "s",
        query(
            f"histogram_quantile(0.95, sum by (le, model) (rate(llm_time_to_first_token_seconds_bucket{OF_MODEL}"
            "[$__rate_interval])))",
            "{{model}}",
        ),
        alerts=("LlmLatencyHigh",),
        noValue="no streamed answers in this range",
    ),
]

PRICES = [
    timeseries(
        17,
        "Calls without a price",
        "Calls whose model has no price, and answers that did not say what they used: both hide spend.",
        "short",
        [
            query(
                or_none(
                    f"sum by (model, reason) (increase(llm_unpriced_requests_total{OF_MODEL}[$__rate_interval]))",
                    "model",
                    "every call has one",
                ),
                "no price: {{model}} {{reason}}",
            ),
            query(
                f"sum by (model) (increase(llm_usage_missing_total{OF_MODEL}[$__rate_interval]))",
                "no usage: {{model}}",
            ),
        ],
        alerts=("LlmCostUntracked",),
        width=8,
        height=6,
        bars=True,
        noValue="every call has a price",
    ),
    table(
        18,
        "Price drift",
        "How far a model's price in the second price table is from the one that its calls are counted with.",
        "percentunit",
        query(f"max by (provider, model) (llm_price_drift_ratio{OF_MODEL})", "{{model}}", now=True),
        {"provider": "provider", "model": "model", "Value": "drift"},
        alerts=("LlmCostUntracked",),
        sort="drift",
        width=8,
        height=6,
        noValue="no model is in both tables",
    ),
    stat(
        19,
        "Age of the price table",
        "Time since each table of prices was made; a month-old one may miss a model or a new price.",
        "s",
        query(f"time() - max by (source) (llm_price_table_timestamp_seconds{IN})", "{{source}}"),
        alerts=("LlmCostUntracked",),
        width=8,
        height=6,
        course=False,
        noValue="no price table is read",
    ),
]

DASHBOARD = Dashboard(
    name="llm-cost",
    title="Cost of models",
    description="What calling the models costs: spend by model and feature, tokens, budgets, prices.",
    variables=(ENVIRONMENT, MODEL, FEATURE),
    groups={
        "Spend": SPEND,
        "Budgets": BUDGETS,
        "Tokens": TOKENS,
        "Calls": CALLS,
        "Prices": PRICES,
    },
    since="now-6h",
)
