"""`topmast lint` tells `file:line: check: what to do`, for people and for machines, and leaves with 1."""

import json
from pathlib import Path

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
