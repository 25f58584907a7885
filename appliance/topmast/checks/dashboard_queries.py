"""What the panels ask: PromQL that parses, counters under rate, windows that follow the scrape interval.

Six rules are those of Grafana's dashboard-linter, under its names; the others are ours.
"""

import json
import re
from collections.abc import Iterator

import promql_parser as tree_types

from topmast import dashboardfile, metrics, promql
from topmast.check import Check, Spot, Tree
from topmast.dashboardfile import File, Problem, Query

# Under these a counter's restarts do no harm; `changes` and `count_over_time` do not read its value.
_OF_COUNTERS = ("rate", "irate", "increase", "resets", "changes", "count_over_time", "absent")
_RATES = re.compile(r"\b(rate|irate|increase)\((?:[^()\[]|\([^()]*\))*\[([^\]]+)\]")
_MACHINE = ("device", "fstype", "mountpoint")


def parses(file: File) -> Iterator[Problem]:
    for query in file.queries:
        if query.parsed is None:
            yield _at(query, f"not PromQL: {_reason(query)}")


def rate_interval(file: File) -> Iterator[Problem]:
    for query in file.queries:
        # At one moment only, $__range is the whole that the reader chose.
        fine = ("$__rate_interval", "$__range") if query.target.get("instant") else ("$__rate_interval",)
        for call, window in _RATES.findall(query.expr):
            if window not in fine:
                yield _at(query, f"{call}(…[{window}]): use [{fine[0]}], which fits the scrape interval and the zoom")


def counters(file: File) -> Iterator[Problem]:
    for query in file.queries:
        if query.parsed is None or query.target.get("exemplar"):
            continue
        for node, above in promql.walk(query.parsed):
            if not isinstance(node, tree_types.VectorSelector):
                continue
            name = promql.metric_name(node)
            if metrics.load().is_counter(name) and not any(
                (isinstance(each, tree_types.Call) and each.func.name in _OF_COUNTERS)
                or (isinstance(each, tree_types.AggregateExpr) and promql.operator(each) in ("count", "group"))
                for each in above
            ):
                yield _at(query, f"{name} is a counter: show its rate() or increase()")


def job(file: File) -> Iterator[Problem]:
    yield from _matcher(file, "job")


def instance(file: File) -> Iterator[Problem]:
    yield from _matcher(file, "instance")


def lucene(file: File) -> Iterator[Problem]:
    """The linter reads LogQL; our logs are searched in Lucene's words."""
    for panel in file.panels:
        for target in dashboardfile.targets(panel):
            text = target.get("query")
            if dashboardfile.datasource(panel, target)[0] != "elasticsearch":
                continue
            where = dashboardfile.title(panel)
            if not isinstance(text, str) or not text.strip():
                yield Problem(where, "no search: `*` finds every line")
            elif text.count('"') % 2 or text.count("(") != text.count(")"):
                yield Problem(where, f"a quote or bracket of the search {text!r} is not closed", text)


def logs_auto(file: File) -> Iterator[Problem]:
    for panel in file.panels:
        for target in dashboardfile.targets(panel):
            for window in re.findall(r"\[([^\]]+)\]", str(target.get("expr", ""))):
                if dashboardfile.datasource(panel, target)[0] == "loki" and window != "$__auto":
                    yield Problem(dashboardfile.title(panel), f"[{window}]: use [$__auto]")


def machine(file: File) -> Iterator[Problem]:
    """The disk of one machine is not the disk of another: excluding kinds is fine, naming one is not."""
    for query in file.queries:
        for selector in promql.selectors(query.parsed) if query.parsed is not None else []:
            for matcher in selector.matchers.matchers:
                if matcher.name in _MACHINE and str(matcher.op) == "MatchOp.Equal" and matcher.value:
                    yield _at(
                        query, f'{matcher.name}="{matcher.value}" is of one machine only: exclude what is not meant'
                    )


def _matcher(file: File, label: str) -> Iterator[Problem]:
    for query in file.queries:
        for selector in promql.selectors(query.parsed) if query.parsed is not None else []:
            if label not in {matcher.name for matcher in selector.matchers.matchers}:
                yield _at(query, f'{promql.metric_name(selector)}: no matcher {label}=~"${label}"')


def _at(query: Query, message: str) -> Problem:
    return Problem(query.where, message, f'"expr": {json.dumps(query.expr, ensure_ascii=False)}')


def _reason(query: Query) -> str:
    try:
        promql.parse(dashboardfile.substituted(query.expr, {}))
    except ValueError as error:
        return str(error).splitlines()[0][:120]
    return ""


RULES = {
    "target-promql-rule": parses,
    "target-rate-interval-rule": rate_interval,
    "target-counter-agg-rule": counters,
    "target-job-rule": job,
    "target-instance-rule": instance,
    "target-logql-rule": lucene,
    "target-logql-auto-rule": logs_auto,
    "one-machine": machine,
}


def run(tree: Tree) -> Iterator[Spot]:
    yield from dashboardfile.findings(tree, RULES)


CHECK = Check(name="dashboard_queries", summary="panels ask what Prometheus can answer well", run=run)
