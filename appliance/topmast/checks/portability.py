"""S12: only what Prometheus 2.42 and Alertmanager 0.25 know, and what the newest still do.

Source of the lists: the two versions' functions.go, and what promtool of Debian 12 said. Keys: the check `schemas`.
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
    for path, text in tree.named("/alertmanager.yml"):
        for number, line in enumerate(text.splitlines(), 1):
            if _QUOTED_MATCHER.search(line):
                yield Spot(path, number, "a quoted label name in a matcher: 0.25 refuses it; quote the value only")


CHECK = Check(name="portability", summary="one configuration for the oldest and the newest engines", run=run)
