"""A rule file that Prometheus would refuse to start with is a list of problems, each with its line."""

from pathlib import Path

import pytest
from topmast import promql, rulefile
from topmast.rulefile import Problem

FILE = Path("shop.yml")
RULES = """\
groups:
  - name: shop
    interval: 1m
    limit: 0
    rules:
      - alert: CheckoutFailing
        expr: up == 0
        for: 5m
        keep_firing_for: 1h30m
        labels: {severity: critical}
        annotations: {summary: Checkouts fail.}
      - record: job:up:sum
        expr: sum by (job) (up)
        labels: {team: shop}
"""


def test_a_sound_file_has_no_problem() -> None:
    rules, problems = rulefile.read(FILE, RULES)

    assert [rule.name for rule in rules] == ["CheckoutFailing", "job:up:sum"]
    assert problems == []


# Each is refused by `promtool check rules` of 2.42 too.
@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        pytest.param(
            "interval: 1m",
            "interval: 1x",
            Problem(3, "group 'shop': interval: not a duration: '1x'; write it as 5m or 1h30m"),
            id="a group's interval",
        ),
        pytest.param(
            "limit: 0", "limit: many", Problem(4, "group 'shop': limit: not a whole number: 'many'"), id="a limit"
        ),
        pytest.param(
            "keep_firing_for: 1h30m",
            "keep_firing_for: 30m1h",
            Problem(9, "'CheckoutFailing': keep_firing_for: not a duration: '30m1h'; write it as 5m or 1h30m"),
            id="a duration with its units in the wrong order",
        ),
        pytest.param(
            "{severity: critical}",
            "{9lives: critical}",
            Problem(
                10,
                "'CheckoutFailing': labels: '9lives' is no name Prometheus takes: letters, digits and _, "
                "no digit first",
            ),
            id="a label's name",
        ),
        pytest.param(
            "{severity: critical}",
            "{severity: [critical]}",
            Problem(10, "'CheckoutFailing': labels.severity: not a text: put it in quotes"),
            id="a list for a label",
        ),
        pytest.param(
            "{team: shop}",
            "{__name__: shop}",
            Problem(
                14,
                "'job:up:sum': labels: '__name__' is no name Prometheus takes: letters, digits and _, no digit first",
            ),
            id="a metric's name for a label",
        ),
        pytest.param(
            "labels: {team: shop}",
            "for: 5m",
            Problem(14, "'job:up:sum': a recording rule has no `for` (Prometheus refuses it): remove it"),
            id="a recording rule that waits",
        ),
        pytest.param(
            "labels: {team: shop}",
            "annotations: {team: shop}",
            Problem(14, "'job:up:sum': a recording rule has no `annotations` (Prometheus refuses it): remove it"),
            id="a recording rule with a text",
        ),
    ],
)
def test_what_prometheus_refuses_is_a_problem(old: str, new: str, problem: Problem) -> None:
    assert old in RULES

    _, problems = rulefile.read(FILE, RULES.replace(old, new))

    assert problems == [problem]


def test_a_prometheusrule_of_kubernetes_is_read() -> None:
    wrapped = "kind: PrometheusRule\nspec:\n" + "".join(f"  {line}\n" for line in RULES.splitlines())

    rules, problems = rulefile.read(FILE, wrapped)

    assert [(rule.name, rule.line) for rule in rules] == [("CheckoutFailing", 8), ("job:up:sum", 14)]
    assert problems == []


@pytest.mark.parametrize("text", ["5m1h", "1h1h", "5", "m", "", "5x", "-5m", "1.5h", " 5m"])
def test_what_is_no_duration_of_prometheus_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a duration"):
        promql.milliseconds(text)


def test_a_duration_has_its_length() -> None:
    assert [promql.milliseconds(text) for text in ("0", "90s", "1h30m", "1y1ms")] == [
        0,
        90_000,
        5_400_000,
        365 * 86_400_000 + 1,
    ]
