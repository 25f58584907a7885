"""S12: only what Prometheus 2.42 and Alertmanager 0.25 know, and what the newest still do.

2.42 refuses to start on one unknown key. Source of the lists: the two versions' config.go and functions.go, and
what promtool and amtool of Debian 12 said.
"""

import re
from collections.abc import Iterator

import promql_parser as tree_types

from topmast import promql
from topmast.check import Check, Spot, Tree

# In both 2.42 and 3.x, stable, and meaning the same.
FUNCTIONS = frozenset(
    [
        "abs",
        "absent",
        "absent_over_time",
        "avg_over_time",
        "ceil",
        "changes",
        "clamp",
        "clamp_max",
        "clamp_min",
        "count_over_time",
        "day_of_month",
        "day_of_week",
        "day_of_year",
        "days_in_month",
        "delta",
        "deriv",
        "exp",
        "floor",
        "histogram_quantile",
        "hour",
        "idelta",
        "increase",
        "irate",
        "label_join",
        "label_replace",
        "last_over_time",
        "ln",
        "log10",
        "log2",
        "max_over_time",
        "min_over_time",
        "minute",
        "month",
        "predict_linear",
        "present_over_time",
        "quantile_over_time",
        "rate",
        "resets",
        "round",
        "scalar",
        "sgn",
        "sort",
        "sort_desc",
        "sqrt",
        "stddev_over_time",
        "stdvar_over_time",
        "sum_over_time",
        "time",
        "timestamp",
        "vector",
        "year",
    ]
)
AGGREGATIONS = frozenset(
    ["sum", "avg", "min", "max", "count", "group", "stddev", "stdvar", "quantile", "count_values", "topk", "bottomk"]
)
# Refused by 2.42, or gone in 3.x.
PROMETHEUS_KEYS = frozenset(
    [
        "fallback_scrape_protocol",
        "scrape_protocols",
        "scrape_classic_histograms",
        "always_scrape_classic_histograms",
        "convert_classic_histograms_to_nhcb",
        "metric_name_validation_scheme",
        "metric_name_escaping_scheme",
        "enable_compression",
        "keep_dropped_targets",
        "native_histogram_bucket_limit",
        "native_histogram_min_bucket_factor",
        "scrape_failure_log_file",
        "rule_query_offset",
        "scrape_config_files",
        "otlp",
        "scrape_native_histograms",
        "runtime",
    ]
)
ALERTMANAGER_KEYS = frozenset(
    [
        "url_file",
        "msteams_configs",
        "msteamsv2_configs",
        "jira_configs",
        "rocketchat_configs",
        "incidentio_configs",
        "mattermost_configs",
        "app_token_file",
        "auth_secret_file",
        "chat_id_file",
        "message_text",
        "update_message",
    ]
)
_KEY = re.compile(r"^\s*(?:- )?([a-z_0-9]+):")
_QUOTED_MATCHER = re.compile(r"matchers: *\[?.*['\"]\s*\\?\"")


def run(tree: Tree) -> Iterator[Spot]:
    for rule, node in tree.expressions():
        for part, _ in promql.walk(node):
            if isinstance(part, tree_types.Call) and part.func.name not in FUNCTIONS:
                yield Spot(
                    rule.file,
                    rule.at("expr"),
                    f"{rule.name}: {part.func.name}() is not in both 2.42 and 3.x: do without",
                )
            if isinstance(part, tree_types.AggregateExpr) and promql.operator(part) not in AGGREGATIONS:
                yield Spot(
                    rule.file, rule.at("expr"), f"{rule.name}: {promql.operator(part)} is not in both 2.42 and 3.x"
                )
            if isinstance(part, tree_types.VectorSelector) and not promql.metric_name(part).isascii():
                yield Spot(rule.file, rule.at("expr"), f"{rule.name}: 2.42 knows metric names of ASCII only")
    for name, keys, version in (
        ("prometheus.yml", PROMETHEUS_KEYS, "Prometheus 2.42"),
        ("alertmanager.yml", ALERTMANAGER_KEYS, "Alertmanager 0.25"),
    ):
        for path, text in tree.named(f"/{name}"):
            for number, line in enumerate(text.splitlines(), 1):
                match = _KEY.match(line)
                if match and match[1] in keys:
                    yield Spot(
                        path, number, f"{match[1]}: {version} refuses this key and does not start: do without it"
                    )
                if name == "alertmanager.yml" and _QUOTED_MATCHER.search(line):
                    yield Spot(
                        path, number, "a quoted label name in a matcher: 0.25 refuses it; quote the value only"
                    )


CHECK = Check(name="portability", summary="one configuration for the oldest and the newest engines", run=run)
