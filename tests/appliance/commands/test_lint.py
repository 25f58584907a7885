"""`topmast lint` tells `file:line: check: what to do`, for people and for machines, and leaves with 1."""

import json
import random
from dataclasses import replace
from pathlib import Path

import yaml
from topmast import check, yamltext
from topmast.commands import lint

ROOT = Path(__file__).resolve().parents[3]

BROKEN = """groups:
  - name: mine
    rules:
      - alert: TooSlow
        expr: rate(requests_total[1m]) > 3
        for: 5m
        labels: {severity: page, category: mine, pair: TooSlow}
"""


def test_our_own_house_has_no_finding(topmast) -> None:
    answer = topmast("lint", "--json")

    assert (answer.code, json.loads(answer.out)) == (0, {"findings": []})


def test_a_users_own_file_is_looked_at_alone(topmast, tmp_path: Path) -> None:
    mine = tmp_path / "mine.yml"
    mine.write_text(BROKEN)

    answer = topmast("lint", str(mine))

    assert answer.code == 1
    assert answer.out.splitlines() == [
        f"{mine}:5: expressions: TooSlow: a range of 60 s: use more than four scrapes, 2m at the least",
        f"{mine}:7: severity: TooSlow: severity 'page': write critical or warning",
    ]


def test_a_folder_is_searched(topmast, tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "mine.yml").write_text(BROKEN)

    answer = topmast("lint", str(tmp_path), "--json")

    found = json.loads(answer.out)["findings"]
    assert answer.code == 1
    assert [(Path(each["file"]).name, each["line"], each["check"]) for each in found] == [
        ("mine.yml", 5, "expressions"),
        ("mine.yml", 7, "severity"),
    ]


def test_what_cannot_be_read_is_a_finding_not_a_crash(topmast, tmp_path: Path) -> None:
    (tmp_path / "rules.yml").write_bytes(b"\x00\xff\xfe" * 100)

    answer = topmast("lint", str(tmp_path / "rules.yml"))

    assert answer.code == 1
    assert "not UTF-8 text" in answer.out
    assert answer.err == ""


STRANGERS = """groups:
  - name: theirs
    rules:
      - alert: Unknown
        expr: nosuch(redis_up) > 1
        for: 5m
        labels: {severity: warning, category: a, pair: Unknown}
      - alert: Twice
        expr: sum by (job) (rate(shop_errors_total[5m])) > 1
        for: 5m
        labels: {severity: warning, category: a, pair: Twice}
        annotations:
          description: on {{ $labels.instance }}
      - alert: Twice
        expr: sum by (job) (rate(shop_errors_total[5m])) > 2
        for: 5m
        labels: {severity: warning, category: a, pair: Twice}
      - alert: Bare
        expr: shop_orders > 2
"""


def test_what_strangers_get_wrong(topmast, tmp_path: Path) -> None:
    mine = tmp_path / "rules.yml"
    mine.write_text(STRANGERS)

    lines = [line.removeprefix(f"{mine}:") for line in topmast("lint", str(mine)).out.splitlines()]

    assert lines == [
        "5: syntax: Unknown: not PromQL: unknown function with name 'nosuch'; mend `expr`",
        "8: pairs: Twice: a pair is one warning and one critical, not warning, warning",
        "13: templates: Twice: description: the expression leaves no label instance (it leaves: job)",
        "14: syntax: Twice stands twice with the same labels (line 8): remove one",
        "18: labels: Bare: the labels category, pair, severity are missing: routes and inhibition lean on it",
    ]


def test_looks_at_the_configuration(topmast, tmp_path: Path) -> None:
    own = tmp_path / "topmast.yml"
    own.write_text("alerts: {HostCpuHigh: {treshold: 0.9}}\n")

    answer = topmast("lint", str(own))

    assert answer.code == 1
    assert answer.out.startswith(f"{own}:1: schemas: topmast.yml: $.alerts.HostCpuHigh: ")


def test_says_how_much_was_looked_at(topmast, tmp_path: Path) -> None:
    (tmp_path / "mine.yml").write_text(
        "groups:\n  - name: mine\n    rules:\n      - {record: job:up:sum, expr: sum by (job) (up)}\n"
    )

    answer = topmast("lint", str(tmp_path))

    assert (answer.code, answer.out) == (0, "no finding in 1 files with 1 rules\n")


def test_a_value_of_any_kind_anywhere_is_a_finding_not_a_crash(tmp_path: Path) -> None:
    """Every value of every engine's file in turn becomes a list, a number, a mapping or nothing."""
    sources = [
        path
        for path in sorted((ROOT / "monitoring").rglob("*.yml"))
        if path.parent.name not in ("alerts", "self", "recording")
    ]
    chance = random.Random(7)
    crashed = []
    for source in sources:
        places = list(yamltext.lines(yamltext.compose(source.read_text())))[1:]
        for place in chance.sample(places, min(12, len(places))):
            value = yaml.safe_load(source.read_text())
            *way, last = place
            inner = value
            for step in way:
                inner = inner[step]
            inner[last] = chance.choice([[7], 7, {"a": {"b": []}}, None, [[]], "\x07", -1.5, True])
            path = tmp_path / source.relative_to(ROOT / "monitoring")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(yaml.safe_dump(value))
            found = lint.run(replace(check.read([path], ROOT), ours=True))
            crashed += [str(each) for each in found if "stopped at a value" in each.message]

    assert crashed == []
